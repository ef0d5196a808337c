"""The worked example of docs/decisions.md is what the shipped bundle does."""

import re
from pathlib import Path

import pytest

from contract.bundle import load_bundle
from contract.calibration.thresholds import FpirThreshold, fpir_threshold
from service.settings import SHIPPED_BUNDLE

TEXT = (Path(__file__).parents[2] / "docs" / "decisions.md").read_text(encoding="utf-8")
TARGETS = (0.1, 0.01, 0.003, 0.001)
ROW = re.compile(r"^\| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\w+) \|$", re.M)


def test_the_table_has_a_tenfold_growth_and_more() -> None:
    sizes = [int(row[1].replace(",", "")) for row in ROW.finditer(TEXT)]
    assert sizes == [10, 100, 1_000, 10_000, 100_000]


@pytest.mark.parametrize("row", list(ROW.finditer(TEXT)), ids=lambda row: row[1])
def test_each_threshold_is_what_the_bundle_says(row: re.Match[str]) -> None:
    calibration = load_bundle(SHIPPED_BUNDLE).manifest.calibration
    assert calibration is not None
    subjects = int(row[1].replace(",", ""))
    for target, written in zip(TARGETS, row.groups()[1:5], strict=True):
        found = fpir_threshold(calibration.galleries, target_fpir=target, subjects=subjects)
        assert isinstance(found, FpirThreshold)
        assert f"{found.value:.4f}" == written
        assert found.basis == row[6]
