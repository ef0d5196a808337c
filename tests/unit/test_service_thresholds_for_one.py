"""Thresholds for one against one: FMR is the FPIR of a gallery of one, on both backends."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.bundle import load_bundle
from contract.manifest import Manifest
from index.gallery import Gallery
from service.calibration import keep
from service.calibration_record import CollectionCalibration
from service.decision import Threshold
from service.thresholds import FOR_ONE, Thresholds
from tests.calibrated import SLOPE, calibration, exponential, measured
from tests.conftest import CONTRACT, THRESHOLD, UNIT

POLICY = "standard-1"
WORLD = calibration(measured(10, 4_000), measured(100, 3_000))


@pytest.fixture
def manifest(tiny_bundle: Path) -> Manifest:
    return load_bundle(tiny_bundle).manifest.replaced(calibration=WORLD)


def thresholds(manifest: Manifest, gallery: Any, *, target_fpir: float = 0.01) -> Thresholds:
    return Thresholds(manifest, gallery, quality_policy_id=POLICY, target_fpir=target_fpir)


def own(templates: int, scoring: str = "best") -> CollectionCalibration:
    """A calibration of a collection of ten in which everybody is less alike by 0.1."""
    return CollectionCalibration.model_validate(
        {
            "version": 1,
            "made_at": "2026-11-27T12:00:00.000Z",
            "bundle": "tiny@1.2.3",
            "contract_id": CONTRACT.id,
            "quality_policy": POLICY,
            "scoring": scoring,
            "gallery_subjects": 10,
            "gallery_templates": templates,
            "gallery_revision": 1,
            "uploaded_strangers": 0,
            "failures_to_acquire": 0,
            "replicates": 1,
            "gallery": measured(10, 4_000, lambda share, n: exponential(share, n) - 0.1),
        }
    )


def test_a_gallery_grows_and_one_against_one_stays(manifest: Manifest, gallery: Any) -> None:
    of = thresholds(manifest, gallery)
    empty = of.for_one()
    # In the world of the calibration a stranger passes with exp((BASE - t) / SLOPE).
    assert empty.value == pytest.approx(exponential(0.01, 1), abs=SLOPE / 10)
    for _ in range(10):
        gallery.enroll(UNIT[:1])
    assert of.for_one() == empty
    assert (empty.source, empty.basis, empty.target_fpir) == ("calibrated", "estimate", 0.01)
    assert empty.gallery_subjects == 1
    assert empty.note == FOR_ONE
    assert empty.evidence is not None
    assert (empty.evidence.fpir, empty.evidence.fnir) == (None, None)
    # Asked in between, a search has its own.
    assert of.threshold().value == exponential(0.01, 10)
    assert of.threshold().basis == "measured"


def test_each_template_is_a_chance_and_always_an_estimate(manifest: Manifest, gallery: Any) -> None:
    of = thresholds(manifest, gallery)
    values = []
    for templates in (1, 3, 10, 30):
        found = of.for_one(templates=templates)
        assert found.value == pytest.approx(exponential(0.01, templates), abs=SLOPE / 10)
        assert found.basis == "estimate"
        values.append(found.value or 0)
    assert values == sorted(values)


def test_the_requests_target_and_threshold_go_first(manifest: Manifest, gallery: Any) -> None:
    of = thresholds(manifest, gallery, target_fpir=0.1)
    assert of.for_one().target_fpir == 0.1
    assert of.for_one(target_fmr=0.003).target_fpir == 0.003
    assert of.for_one(requested=0.0) == Threshold(value=0.0, source="request", gallery_subjects=1)


def test_the_collections_own_calibration_goes_first(manifest: Manifest, gallery: Any) -> None:
    gallery.enroll(UNIT[:1])
    of = thresholds(manifest, gallery)
    keep(gallery, own(templates=30))
    # Three templates each then: a subject of three is one of those.
    for templates, subjects in ((1, 1), (3, 1), (6, 2)):
        found = of.for_one(templates=templates)
        assert found.value == pytest.approx(exponential(0.01, subjects) - 0.1, abs=SLOPE / 10)
        assert found.evidence is not None
        assert found.evidence.calibration == "collection"


def test_of_a_mean_all_templates_are_one_chance(manifest: Manifest, tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring="mean") as gallery:
        of = thresholds(manifest, gallery)
        # The bundle's calibration is of best templates, and says nothing of several's mean.
        assert of.for_one().value is not None
        assert of.for_one(templates=2).reason == "target_fpir_unsupported"
        gallery.enroll(np.concatenate([UNIT[:1], UNIT[1:2]]))
        keep(gallery, own(templates=20, scoring="mean"))
        assert of.for_one(templates=2).value == of.for_one().value


def test_without_calibration_the_fixed_default_or_nothing(tiny_bundle: Path, gallery: Any) -> None:
    of = thresholds(load_bundle(tiny_bundle).manifest, gallery)
    assert (of.for_one().value, of.for_one().source) == (THRESHOLD, "default")
    refused = of.for_one(target_fmr=0.01)
    assert (refused.value, refused.reason) == (None, "target_fpir_unsupported")
