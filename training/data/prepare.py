"""From a zip or folder of identities to a pack.

The identity of an image is the folder that it lies in (`pubfig/Lucy_Liu/3.webp` is of
`pubfig/Lucy_Liu`), so every layout of one folder an identity works.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from contract.alignment import CROP_SIDE_PX, align_face
from contract.detection.base import DetectedFace, FaceDetector
from contract.errors import ImageError
from contract.images import decode_image
from training.data.pack import PAIRS_NAME, PackIndex, write_pack

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})

Pixels = npt.NDArray[np.uint8]


class SourceError(ValueError):
    """A source of images cannot be read or holds none."""


def prepare(source: Path, out: Path, detector: FaceDetector | None) -> PackIndex:
    """Pack all images of `source` (a zip or a folder) into folder `out`.

    detector: None takes the images as aligned crops of 112 x 112 already; otherwise the most
    central face of each photo is found and aligned.
    An image that cannot be used is listed with its reason and left out.
    Raises SourceError if `source` cannot be read or no image at all could be used.
    """
    crop = _whole_crop if detector is None else _face_crop(detector)
    files = _Files(source)
    crops: list[Pixels] = []
    paths: list[str] = []
    unused: list[tuple[str, str]] = []
    for path in tqdm(files.images, desc=f"prepare {source.name}", unit="img"):
        try:
            crops.append(crop(decode_image(files.read(path))))
            paths.append(path)
        except (ImageError, _UnusableError) as reason:
            unused.append((path, str(reason)))
    if not crops:
        raise SourceError(f"None of the {len(unused)} images of {source} could be used.")
    owners = [str(PurePosixPath(path).parent) for path in paths]
    identities = tuple(sorted(set(owners)))
    number = {identity: i for i, identity in enumerate(identities)}
    index = PackIndex(
        source=source.name,
        alignment="five_point_112",
        identities=identities,
        paths=tuple(paths),
        labels=tuple(number[owner] for owner in owners),
        unused=tuple(unused),
    )
    out.mkdir(parents=True, exist_ok=True)
    for path in files.pairs:
        (out / PAIRS_NAME).write_bytes(files.read(path))
    write_pack(out, index, np.stack(crops))
    return index


class _UnusableError(ValueError):
    """A file that was there but cannot go into the pack."""


def _whole_crop(image: Pixels) -> Pixels:
    if image.shape != (CROP_SIDE_PX, CROP_SIDE_PX, 3):
        height, width = image.shape[:2]
        raise _UnusableError(
            f"has {width} x {height} pixels, an aligned crop has {CROP_SIDE_PX} x {CROP_SIDE_PX}"
        )
    return image


def _face_crop(detector: FaceDetector) -> Callable[[Pixels], Pixels]:
    def crop(image: Pixels) -> Pixels:
        faces = detector.detect(image)
        if not faces:
            raise _UnusableError("no face was found")
        return align_face(image, central_face(image, faces).landmarks)

    return crop


def central_face(image: Pixels, faces: list[DetectedFace]) -> DetectedFace:
    """The face whose box lies nearest the middle of the photo, where a portrait has its subject."""
    middle = np.array([image.shape[1], image.shape[0]]) / 2

    def distance(face: DetectedFace) -> float:
        left, top, right, bottom = face.box
        return float(np.hypot(*((left + right) / 2 - middle[0], (top + bottom) / 2 - middle[1])))

    return min(faces, key=distance)


class _Files:
    """The image files of a zip or folder, by their path inside it, in sorted order."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._zip = None
        try:
            if source.is_dir():
                names = [p.relative_to(source).as_posix() for p in _walk(source)]
            else:
                self._zip = zipfile.ZipFile(source)
                names = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        except (OSError, zipfile.BadZipFile) as error:
            raise SourceError(f"{source} is neither a folder nor a readable zip file.") from error
        self.images = sorted(n for n in names if PurePosixPath(n).suffix.lower() in IMAGE_SUFFIXES)
        self.pairs = [n for n in names if PurePosixPath(n).name == PAIRS_NAME]
        if not self.images:
            raise SourceError(f"{source} holds no .jpg, .png or .webp image.")

    def read(self, path: str) -> bytes:
        try:
            return self._zip.read(path) if self._zip else (self._source / path).read_bytes()
        except (OSError, zipfile.BadZipFile, zlib.error) as error:
            raise _UnusableError(f"cannot be read: {error}") from error


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
