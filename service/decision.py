"""match, unknown or not_evaluated: the one comparison, and what a threshold says of itself."""

from dataclasses import dataclass
from typing import Literal

from contract.calibration.records import Estimate
from contract.calibration.thresholds import Basis
from index.records import Candidate

Verdict = Literal["match", "unknown", "not_evaluated"]
NoThreshold = Literal["investigating", "target_fpir_unsupported", "no_threshold"]
Reason = Literal["investigating", "target_fpir_unsupported", "no_threshold", "low_quality"]
# Of one pair, see service/verification.py.
PairVerdict = Literal["match", "no_match", "not_evaluated"]
PairReason = Literal["no_templates", "no_threshold", "target_fmr_unsupported"]
Source = Literal["request", "calibrated", "default", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a threshold rests on.

    calibration: that of the `collection` itself, or of the `bundle`. data: whose photos, in words.
    Measured in a gallery of `gallery_subjects` subjects with `strangers` people who are not in it.
    fpir, fnir: there, at its own threshold for the target; None where that was not measured.
    made_at: RFC 3339, of a collection's calibration.
    """

    calibration: Literal["collection", "bundle"]
    data: str
    gallery_subjects: int
    strangers: int
    fpir: float | None
    fnir: Estimate | None = None
    made_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Accept at similarity >= value; None where nobody can state one, and `reason` says why.

    source: of the `request`; `calibrated` for target_fpir in a gallery of `gallery_subjects`; the
    bundle's fixed `default`, which knows nothing of the gallery; or `none`.
    basis, fpir_upper95: see contract/calibration/thresholds.py. note: words for people.
    """

    value: float | None
    source: Source
    gallery_subjects: int
    target_fpir: float | None = None
    basis: Basis | None = None
    fpir_upper95: float | None = None
    evidence: Evidence | None = None
    reason: NoThreshold | None = None
    note: str | None = None

    def accepts(self, similarity: float) -> bool:
        """The one comparison of the product; only of a threshold that has a value."""
        assert self.value is not None
        return similarity >= self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is said of one face. margin: lead over the runner-up subject, if there is one.

    reason: why it was not evaluated.
    """

    verdict: Verdict
    reason: Reason | None
    subject: Candidate | None
    similarity: float | None
    margin: float | None


def decide(
    candidates: tuple[Candidate, ...], threshold: Threshold, *, poor: bool = False
) -> Decision:
    """Decide over the candidates of one face, best first; at least two tell the margin.

    poor: the face is below the quality that the caller asks for. An empty gallery makes every
    other face unknown.
    """
    best = candidates[0] if candidates else None
    similarity = best.similarity if best else None
    margin = best.similarity - candidates[1].similarity if best and len(candidates) > 1 else None
    if threshold.value is None or poor:
        return Decision(
            verdict="not_evaluated",
            reason="low_quality" if poor else threshold.reason,
            subject=None,
            similarity=similarity,
            margin=margin,
        )
    accepted = best is not None and threshold.accepts(best.similarity)
    return Decision(
        verdict="match" if accepted else "unknown",
        reason=None,
        subject=best if accepted else None,
        similarity=similarity,
        margin=margin,
    )
