"""decision.py on golden cases, and the threshold's provenance."""

import math
from pathlib import Path

import pytest

from contract.bundle import load_bundle
from index.records import Candidate, Subject
from service.decision import Decision, Threshold, decide, threshold_for
from tests.conftest import THRESHOLD, BundleMaker


def candidate(subject_id: str, similarity: float) -> Candidate:
    subject = Subject(
        id=subject_id, name=None, external_id=None, metadata={}, template_count=1, created_at=""
    )
    return Candidate(subject=subject, similarity=similarity, template_id=f"t-{subject_id}")


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
    decided = decide((ANN, BOB), Threshold(value=value, source="request"))
    assert decided == Decision(
        verdict=verdict,  # type: ignore[arg-type]
        reason=None,
        subject=ANN if verdict == "match" else None,
        similarity=0.75,
        margin=0.25,
    )


def test_similarity_one_is_accepted_at_threshold_one() -> None:
    sure = candidate("ann", 1.0)
    assert decide((sure,), Threshold(value=1.0, source="request")).subject is sure


def test_one_candidate_has_no_margin() -> None:
    decided = decide((ANN,), Threshold(value=0.7, source="default"))
    assert (decided.verdict, decided.similarity, decided.margin) == ("match", 0.75, None)


def test_a_tie_has_margin_zero() -> None:
    decided = decide((ANN, candidate("cem", 0.75)), Threshold(value=0.7, source="default"))
    assert (decided.subject, decided.margin) == (ANN, 0.0)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_an_empty_gallery_is_unknown_at_any_threshold(value: float) -> None:
    assert decide((), Threshold(value=value, source="request")) == Decision(
        verdict="unknown", reason=None, subject=None, similarity=None, margin=None
    )


@pytest.mark.parametrize("candidates", [(), (ANN,), (ANN, BOB)])
def test_without_a_threshold_nothing_is_evaluated(candidates: tuple[Candidate, ...]) -> None:
    assert decide(candidates, Threshold(value=None, source="none")) == Decision(
        verdict="not_evaluated",
        reason="no_threshold",
        subject=None,
        similarity=0.75 if candidates else None,
        margin=0.25 if len(candidates) == 2 else None,
    )


def test_the_callers_threshold_goes_before_the_bundles(
    tiny_bundle: Path, make_bundle: BundleMaker
) -> None:
    with_default = load_bundle(tiny_bundle).manifest
    without = load_bundle(make_bundle(threshold=None)).manifest
    assert with_default.default_threshold is not None
    assert threshold_for(with_default, None) == Threshold(
        value=THRESHOLD, source="default", evidence=with_default.default_threshold
    )
    for manifest in (with_default, without):
        # Zero is a threshold, not the lack of one.
        for value in (0.0, 0.9):
            assert threshold_for(manifest, value) == Threshold(value=value, source="request")
    assert threshold_for(without, None) == Threshold(value=None, source="none")
