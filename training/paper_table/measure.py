"""The figures of a trained network, by the protocol of its column.

Shapes: N images, D embedding size.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.data.pack import Pack
from training.evaluation.closed_set import held_out_accuracy, paper_accuracy
from training.evaluation.embed_rows import embed_rows
from training.evaluation.pairs import verify_pairs
from training.evaluation.roc import RocCurve
from training.evaluation.roles import Roles, roles_of
from training.evaluation.zero_shot import rank_probes
from training.paper_table.columns import Protocol
from training.run import TrainedRun

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
# Images in the picture of a space of two dimensions.
POINTS_MOST = 500
# Of the galleries that rank-1 is a mean over, and of pairs.
DRAW_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """figures: as in `Record`. points: x, y and class, for networks of two numbers."""

    figures: dict[str, float]
    points: tuple[tuple[float, float, int], ...]


def measure(run: TrainedRun, pack: Pack, protocol: Protocol, *, device: str) -> Measured:
    """What `run`, trained on `pack`, can do with images that it did not learn from.

    Raises ValueError where the pack has none that the protocol asks for.
    """
    roles = roles_of(pack, run.trained_paths)
    net = run.net.to(device)

    def embed(rows: Indices) -> Floats:
        return embed_rows(net, pack, rows, device=device)

    if protocol == "zero-shot":
        embeddings_ND, labels_N = embed(roles.unseen), pack.labels[roles.unseen]
        figures = _zero_shot(embeddings_ND, labels_N, run.config.model.d_max, roles)
    else:
        if not len(roles.probes):
            raise ValueError(roles.no_probes)
        embeddings_ND, labels_N = embed(roles.probes), pack.labels[roles.probes]
        figures = {
            "held_out": held_out_accuracy(
                embed(roles.trained), pack.labels[roles.trained], embeddings_ND, labels_N
            ),
            "paper": paper_accuracy(embeddings_ND, labels_N),
            "classes": len(np.unique(labels_N)),
            "probes": len(labels_N),
        }
    return Measured(figures=figures, points=_points(embeddings_ND, labels_N))


def _zero_shot(
    embeddings_ND: Floats, labels_N: Indices, d_max: float, roles: Roles
) -> dict[str, float]:
    data = roles.unseen_data
    ranks = rank_probes(embeddings_ND, labels_N, d_max=d_max, seed=DRAW_SEED, data=data)
    pairs = verify_pairs(embeddings_ND, labels_N, d_max=d_max, seed=DRAW_SEED, data=data)
    figures = {
        "rank1": ranks.rank1.value,
        "gallery": ranks.subjects,
        "probes": ranks.probes,
        "paper": paper_accuracy(embeddings_ND, labels_N),
    }
    if pairs is not None:
        figures |= {"auc": area(pairs.curve), "eer": pairs.equal_error.rate}
    return figures


def area(curve: RocCurve) -> float:
    """Below a ROC curve: how often a mated pair is nearer than a non-mated one, ties by halves."""
    fmr_T, tmr_T = np.append(curve.fmr_T, 1.0), np.append(curve.tmr_T, 1.0)
    return float((np.diff(fmr_T) * (tmr_T[1:] + tmr_T[:-1]) / 2).sum())


def _points(embeddings_ND: Floats, labels_N: Indices) -> tuple[tuple[float, float, int], ...]:
    """Evenly spread over the images measured."""
    if embeddings_ND.shape[1] != 2:
        return ()
    step = -(-len(labels_N) // POINTS_MOST)
    return tuple(
        (round(float(x), 4), round(float(y), 4), int(label))
        for (x, y), label in zip(embeddings_ND[::step], labels_N[::step], strict=True)
    )
