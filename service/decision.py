"""match or unknown: the one comparison, the threshold and where it comes from."""

from dataclasses import dataclass
from typing import Literal

from contract.manifest import DefaultThreshold, Manifest
from index.records import Candidate

Verdict = Literal["match", "unknown", "not_evaluated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Accept at similarity >= value; None where nobody has stated one.

    source: `request`, or `default` from the bundle, whose `evidence` says what it was seen to do.
    """

    value: float | None
    source: Literal["request", "default", "none"]
    evidence: DefaultThreshold | None = None


def threshold_for(manifest: Manifest, requested: float | None) -> Threshold:
    """The caller's threshold if there is one, else the bundle's default."""
    if requested is not None:
        return Threshold(value=requested, source="request")
    default = manifest.default_threshold
    if default is None:
        return Threshold(value=None, source="none")
    return Threshold(value=default.similarity, source="default", evidence=default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is said of one face. margin: lead over the runner-up subject, if there is one."""

    verdict: Verdict
    reason: str | None
    subject: Candidate | None
    similarity: float | None
    margin: float | None


def decide(candidates: tuple[Candidate, ...], threshold: Threshold) -> Decision:
    """Decide over the candidates of one face, best first; at least two tell the margin.

    An empty gallery makes every face unknown.
    """
    best = candidates[0] if candidates else None
    similarity = best.similarity if best else None
    margin = best.similarity - candidates[1].similarity if best and len(candidates) > 1 else None
    if threshold.value is None:
        return Decision(
            verdict="not_evaluated",
            reason="no_threshold",
            subject=None,
            similarity=similarity,
            margin=margin,
        )
    accepted = best is not None and best.similarity >= threshold.value
    return Decision(
        verdict="match" if accepted else "unknown",
        reason=None,
        subject=best if accepted else None,
        similarity=similarity,
        margin=margin,
    )
