"""Thresholds over a gallery that grows, on both backends, in a world of known error rates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.bundle import load_bundle
from contract.manifest import Manifest
from service.calibration import keep
from service.calibration_record import CollectionCalibration
from service.decision import Threshold
from service.thresholds import Thresholds
from tests.calibrated import calibration, exponential, measured, true_fpir
from tests.conftest import (
    CONTRACT,
    THRESHOLD,
    ApiMaker,
    BundleMaker,
    check_problem,
    face_photo,
)

POLICY = "standard-1"
WORLD = calibration(measured(10, 4_000), measured(100, 3_000), measured(1_000, 1_000))


@pytest.fixture
def manifest(tiny_bundle: Path) -> Manifest:
    return load_bundle(tiny_bundle).manifest.replaced(calibration=WORLD)


def enrol(gallery: Any, subjects: int, *, templates: int = 1) -> None:
    rows = np.random.default_rng(gallery.revision).normal(size=(templates, CONTRACT.size))
    for _ in range(subjects):
        gallery.enroll(rows.astype(np.float32))


def thresholds(manifest: Manifest, gallery: Any, *, target_fpir: float = 0.01) -> Thresholds:
    return Thresholds(manifest, gallery, quality_policy_id=POLICY, target_fpir=target_fpir)


def own(subjects: int, strangers: int, **facts: Any) -> CollectionCalibration:
    """A collection's calibration in which everybody is less alike by 0.1."""
    return CollectionCalibration(
        **{
            "version": 1,
            "made_at": "2026-11-27T12:00:00.000Z",
            "bundle": "tiny@1.2.3",
            "contract_id": CONTRACT.id,
            "quality_policy": POLICY,
            "scoring": "best",
            "gallery_subjects": subjects,
            "gallery_templates": subjects,
            "gallery_revision": 1,
            "uploaded_strangers": 0,
            "failures_to_acquire": 0,
            "replicates": 1,
            "gallery": measured(subjects, strangers, lower),
            **facts,
        }
    )


def lower(share: float, subjects: float) -> float:
    return exponential(share, subjects) - 0.1


def test_the_threshold_follows_the_gallery_tenfold(manifest: Manifest, gallery: Any) -> None:
    of = thresholds(manifest, gallery)
    enrol(gallery, 10)
    small = of.threshold()
    enrol(gallery, 90)
    large = of.threshold()
    assert small.value is not None
    assert large.value is not None
    assert small.value < large.value
    for found, subjects in ((small, 10), (large, 100)):
        assert true_fpir(found.value or 0, subjects) == pytest.approx(0.01)
        assert (found.source, found.basis, found.target_fpir) == ("calibrated", "measured", 0.01)
        assert found.gallery_subjects == subjects
        assert found.evidence is not None
        assert found.evidence.calibration == "bundle"
        assert found.evidence.data == "a world of numbers"
        assert found.evidence.gallery_subjects == subjects
    gallery.remove_subject(gallery.subjects(limit=1).subjects[0].id)
    assert (of.threshold().value or 1) < large.value


def test_templates_are_chances_as_subjects_are(manifest: Manifest, gallery: Any) -> None:
    enrol(gallery, 20, templates=5)
    found = thresholds(manifest, gallery).threshold()
    assert found.value == pytest.approx(exponential(0.01, 100))
    assert found.gallery_subjects == 20


def test_a_target_goes_before_the_settings_and_a_threshold_before_all(
    manifest: Manifest, gallery: Any
) -> None:
    enrol(gallery, 10)
    of = thresholds(manifest, gallery, target_fpir=0.1)
    assert of.threshold().value == exponential(0.1, 10)
    assert of.threshold(target_fpir=0.003).value == exponential(0.003, 10)
    for value in (0.0, 0.9):
        # Zero is a threshold, not the lack of one.
        assert of.threshold(requested=value) == Threshold(
            value=value, source="request", gallery_subjects=10
        )


def test_an_unsupported_target_is_refused_in_words(manifest: Manifest, gallery: Any) -> None:
    found = thresholds(manifest, gallery).threshold(target_fpir=0.0005)
    assert (found.value, found.source, found.reason) == (None, "none", "target_fpir_unsupported")
    assert found.note == (
        "The bundle's calibration: FPIR 0.05% needs 6,000 strangers to show it: the calibration "
        "has 4,000."
    )


