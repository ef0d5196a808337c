"""From a run to a bundle."""

from pathlib import Path

import numpy as np

from training.data.pack import Pack, PackError
from training.evaluation.roles import roles_of
from training.export.card import Card, Learned, WeightsDtype
from training.export.specs import embedding_spec, input_spec
from training.export.writer import Exported, write_bundle
from training.run import load_run

PARITY_CROPS = 256


def export_bundle(
    run: Path, pack: Pack, out: Path, card: Card, *, weights: WeightsDtype = "float16"
) -> Exported:
    """Export the best network of `run`, trained on `pack`, into folder `out`.

    The bundle has no metrics and no threshold yet: `evaluate` measures and writes them.
    Raises CheckpointError (no run), PackError (not the pack that it was trained on, or one of
    another size), ManifestError (a card that no manifest can state) or ParityError (export differs
    from the trained network; `out` is left as it was).
    """
    trained = load_run(run)
    config = trained.config.model
    _check_size(pack, config.side_px)
    learned = roles_of(pack, trained.trained_paths).trained
    return write_bundle(
        trained.net,
        out,
        card,
        embedding=embedding_spec(config),
        pixels=input_spec(config, pack.index.alignment),
        learned=Learned(
            name=pack.index.source,
            identities=len(np.unique(pack.labels[learned])),
            images=len(learned),
        ),
        crops_NHW3=pack.images[:: max(1, len(pack.images) // PARITY_CROPS)][:PARITY_CROPS],
        weights=weights,
    )


def _check_size(pack: Pack, side_px: int) -> None:
    height, width = pack.images.shape[1:3]
    if (height, width) != (side_px, side_px):
        raise PackError(
            f"{pack.root} has images of {width}x{height} pixels, the run's network takes "
            f"{side_px}x{side_px}: name the pack that it was trained on."
        )
