"""What an evaluation gives back: one record that the manifest, the command and the page show."""

from dataclasses import dataclass

from contract.manifest import DefaultThreshold
from training.evaluation.calibration import OpenSet, default_threshold
from training.evaluation.closed_set import ClosedSetResult
from training.evaluation.lfw import LfwResult
from training.evaluation.pairs import VerificationResult
from training.evaluation.space_view import SpaceView
from training.evaluation.zero_shot import RankResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """What was measured of a bundle; None where the data do not allow it, as `unanswered` says.

    ranks, open_set, zero_shot_pairs: protocol zero-shot, identities never trained on.
    closed_set, held_out_pairs: other images of identities that were trained on.
    views: pictures of the space.
    """

    bundle: str
    closed_set: ClosedSetResult | None
    held_out_pairs: VerificationResult | None
    ranks: RankResult | None
    open_set: OpenSet | None
    zero_shot_pairs: VerificationResult | None
    lfw: LfwResult | None
    views: tuple[SpaceView, ...]
    unanswered: tuple[str, ...]

    @property
    def threshold(self) -> DefaultThreshold | None:
        """What the service decides by; LFW has no part in it."""
        return default_threshold(self.open_set.calibration) if self.open_set else None
