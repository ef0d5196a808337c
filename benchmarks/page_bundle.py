"""The tiny bundle with a calibration, so that the page has stated rates to show."""

from pathlib import Path

import numpy as np

from benchmarks.tiny_bundle import write_tiny_bundle
from contract.calibration.operating_points import gallery_calibration
from contract.calibration.records import Calibration, GalleryCalibration
from contract.calibration.searches import Searches

STRANGERS = 2_000
MATED = 40
# Of the best of N strangers' similarities: where they begin, and how they fall off.
BASE = 0.5
SLOPE = 0.024


def write_page_bundle(folder: Path) -> None:
    """Into the existing `folder`. Drawn people are at most 0.5 alike, photos of one 0.9."""
    calibration = Calibration(
        data="drawn faces",
        images_enrolled=1,
        template_fusion="best",
        replicates=100,
        galleries=[_gallery(subjects) for subjects in (100, 1_000)],
    )
    write_tiny_bundle(folder, calibration=calibration)


def _gallery(subjects: int) -> GalleryCalibration:
    rng = np.random.default_rng(subjects)
    chances = -np.expm1(np.log(rng.random(STRANGERS)) / subjects)
    best = np.clip(BASE - SLOPE * np.log(chances), 0, 1)
    own = np.clip(rng.normal(0.88, 0.06, MATED), 0, 1)
    return gallery_calibration(
        Searches(
            gallery_subjects=subjects,
            enrolled=1,
            draws=1,
            mated_subjects=MATED,
            nonmated_subjects=STRANGERS,
            mated_subject_S=np.arange(MATED),
            similarity_S=own,
            rank_S=np.ones(MATED, dtype=np.int64),
            nonmated_subject_T=np.arange(STRANGERS) + MATED,
            best_T=best,
        ),
        replicates=100,
    )
