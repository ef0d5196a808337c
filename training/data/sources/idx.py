"""The idx files of MNIST, Fashion-MNIST and EMNIST, gzipped or not, in a folder or zip.

The file names say what is what: `train-images-idx3-ubyte`, `t10k-…` or `test-…`, and for EMNIST
`emnist-balanced-train-images-idx3-ubyte.gz`. Grey becomes RGB with three equal channels.

EMNIST's official files hold each image transposed; they are known by their name's `emnist-`, and
turned so that letters stand upright. Files of other names are taken as they are: the stand-in
`emnist47` holds upright letters. Names of classes are those of `mapping.json` (a list) or
`emnist-…-mapping.txt` (label, code points) beside the files, of Fashion-MNIST where `fashion` is in
the name of the folder or source, else the labels.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import numpy.typing as npt

from training.data.pack import SPLITS, Split
from training.data.sources.base import (
    Listing,
    Pixels,
    Sample,
    SourceError,
    Task,
    stamp_of,
)
from training.data.sources.files import READ_ERRORS, Files, read_member

Stream = IO[bytes] | gzip.GzipFile

NAME = re.compile(
    r"(?:(?P<set>.+)-)?(?P<split>train|test|t10k)-(?P<what>images|labels)[-.]idx[13]-ubyte(?:\.gz)?"
)
IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801  # unsigned bytes of 3 dimensions and of 1
MAX_IMAGES, MAX_SIDE_PX = 10_000_000, 1024  # what a damaged header must not make us allocate
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
# Folders of torchvision and the like, which say nothing of the data.
NAMELESS = frozenset({"", ".", "raw", "data", "gzip"})


@dataclass(frozen=True, slots=True)
class _Part:
    """The two files of one split, and the labels that the one holds."""

    split: Split
    images: str
    labels: str


@dataclass(frozen=True, slots=True)
class _DataSet:
    """One data set of a source, which may hold several (EMNIST has six)."""

    folder: str
    prefix: str
    parts: tuple[_Part, ...]

    @property
    def official_emnist(self) -> bool:
        return self.prefix.startswith("emnist")

    @property
    def variant(self) -> str:
        """What --variant calls it."""
        return self.prefix.removeprefix("emnist-") or self.folder or "."


class IdxSource:
    """Images are read from the files in their order, a few at a time."""

    files = None

    def __init__(
        self, files: Files, data: _DataSet, name: str, names: Callable[[int], str]
    ) -> None:
        self._files, self._data = files, data
        samples: list[Sample] = []
        stamps: list[object] = []
        for part in data.parts:
            labels = _labels(files, part.labels)
            count = self._shape(part)[0]
            if count != len(labels):
                raise SourceError(
                    f"{part.images} has {count} images, {part.labels} {len(labels)} labels."
                )
            identities = {label: names(label) for label in np.unique(labels).tolist()}
            samples += [
                Sample(f"{part.split}/{i:05}", identities[label], part.split)
                for i, label in enumerate(labels.tolist())
            ]
            stamps += [files.members[part.images], labels.tobytes(), identities]
        if not samples:
            raise SourceError(f"{name} has no image.")
        self.listing = Listing(name=name, samples=tuple(samples), stamp=stamp_of(stamps))

    def tasks(self, start: int) -> Iterator[Task]:
        for part in self._data.parts:
            count, height, width = self._shape(part)
            skipped = min(start, count)
            start -= skipped
            with _stream(self._files, part.images) as stream:
                _header(stream, IMAGES_MAGIC, part.images)
                _skip(stream, skipped * height * width, part.images)
                for _ in range(skipped, count):
                    raw = _exactly(stream, height * width, part.images)
                    yield Task(pixels=self._pixels(raw, height, width))

    def _shape(self, part: _Part) -> tuple[int, int, int]:
        with _stream(self._files, part.images) as stream:
            count, height, width = _header(stream, IMAGES_MAGIC, part.images)
        return count, height, width

    def _pixels(self, raw: bytes, height: int, width: int) -> Pixels:
        grey = np.frombuffer(raw, dtype=np.uint8).reshape(height, width)
        if self._data.official_emnist:
            grey = grey.T
        return np.repeat(grey[:, :, None], 3, axis=2)


def is_idx(files: Files) -> bool:
    """Whether there is a file of images in this format, by its name."""
    found = (NAME.fullmatch(PurePosixPath(name).name) for name in files.members)
    return any(match and match["what"] == "images" for match in found)


def idx_source(root: Path, files: Files, *, variant: str | None) -> IdxSource:
    """The data set of `root`, or the one of several that `variant` names.

    Raises SourceError.
    """
    found = {data.variant: data for data in _data_sets(files)}
    if not found:
        raise SourceError(f"{root} holds no idx files, as train-images-idx3-ubyte.gz is one.")
    if variant is None and len(found) > 1:
        raise SourceError(
            f"{root} holds {len(found)} data sets: choose by --variant {' | '.join(sorted(found))}."
        )
    if variant is not None and variant not in found:
        raise SourceError(f"{root} has no {variant}: there is {', '.join(sorted(found))}.")
    data = found[variant] if variant is not None else next(iter(found.values()))
    name = _name(root, data)
    return IdxSource(files, data, name, _namer(files, data, name))


def _data_sets(files: Files) -> list[_DataSet]:
    members: dict[tuple[str, str], dict[tuple[Split, str], str]] = defaultdict(dict)
    for member in sorted(files.members):  # x before x.gz: the one that is quicker to read
        path = PurePosixPath(member)
        match = NAME.fullmatch(path.name)
        if match:
            split: Split = "train" if match["split"] == "train" else "test"
            folder = "" if path.parent == PurePosixPath() else str(path.parent)
            key = (folder, match["set"] or "")
            members[key].setdefault((split, match["what"]), member)
    return [
        _DataSet(folder, prefix, tuple(_parts(prefix or folder, found)))
        for (folder, prefix), found in members.items()
    ]


def _parts(name: str, found: dict[tuple[Split, str], str]) -> Iterator[_Part]:
    for split in SPLITS:
        images, labels = found.get((split, "images")), found.get((split, "labels"))
        if images and labels:
            yield _Part(split, images, labels)
        elif images or labels:
            there, missing = (images, "labels") if images else (labels, "images")
            raise SourceError(f"{there} has no file of {missing} beside it.")


def _name(root: Path, data: _DataSet) -> str:
    if data.official_emnist:
        return data.prefix
    folders = [*reversed(PurePosixPath(data.folder).parts), *reversed(root.absolute().parts)]
    if root.is_file():
        folders = [*reversed(PurePosixPath(data.folder).parts), root.stem]
    name = next((folder for folder in folders if folder.lower() not in NAMELESS), root.stem)
    return "fashion-mnist" if "fashion" in name.lower() else name


def _namer(files: Files, data: _DataSet, name: str) -> Callable[[int], str]:
    names = _mapping(files, data)
    if names is None and name == "fashion-mnist":
        names = dict(enumerate(FASHION))
    if names is None:
        return str

    def named(label: int) -> str:
        if label not in names:
            raise SourceError(f"{name}: label {label} has no name in the mapping of the classes.")
        return names[label]

    return named


def _mapping(files: Files, data: _DataSet) -> dict[int, str] | None:
    """Names that a file beside the images gives; None where there is no such file."""
    folder = f"{data.folder}/" if data.folder else ""
    official, listed = f"{folder}{data.prefix}-mapping.txt", f"{folder}mapping.json"
    try:
        if data.official_emnist and official in files.members:
            lines = read_member(files, official).decode("ascii").splitlines()
            numbers = [[int(word) for word in line.split()] for line in lines if line.strip()]
            names = {label: "".join(map(chr, codes)) for label, *codes in numbers}
        elif listed in files.members:
            names = dict(enumerate(json.loads(read_member(files, listed))))
        else:
            return None
    except (ValueError, TypeError, OverflowError) as error:
        raise SourceError(
            f"{folder}mapping: the names of the classes cannot be read: {error}"
        ) from error
    named = [name for name in names.values() if isinstance(name, str) and name]
    if len(set(named)) < len(names):
        raise SourceError(f"{folder}mapping: each class needs a name of its own.")
    return names


def _labels(files: Files, member: str) -> npt.NDArray[np.uint8]:
    with _stream(files, member) as stream:
        (count,) = _header(stream, LABELS_MAGIC, member)
        return np.frombuffer(_exactly(stream, count, member), dtype=np.uint8)


@contextmanager
def _stream(files: Files, member: str) -> Iterator[Stream]:
    """Unpacked where it is gzipped, whatever its name says. Raises SourceError."""
    with ExitStack() as closing:
        try:
            raw = closing.enter_context(files.open(member))
            start = raw.read(2)
            raw.seek(0)
            stream = closing.enter_context(gzip.open(raw)) if start == b"\x1f\x8b" else raw
        except READ_ERRORS as error:
            raise _damaged(member) from error
        yield stream


def _header(stream: Stream, magic: int, member: str) -> tuple[int, ...]:
    """The sizes of the dimensions."""
    found = int.from_bytes(_exactly(stream, 4, member), "big")
    if found != magic:
        raise SourceError(f"{member} begins with {found:#010x}, an idx file with {magic:#010x}.")
    raw = (_exactly(stream, 4, member) for _ in range(magic & 0xFF))
    count, *sides = (int.from_bytes(size, "big") for size in raw)
    if count > MAX_IMAGES or not all(0 < side <= MAX_SIDE_PX for side in sides):
        raise SourceError(f"{member} says that it holds {count} x {sides}: it is damaged.")
    return count, *sides


def _skip(stream: Stream, size: int, member: str) -> None:
    for at in range(0, size, 1 << 20):
        _exactly(stream, min(1 << 20, size - at), member)


def _exactly(stream: Stream, size: int, member: str) -> bytes:
    try:
        data = stream.read(size)
    except READ_ERRORS as error:
        raise _damaged(member) from error
    if len(data) < size:
        raise _damaged(member)
    return data


def _damaged(member: str) -> SourceError:
    return SourceError(f"{member} is damaged or breaks off: get the original file again.")
