"""decision.py on golden cases."""

import math

import pytest

from index.records import Candidate, Subject
from service.decision import Decision, Threshold, decide


def candidate(subject_id: str, similarity: float) -> Candidate:
    subject = Subject(
        id=subject_id, name=None, external_id=None, metadata={}, template_count=1, created_at=""
    )
    return Candidate(subject=subject, similarity=similarity, template_id=f"t-{subject_id}")


def at(value: float) -> Threshold:
    return Threshold(value=value, source="request", gallery_subjects=2)


ANN, BOB = candidate("ann", 0.75), candidate("bob", 0.5)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.0, "match"),
        (0.5, "match"),
        (math.nextafter(0.75, 0), "match"),
        (0.75, "match"),  # Equality accepts.
        (math.nextafter(0.75, 1), "unknown"),
        (1.0, "unknown"),
    ],
)
def test_the_best_candidate_is_accepted_from_the_threshold_on(value: float, verdict: str) -> None:
    decided = decide((ANN, BOB), at(value))
    assert decided == Decision(
        verdict=verdict,  # type: ignore[arg-type]
        reason=None,
        subject=ANN if verdict == "match" else None,
        similarity=0.75,
        margin=0.25,
    )


def test_similarity_one_is_accepted_at_threshold_one() -> None:
    sure = candidate("ann", 1.0)
    assert decide((sure,), at(1.0)).subject is sure


def test_one_candidate_has_no_margin() -> None:
    decided = decide((ANN,), at(0.7))
    assert (decided.verdict, decided.similarity, decided.margin) == ("match", 0.75, None)


def test_a_tie_has_margin_zero() -> None:
    decided = decide((ANN, candidate("cem", 0.75)), at(0.7))
    assert (decided.subject, decided.margin) == (ANN, 0.0)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_an_empty_gallery_is_unknown_at_any_threshold(value: float) -> None:
    assert decide((), at(value)) == Decision(
        verdict="unknown", reason=None, subject=None, similarity=None, margin=None
    )


@pytest.mark.parametrize("candidates", [(), (ANN,), (ANN, BOB)])
def test_without_a_threshold_nothing_is_evaluated(candidates: tuple[Candidate, ...]) -> None:
    none = Threshold(value=None, source="none", gallery_subjects=2, reason="investigating")
    assert decide(candidates, none) == Decision(
        verdict="not_evaluated",
        reason="investigating",
        subject=None,
        similarity=0.75 if candidates else None,
        margin=0.25 if len(candidates) == 2 else None,
    )


def test_a_face_below_the_wanted_quality_is_not_evaluated() -> None:
    decided = decide((ANN, BOB), at(0.5), poor=True)
    assert (decided.verdict, decided.reason, decided.subject) == (
        "not_evaluated",
        "low_quality",
        None,
    )
    assert (decided.similarity, decided.margin) == (0.75, 0.25)
