"""How a thief of protected rows can find the rotation, if he has more than the rows.

A rotation keeps every distance, so whatever tells which stored row is which plain embedding tells
the rotation, too. Each function gives an estimate of it, float64 (D, D): stored = estimate @ plain.
Shapes: N stored rows, K known pairs, M other faces, D embedding size.
"""

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]


def by_pairs(stored_KD: Rows, plain_KD: Rows) -> Rows:
    """From embeddings of which the stored rows are known: the orthogonal Procrustes problem.

    Exact from D independent pairs on (Schönemann, Psychometrika 31, 1966).
    """
    left, _, right = np.linalg.svd(stored_KD.T @ plain_KD)
    return np.asarray(left @ right)


def by_distances(stored_ND: Rows, plain_ND: Rows) -> Rows:
    """From plain embeddings of the very same photos, in whichever order: who is as far from all
    others as whom tells the pairs."""
    stored, plain = _profile(stored_ND), _profile(plain_ND)
    lengths = np.square(stored).sum(axis=1)[:, None] + np.square(plain).sum(axis=1)[None]
    pairs = (lengths - 2 * stored @ plain.T).argmin(axis=1)
    return by_pairs(stored_ND, plain_ND[pairs])


def by_population(stored_ND: Rows, faces_MD: Rows) -> Rows:
    """From faces of anybody else by the same model: both clouds have the same mean and axes.

    Axes are paired by their variance, and their directions by the third moment along them.
    """
    return _axes(stored_ND) @ _axes(faces_MD).T


def _profile(rows_ND: Rows) -> Rows:
    return np.sort(rows_ND @ rows_ND.T, axis=1)


def _axes(rows_ND: Rows) -> Rows:
    """The mean's direction, then principal axes of what is orthogonal to it, (D, D) by column."""
    mean = rows_ND.mean(axis=0)
    mean /= np.linalg.norm(mean)
    rest_ND = rows_ND - np.outer(rows_ND @ mean, mean)
    _, vectors = np.linalg.eigh(rest_ND.T @ rest_ND)
    # The smallest variance, none at all, is along the mean.
    axes_DD = np.column_stack([mean, vectors[:, :0:-1]])
    along_ND = rows_ND @ axes_DD
    along_ND -= along_ND.mean(axis=0)
    signs = np.sign(np.power(along_ND, 3).sum(axis=0))
    signs[0] = 1.0
    return np.asarray(axes_DD * np.where(signs == 0, 1.0, signs))