def test_the_collections_own_calibration_goes_before_the_bundles(
    manifest: Manifest, gallery: Any
) -> None:
    enrol(gallery, 10)
    of = thresholds(manifest, gallery)
    assert of.threshold().value == exponential(0.01, 10)
    keep(gallery, own(10, 400))
    # Seen without a restart.
    found = of.threshold()
    assert found.value == lower(0.01, 10)
    assert found.evidence is not None
    assert (found.evidence.calibration, found.evidence.strangers) == ("collection", 400)
    assert found.evidence.made_at == "2026-11-27T12:00:00.000Z"
    assert found.note is None
    # It grows with the gallery, too.
    enrol(gallery, 90)
    assert of.threshold().value == pytest.approx(lower(0.01, 100), abs=5e-4)
    assert of.threshold().basis == "estimate"
    # What it cannot show, the bundle's says.
    found = of.threshold(target_fpir=0.001)
    assert found.value == exponential(0.001, 100)
    assert found.evidence is not None
    assert found.evidence.calibration == "bundle"
    assert found.note == (
        "The collection's own calibration: FPIR 0.10% needs 3,000 strangers to show it: the "
        "calibration has 400."
    )
    keep(gallery, own(100, 5_000))
    assert of.threshold(target_fpir=0.001).value == lower(0.001, 100)


def test_own_templates_are_counted_against_those_of_then(manifest: Manifest, gallery: Any) -> None:
    enrol(gallery, 10, templates=3)
    keep(gallery, own(10, 400, gallery_templates=30))
    of = thresholds(manifest, gallery)
    assert of.threshold().value == lower(0.01, 10)
    enrol(gallery, 10, templates=6)
    assert of.threshold().value == pytest.approx(lower(0.01, 30), abs=1e-4)


@pytest.mark.parametrize("changed", [{"quality_policy": "strict-1"}, {"scoring": "mean"}], ids=str)
def test_a_calibration_of_something_else_is_not_used(
    manifest: Manifest, gallery: Any, changed: dict[str, str]
) -> None:
    enrol(gallery, 10)
    keep(gallery, own(10, 400, **changed))
    assert thresholds(manifest, gallery).threshold().value == exponential(0.01, 10)


def test_a_bundle_without_calibration_has_its_fixed_default(
    tiny_bundle: Path, make_bundle: BundleMaker, gallery: Any
) -> None:
    of = thresholds(load_bundle(tiny_bundle).manifest, gallery)
    found = of.threshold()
    assert (found.value, found.source, found.target_fpir) == (THRESHOLD, "default", None)
    assert found.evidence is not None
    assert (found.evidence.gallery_subjects, found.evidence.strangers) == (100, 500)
    # It promises nothing.
    found = of.threshold(target_fpir=0.1)
    assert (found.value, found.reason) == (None, "target_fpir_unsupported")
    nothing = load_bundle(make_bundle(threshold=None)).manifest
    found = thresholds(nothing, gallery).threshold()
    assert (found.value, found.source, found.reason) == (None, "none", "no_threshold")
    # A calibration on the collection helps both.
    enrol(gallery, 10)
    keep(gallery, own(10, 400))
    assert of.threshold().value == lower(0.01, 10)
    assert thresholds(nothing, gallery).threshold().value == lower(0.01, 10)


def test_the_bundles_best_template_says_nothing_of_means(
    manifest: Manifest, tmp_path: Path
) -> None:
    from index.gallery import Gallery

    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring="mean") as gallery:
        of = thresholds(manifest, gallery)
        enrol(gallery, 10)
        # The mean of one template is that template.
        assert of.threshold().value == exponential(0.01, 10)
        enrol(gallery, 1, templates=2)
        found = of.threshold()
        assert (found.value, found.reason) == (None, "target_fpir_unsupported")
        assert "calibrate on the collection" in (found.note or "")
        keep(gallery, own(11, 400, scoring="mean"))
        assert of.threshold().value == pytest.approx(lower(0.01, 11), abs=1e-9)


def test_investigating_states_no_threshold(manifest: Manifest, gallery: Any) -> None:
    found = thresholds(manifest, gallery).investigating()
    assert (found.value, found.source, found.reason) == (None, "none", "investigating")


