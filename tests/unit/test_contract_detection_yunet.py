"""YuNet behind the seam: one public-domain portrait, pictures without any face, and its file."""

import functools
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage.data import astronaut

from contract.detection import yunet_model
from contract.detection.base import DetectedFace
from contract.detection.choosing import make_detector
from contract.detection.yunet import YunetDetector
from contract.detection.yunet_model import FILE, PACKAGE, read_yunet, yunet_is_there
from contract.errors import OneGlanceError

Pixels = npt.NDArray[np.uint8]

# By eye, in the 512 x 512 portrait: middle of the left and right eye (as seen), tip of the nose.
EYES_AND_NOSE = np.array([[205, 104], [246, 104], [226, 129]])


@functools.cache
def detector(max_side_px: int = 512) -> YunetDetector:
    return YunetDetector(max_side_px=max_side_px)


@functools.cache
def portrait_faces(max_side_px: int = 512) -> list[DetectedFace]:
    return detector(max_side_px).detect(astronaut())


def shrunk(side_px: int) -> Pixels:
    """The portrait so small; its face is about a fifth as high."""
    return np.asarray(Image.fromarray(astronaut()).resize((side_px, side_px)))


def test_colours_are_taken_in_the_right_order() -> None:
    # Red where the skin is blue is a face of another kind: the score says which order was meant.
    (face,) = portrait_faces()
    swapped = detector().detect(np.ascontiguousarray(astronaut()[:, :, ::-1]))
    assert all(other.score < face.score for other in swapped)


def test_small_photos_are_enlarged_and_places_are_those_of_the_photo() -> None:
    (face,) = portrait_faces()
    (small,) = YunetDetector(min_face_px=12).detect(shrunk(96))
    assert np.abs(small.landmarks * 512 / 96 - face.landmarks).max() < 12
    assert np.abs(np.array(small.box) * 512 / 96 - face.box).max() < 20


def test_the_smallest_face_wanted_bounds_what_is_found_and_at_how_many_pixels() -> None:
    (face,) = portrait_faces()
    height = face.box[3] - face.box[1]
    large = YunetDetector(min_face_px=int(height * 0.75))
    (found,) = large.detect(astronaut())
    # A quarter of the pixels were searched, or fewer; the places are still those of the photo.
    assert large._scale(512) < 0.5
    assert np.abs(found.landmarks - face.landmarks).max() < 12
    assert YunetDetector(min_face_px=int(height * 1.25)).detect(astronaut()) == []


def test_a_box_is_clipped_to_the_photo() -> None:
    (low,) = detector().detect(np.ascontiguousarray(astronaut()[20:150, 125:325]))
    assert low.box[3] == 130
    (aside,) = detector().detect(np.ascontiguousarray(astronaut()[20:220, 195:325]))
    assert aside.box[0] == 0


def test_threads_that_search_photos_of_different_sizes_do_not_disturb_each_other() -> None:
    photos = [astronaut(), shrunk(400), shrunk(300), astronaut()[20:220, 125:325].copy()]
    alone = [detector().detect(photo) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detector().detect, photos * 8))
    for faces, expected in zip(found, alone * 8, strict=True):
        for face, other in zip(faces, expected, strict=True):
            assert (face.box, face.score) == (other.box, other.score)


@pytest.mark.parametrize("sizes", [{"min_face_px": 11}, {"min_face_px": 50, "max_side_px": 49}])
def test_sizes_that_exclude_every_face_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="min_face_px"):
        YunetDetector(**sizes)


def test_the_file_is_that_of_the_wheel_whose_code_is_not_imported() -> None:
    assert yunet_is_there()
    assert len(read_yunet()) == 122_489
    assert PACKAGE not in sys.modules


def test_a_file_of_ones_own_is_taken_and_must_be_the_right_one(tmp_path: Path) -> None:
    own = tmp_path / "yunet.onnx"
    own.write_bytes(read_yunet())
    (face,) = YunetDetector(model_path=own, max_side_px=512).detect(astronaut())
    assert face.box == portrait_faces()[0].box
    own.write_bytes(read_yunet()[:-1])
    with pytest.raises(OneGlanceError, match=r"yunet\.onnx has the SHA-256"):
        YunetDetector(model_path=own)
    with pytest.raises(OneGlanceError, match=r"cannot be read .*set yunet_model_path"):
        YunetDetector(model_path=tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (PACKAGE, Path(FILE).name),
        ("cv2", "needs OpenCV"),
        ("onnx", "needs .* onnx"),
        ("onnxruntime", "needs .* onnxruntime"),
    ],
)
def test_without_the_extra_auto_is_mtcnn_and_yunet_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str, words: str
) -> None:
    monkeypatch.setattr(
        yunet_model, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    monkeypatch.setitem(sys.modules, missing, None)
    for module in ("contract.detection.yunet_network", "contract.onnx_folding"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert make_detector("auto").name == "mtcnn"
    with pytest.raises(OneGlanceError, match=rf"{words}.*pip install 'oneglance\[yunet\]'"):
        make_detector("yunet")


def test_auto_is_yunet_where_it_is_installed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert make_detector("auto").name == "yunet"
    assert "faces are found by yunet" in caplog.text
    assert make_detector("mtcnn").name == "mtcnn"
