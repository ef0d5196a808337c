"""From a run to a bundle."""

from pathlib import Path

import numpy as np
from torch import nn

from training.data.pack import Pack, refuse_other_side
from training.evaluation.roles import roles_of
from training.export.card import Card, Learned, WeightsDtype
from training.export.origins import origin_of
from training.export.parity import parity_crops
from training.export.specs import embedding_spec, input_spec
from training.export.whitening import whitened
from training.export.writer import Exported, write_bundle
from training.run import load_run


def export_bundle(
    run: Path,
    pack: Pack,
    out: Path,
    card: Card,
    *,
    weights: WeightsDtype = "float16",
    whiten: int = 0,
) -> Exported:
    """Export the best network of `run`, trained on `pack`, into folder `out`.

    whiten: numbers of the embedding after whitening by the images trained on (whitening.py); 0
        leaves it as it was trained.
    The bundle has no metrics and no threshold yet: `evaluate` measures and writes them.
    Raises CheckpointError (no run), PackError (not the pack that it was trained on, or one of
    another size), ValueError (what cannot be whitened so), TeacherError (it was distilled, and the
    pack does not say by whom), ManifestError (a card that no manifest can state) or ParityError
    (export differs from the trained network; `out` is left as it was).
    """
    trained = load_run(run)
    config = trained.config.model
    refuse_other_side(pack, config.side_px)
    learned = roles_of(pack, trained.trained_paths).trained
    net: nn.Module = trained.net
    embedding, origin = embedding_spec(config), origin_of(trained.config, pack)
    if whiten:
        net = whitened(trained.net, pack.images, learned, size=whiten).eval()
        embedding = embedding.model_copy(update={"size": whiten})
        words = f"{origin.loss}; embeddings whitened by the covariance of the images trained on"
        origin = origin.model_copy(update={"loss": words})
    return write_bundle(
        net,
        out,
        card,
        embedding=embedding,
        pixels=input_spec(config, pack.index.alignment, pack.index.fit),
        origin=origin,
        learned=Learned(
            name=pack.index.source,
            identities=len(np.unique(pack.labels[learned])),
            images=len(learned),
        ),
        crops_NHW3=parity_crops(pack),
        weights=weights,
    )
