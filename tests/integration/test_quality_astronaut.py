"""Quality with the real detector and the service's own limits, on the portrait anybody may use."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from benchmarks.degraded import Spoil, blurred, covered, dark, tiny, turned
from benchmarks.pictures import astronaut, encoded, landscape
from benchmarks.quality import RIGHT, Judge
from service.settings import Settings

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(Settings(quality_look_again_ms=60_000))


def close(zoom: float = 1) -> Pixels:
    """Her face fills a quarter of the height."""
    head = Image.fromarray(astronaut()[:300, 80:380])
    return np.asarray(head.resize((round(300 * zoom), round(300 * zoom))))


def test_a_good_photo_is_taken_by_standard(judge: Judge) -> None:
    assert judge.reasons(encoded(astronaut()), judge.policies.named("standard")) == ()
    assert judge.reasons(encoded(close()), judge.policies.named("standard")) == ()


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (blurred(0.1), "blur"),
        (dark(0.01), "dark"),
        (tiny(framed=True), "tiny"),
        (tiny(framed=False), "tiny"),
        (turned, "turned"),
        (covered("mouth and nose"), "covered"),
        (covered("eyes"), "covered"),
    ],
)
def test_a_spoilt_photo_has_a_right_reason(judge: Judge, spoil: Spoil, kind: str) -> None:
    photo = close()
    _, (face,) = judge.seen(encoded(photo))
    bad = encoded(spoil(photo, face.landmarks, np.random.default_rng(1)))
    assert RIGHT[kind] & set(judge.reasons(bad, judge.policies.named("standard")))


def test_a_photo_on_its_side_is_explained(judge: Judge) -> None:
    # By a third quarter the detector takes something else for a face.
    for quarters in (1, 2):
        lying = encoded(np.ascontiguousarray(np.rot90(close(), quarters)))
        assert "extreme_pose" in judge.reasons(lying, judge.policies.named("standard"))


def test_a_landscape_has_no_face(judge: Judge) -> None:
    assert judge.reasons(encoded(landscape()), judge.policies.named("standard")) == ("no_face",)
