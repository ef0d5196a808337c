"""A service over a bundle of whole images: no face is looked for, enrolled or identified as one."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import service.served_bundles
from benchmarks.pictures import encoded
from tests.conftest import (
    NO_FACE,
    ONE_PIXEL,
    WHOLE_SIDE_PX,
    Api,
    ApiMaker,
    BundleMaker,
    check_problem,
    face_photo,
)

Pixels = npt.NDArray[np.uint8]

SIGNS = {
    "stripes": np.tile([30, 220], 4),
    "ramp": np.linspace(20, 240, 8),
    "edge": np.repeat([220, 0], [6, 2]),
}


def sign(name: str, size: tuple[int, int] = (60, 60), color: Any = (1.0, 0.9, 0.8)) -> bytes:
    """A PNG of a sign: its brightness from left to right, in a colour, a little darker below."""
    brightness = np.outer(np.linspace(1, 0.7, 8), SIGNS[name])[:, :, None] * np.asarray(color)
    picture = Image.fromarray(brightness.astype(np.uint8))
    return encoded(np.asarray(picture.resize(size, Image.Resampling.NEAREST)))


@pytest.fixture
def known(make_api: ApiMaker, make_bundle: BundleMaker) -> Api:
    """The signs by their names."""
    api = make_api(bundle_path=make_bundle(fit="stretch"))
    for name in SIGNS:
        assert api.enroll(sign(name), name=name).status_code == 201
    return api


@pytest.mark.parametrize("name", SIGNS)
def test_a_sign_is_found_again_in_another_size_and_colour(known: Api, name: str) -> None:
    (face,) = known.identify(sign(name, (100, 70), (0.4, 0.6, 0.9))).json()["faces"]
    assert (face["decision"], face["subject"]["name"]) == ("match", name)


def test_a_sign_that_nobody_enrolled_is_unknown(known: Api) -> None:
    turned = np.repeat(np.outer(SIGNS["ramp"], np.ones(8))[:, :, None], 3, axis=2)
    (face,) = known.identify(encoded(turned.astype(np.uint8))).json()["faces"]
    assert (face["decision"], face["subject"]) == ("unknown", None)


def test_the_whole_image_is_the_one_face(known: Api) -> None:
    (face,) = known.identify(sign("ramp", (90, 50))).json()["faces"]
    assert face["bbox"] == {"x": 0, "y": 0, "width": 90, "height": 50}
    assert (face["landmarks"], face["det_score"]) == ([], 1)
    enrolled = known.enroll(sign("ramp", (30, 80)), name="again").json()
    (accepted,) = enrolled["accepted"]
    assert accepted["bbox"] == {"x": 0, "y": 0, "width": 30, "height": 80}
    assert (accepted["landmarks"], accepted["det_score"]) == ([], 1)


@pytest.mark.parametrize("photo", [NO_FACE, ONE_PIXEL, face_photo(1, 2, 3)])
def test_no_face_and_many_faces_are_no_reasons(known: Api, photo: bytes) -> None:
    assert known.enroll(photo, name="anything").status_code == 201
    assert len(known.identify(photo).json()["faces"]) == 1


def test_what_is_no_image_is_still_refused(known: Api) -> None:
    check_problem(known.enroll(b"words", name="anything"), 415, "not_an_image")


def test_no_detector_is_loaded(
    make_api: ApiMaker, make_bundle: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("It was loaded.")

    monkeypatch.setattr(service.served_bundles, "make_detector", refuse)
    api = make_api(bundle_path=make_bundle(fit="pad"))
    assert api.get("/readyz").json()["detector"] == "whole_image"


# Red, green and blue thirds of a picture three times as wide as high, by hand into 40 x 40.
THIRDS = np.zeros((40, 120, 3), dtype=np.uint8)
THIRDS[:, :40, 0], THIRDS[:, 40:80, 1], THIRDS[:, 80:, 2] = 255, 255, 255
SEEN: dict[str, tuple[int, dict[tuple[int, int], tuple[int, int, int]]]] = {
    # fit: places (row, column) of the crop and their colours there
    "pad": {(2, 20): (0, 0, 0), (37, 20): (0, 0, 0), (20, 5): (255, 0, 0), (20, 20): (0, 255, 0)},
    "crop": {(2, 2): (0, 255, 0), (20, 20): (0, 255, 0), (37, 37): (0, 255, 0)},
    "stretch": {(2, 5): (255, 0, 0), (20, 20): (0, 255, 0), (37, 35): (0, 0, 255)},
}


@pytest.mark.parametrize("fit", SEEN)
def test_the_model_sees_the_fit_of_the_manifest(
    make_api: ApiMaker, make_bundle: BundleMaker, monkeypatch: pytest.MonkeyPatch, fit: Any
) -> None:
    api = make_api(bundle_path=make_bundle(fit=fit))
    seen: list[Pixels] = []
    embed = api.runtime.default.bundle.embedder.embed

    def watched(crops: Pixels) -> Any:
        seen.append(crops)
        return embed(crops)

    monkeypatch.setattr(api.runtime.default.bundle.embedder, "embed", watched)
    assert api.enroll(encoded(THIRDS), name="thirds").status_code == 201
    (crops,) = seen
    assert (crops.shape, crops.dtype) == ((1, WHOLE_SIDE_PX, WHOLE_SIDE_PX, 3), np.uint8)
    assert {at: tuple(crops[0][at]) for at in SEEN[fit]} == SEEN[fit]
