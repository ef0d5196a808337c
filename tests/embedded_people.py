"""People as embeddings, as near to each other as a test wants them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from contract.calibration.searches import Searches

Labels = npt.NDArray[np.int64]


def people(
    counts: list[int], *, seed: int = 0, spread: float = 0.8
) -> tuple[npt.NDArray[np.float32], Labels]:
    """Unit vectors around a centre for each identity, shuffled; labels with gaps."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)) * 7 + 2, counts))
    centres = rng.standard_normal((len(counts) * 7 + 2, 6))
    points = centres[labels] + spread * rng.standard_normal((len(labels), 6))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), labels


def made(
    mated: list[tuple[int, float, int]], nonmated: list[tuple[int, float]], **changes: Any
) -> Searches:
    """Searches by hand: (subject, similarity, rank) and (subject, best similarity)."""
    values: dict[str, Any] = {
        "gallery_subjects": 5, "enrolled": 1, "draws": 1,
        "mated_subjects": len({s for s, _, _ in mated}),
        "nonmated_subjects": len({s for s, _ in nonmated}),
        "mated_subject_S": np.array([s for s, _, _ in mated], dtype=np.int64),
        "similarity_S": np.array([s for _, s, _ in mated], dtype=np.float64),
        "rank_S": np.array([r for _, _, r in mated], dtype=np.int64),
        "nonmated_subject_T": np.array([s for s, _ in nonmated], dtype=np.int64),
        "best_T": np.array([s for _, s in nonmated], dtype=np.float64),
    }  # fmt: skip
    return Searches(**{**values, **changes})