# -- through the API ------------------------------------------------------------------------------


def grown(make_api: ApiMaker, bundle: Path) -> Any:
    api = make_api(bundle_path=bundle)
    for seed in range(1, 11):
        api.enroll(face_photo(seed), name=f"{seed}", duplicate_check="off")
    return api


@pytest.fixture(scope="module")
def calibrated_bundle(make_bundle: BundleMaker) -> Path:
    return make_bundle(calibration=WORLD)


def test_answers_state_a_threshold_that_moves(make_api: ApiMaker, calibrated_bundle: Path) -> None:
    api = make_api(bundle_path=calibrated_bundle)
    api.enroll(face_photo(1), name="Ann")
    before = api.identify(face_photo(1)).json()["threshold"]
    for seed in range(2, 11):
        api.enroll(face_photo(seed), duplicate_check="off")
    after = api.identify(face_photo(1)).json()["threshold"]
    assert (before["gallery_subjects"], after["gallery_subjects"]) == (1, 10)
    assert before["value"] < after["value"] == exponential(0.01, 10)
    assert after["source"] == "calibrated"
    assert after["basis"] == "measured"
    assert after["target_fpir"] == 0.01
    assert 0.01 < after["fpir_upper95"] < 0.014
    assert after["evidence"]["strangers"] == 4_000


def test_the_request_names_a_target(make_api: ApiMaker, calibrated_bundle: Path) -> None:
    api = grown(make_api, calibrated_bundle)
    loose, tight = (
        api.identify(face_photo(1), target_fpir=target).json()["threshold"]
        for target in (0.1, 0.001)
    )
    assert loose["value"] == exponential(0.1, 10)
    assert tight["value"] == exponential(0.001, 10)
    refused = api.identify(face_photo(1), target_fpir=1e-6).json()
    (face,) = refused["faces"]
    assert (face["decision"], face["reason"]) == ("not_evaluated", "target_fpir_unsupported")
    assert face["subject"] is None
    assert face["candidates"][0]["subject"]["name"] == "1"
    assert "3,000,000 strangers" in refused["threshold"]["note"]


def test_investigate_lists_candidates_and_decides_nothing(
    make_api: ApiMaker, calibrated_bundle: Path
) -> None:
    api = grown(make_api, calibrated_bundle)
    body = api.identify(face_photo(1), mode="investigate", top_k=5).json()
    (face,) = body["faces"]
    assert (face["decision"], face["reason"]) == ("not_evaluated", "investigating")
    assert face["subject"] is None
    similarities = [c["similarity"] for c in face["candidates"]]
    assert len(similarities) == 5
    assert similarities == sorted(similarities, reverse=True)
    assert face["candidates"][0]["subject"]["name"] == "1"
    assert (body["threshold"]["value"], body["threshold"]["source"]) == (None, "none")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"threshold": 0.5, "target_fpir": 0.01}, "threshold"),
        ({"mode": "investigate", "threshold": 0.5}, "mode"),
        ({"mode": "investigate", "target_fpir": 0.01}, "mode"),
        ({"mode": "guess"}, "mode"),
        ({"target_fpir": 0}, "target_fpir"),
        ({"target_fpir": 1}, "target_fpir"),
        ({"min_quality": 1.1}, "min_quality"),
    ],
    ids=str,
)
def test_wishes_that_make_no_sense_are_refused(
    make_api: ApiMaker, calibrated_bundle: Path, fields: dict[str, Any], field: str
) -> None:
    api = make_api(bundle_path=calibrated_bundle)
    problem = check_problem(api.identify(face_photo(1), **fields), 422, "invalid_request")
    assert problem["errors"][0]["field"] == field


def test_faces_below_the_wanted_quality_are_not_evaluated(
    make_api: ApiMaker, calibrated_bundle: Path
) -> None:
    api = grown(make_api, calibrated_bundle)
    (face,) = api.identify(face_photo(1)).json()["faces"]
    assert face["decision"] == "match"
    assert 0 <= face["quality"]["score"] < 1
    (face,) = api.identify(face_photo(1), min_quality=1).json()["faces"]
    assert (face["decision"], face["reason"]) == ("not_evaluated", "low_quality")
    assert face["candidates"][0]["subject"]["name"] == "1"
