"""Photo: faces are looked for in few pixels, and are where they are in all of them."""

import functools

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage.data import astronaut

from benchmarks.pictures import encoded
from contract.detection.base import DetectedFace
from contract.detection.yunet import YunetDetector
from contract.errors import DamagedImageError
from contract.images import DEFAULT_LIMITS
from service import photo as module
from service.cropping import AlignedFace, FittedImage
from service.photo import Photo

Pixels = npt.NDArray[np.uint8]


@functools.cache
def portrait(side_px: int) -> bytes:
    """The astronaut, 512 x 512, enlarged."""
    large = Image.fromarray(astronaut()).resize((side_px, side_px), Image.Resampling.BICUBIC)
    return encoded(np.asarray(large), "JPEG", quality=95)


def found(photo: Photo) -> DetectedFace:
    (face,) = YunetDetector().detect(photo.seen)
    return photo.in_whole(face)


def test_a_photo_no_larger_than_what_is_searched_has_all_its_pixels() -> None:
    photo = Photo(portrait(1024), DEFAULT_LIMITS, searched_px=1024)
    assert not photo.is_reduced
    assert photo.pixels is photo.seen
    face = found(photo)
    assert photo.in_whole(face) is face


def test_nothing_is_reduced_where_all_pixels_are_needed() -> None:
    photo = Photo(portrait(2048), DEFAULT_LIMITS, searched_px=None)
    assert photo.seen.shape == (2048, 2048, 3)


def test_a_face_of_a_reduced_photo_is_where_it_is_in_the_whole() -> None:
    reduced = Photo(portrait(2048), DEFAULT_LIMITS, searched_px=512)
    whole = Photo(portrait(2048), DEFAULT_LIMITS, searched_px=None)
    assert (reduced.width, reduced.height, reduced.seen.shape) == (2048, 2048, (512, 512, 3))
    assert reduced.is_reduced
    face, expected = found(reduced), found(whole)
    # The face is 460 pixels high, its eyes 170 pixels apart.
    assert np.abs(face.landmarks - expected.landmarks).max() < 25
    assert np.abs(np.array(face.box) - expected.box).max() < 40
    assert face.landmarks.dtype == np.float32


def test_a_large_face_is_cut_from_the_reduced_photo_as_it_would_be_from_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = Photo(portrait(4096), DEFAULT_LIMITS, searched_px=1024)
    assert photo.seen.shape == (1024, 1024, 3)
    face = found(photo)
    expected = AlignedFace().crop(photo.pixels, face)
    again = Photo(portrait(4096), DEFAULT_LIMITS, searched_px=1024)
    monkeypatch.setattr(module, "decode_image", None)
    crop = again.crop(face, AlignedFace())
    # Half a pixel of shift, where light meets dark, would be more than that.
    assert np.abs(crop.astype(int) - expected).mean() < 1.5


def test_a_face_too_small_there_is_cut_from_the_whole_photo() -> None:
    photo = Photo(portrait(1024), DEFAULT_LIMITS, searched_px=512)
    assert photo.seen.shape == (512, 512, 3)
    # The eyes are 92 pixels apart in the photo, and 46 in what is searched: 53 are needed.
    face = found(photo)
    whole = Photo(portrait(1024), DEFAULT_LIMITS, searched_px=None)
    assert np.array_equal(photo.crop(face, AlignedFace()), AlignedFace().crop(whole.pixels, face))
    assert "pixels" in photo.__dict__


def test_what_has_no_landmarks_is_cut_from_the_whole_photo() -> None:
    photo = Photo(portrait(2048), DEFAULT_LIMITS, searched_px=512)
    image = DetectedFace((0.0, 0.0, 2048.0, 2048.0), np.zeros((0, 2), dtype=np.float32), 1.0)
    crop = photo.crop(image, FittedImage(64, "pad"))
    assert np.array_equal(crop, FittedImage(64, "pad").crop(photo.pixels, image))


def test_a_damaged_photo_is_refused_at_once() -> None:
    with pytest.raises(DamagedImageError):
        Photo(portrait(1024)[:5_000], DEFAULT_LIMITS, searched_px=512)
