"""Protocol `zero-shot`: identities never trained on, m images each enrolled, the rest are probes.

Closed-set figures (rank-1, CMC) are of galleries of every identity that has an image to search for
besides those enrolled; open-set figures (FNIR at FPIR) of galleries of stated sizes, with strangers
(see open_set.py and calibration.py).

Shapes: N images, D embedding size, R ranks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.calibration.intervals import REPLICATES, share_interval
from contract.calibration.records import Estimate
from training.evaluation.calibration import DRAWS
from training.evaluation.open_set import TooFewError, cmc, draw_searches, mateable

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

RANKS_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankResult:
    """rank1: share of probes whose subject is ranked first, alone. cmc_R: within rank 1 to R.

    subjects: of each gallery, all of them searched for. probes: searches of one draw.
    """

    rank1: Estimate
    cmc_R: npt.NDArray[np.float64]
    subjects: int
    enrolled: int
    probes: int
    draws: int
    data: str


def rank_probes(
    embeddings_ND: Floats,
    labels_N: Indices,
    *,
    d_max: float,
    enrolled: int = 1,
    draws: int = DRAWS,
    seed: int = 0,
    data: str,
    replicates: int = REPLICATES,
) -> RankResult:
    """Rank-1 and CMC over several draws of the enrolled images.

    Raises TooFewError unless two identities have more than `enrolled` images.
    """
    subjects = mateable(labels_N, enrolled=enrolled)
    if subjects < 2:
        raise TooFewError(
            f"Ranks need two identities of more than {enrolled} images that were not trained on, "
            f"and there are {subjects}."
        )
    searches = draw_searches(
        embeddings_ND,
        labels_N,
        gallery_subjects=subjects,
        enrolled=enrolled,
        draws=draws,
        seed=seed,
        d_max=d_max,
    )
    return RankResult(
        rank1=share_interval(
            searches.rank_S == 1, searches.mated_subject_S, replicates=replicates, seed=seed
        ),
        cmc_R=cmc(searches.rank_S, ranks=min(subjects, RANKS_MOST)),
        subjects=subjects,
        enrolled=enrolled,
        probes=len(searches.rank_S) // draws,
        draws=draws,
        data=data,
    )
