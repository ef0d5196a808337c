"""CIFAR-10 (Krizhevsky, 2009): the python pickles, or JPEG files of them.

Pickles: `data_batch_1` to `data_batch_5`, `test_batch` and `batches.meta`, in a folder, a zip or
the original tar.gz. Unpickling runs what a file says, so only numpy arrays and plain containers are
let through. JPEG: `train/<class>/*.jpg` and `test/<class>/*.jpg`, as the public repository
CIFAR-10-images has them; they are about 30 dB away from the original, so their pack is called
`cifar10-jpeg` and figures on it are comparable with a remark alone.
"""

import io
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.pack import Split
from training.data.sources.base import Listing, Sample, SourceError, Task, UnusableError, stamp_of
from training.data.sources.files import Files, read_member
from training.data.sources.images import (
    IMAGE_SUFFIXES,
    ImageSource,
    find_images,
    image_source,
    split_depth,
)

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
BATCHES: dict[str, Split] = {
    **{f"data_batch_{i}": "train" for i in range(1, 6)},
    "test_batch": "test",
}
SIDE_PX = 32


class Cifar10Source:
    """Pickled batches of 10,000 images, one in memory at a time."""

    files = None

    def __init__(self, root: Path, files: Files) -> None:
        self._files = files
        found = {PurePosixPath(name).name: name for name in sorted(files.members)}
        missing = [name for name in BATCHES if name not in found]
        if missing:
            raise SourceError(f"{root} lacks {', '.join(missing)} of CIFAR-10's python version.")
        self._batches = [(found[name], split) for name, split in BATCHES.items()]
        names = _class_names(files, found.get("batches.meta"))
        samples: list[Sample] = []
        stamps: list[object] = [names]
        counts: dict[Split, int] = {"train": 0, "test": 0}
        for member, split in self._batches:
            _, labels = _batch(files, member)
            for label in labels:
                samples.append(Sample(f"{split}/{counts[split]:05}", names[label], split))
                counts[split] += 1
            stamps += [member, files.members[member], labels]
        if not samples:
            raise SourceError(f"{root} has no image.")
        self.listing = Listing(name="cifar10", samples=tuple(samples), stamp=stamp_of(stamps))

    def tasks(self, start: int) -> Iterator[Task]:
        for member, _ in self._batches:
            planes, _ = _batch(self._files, member)
            skipped = min(start, len(planes))
            start -= skipped
            for image in planes[skipped:].transpose(0, 2, 3, 1):
                yield Task(pixels=np.ascontiguousarray(image))


def is_cifar10(files: Files) -> bool:
    """Whether there are its pickles, or JPEG files in folders of all its classes."""
    names = {PurePosixPath(name).name for name in files.members}
    return bool(names & BATCHES.keys()) or _is_jpeg(files)


def cifar10_source(root: Path, files: Files) -> Cifar10Source | ImageSource:
    """Raises SourceError if it is neither form."""
    if not _is_jpeg(files):
        return Cifar10Source(root, files)
    source = image_source(root, files, splits=True)
    listing = source.listing
    samples = tuple(
        replace(sample, identity=PurePosixPath(sample.identity).name) for sample in listing.samples
    )
    return replace(source, listing=replace(listing, name="cifar10-jpeg", samples=samples))


def _is_jpeg(files: Files) -> bool:
    # Most sources are not this one: look at the names only, and at the folders first.
    images = [n for n in files.members if PurePosixPath(n).suffix.lower() in IMAGE_SUFFIXES]
    if {PurePosixPath(name).parent.name for name in images} != set(CLASSES):
        return False
    return split_depth(find_images(files).members) is not None


def _batch(files: Files, member: str) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Colour planes, uint8 (N, 3, 32, 32), and labels. Raises SourceError."""
    values = _unpickled(files, member)
    data, labels = values.get(b"data"), values.get(b"labels")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape[1:] != (3 * SIDE_PX**2,)
        or not isinstance(labels, list)
        or len(labels) != len(data)
        or not all(isinstance(label, int) and 0 <= label < len(CLASSES) for label in labels)
    ):
        raise SourceError(f"{member} is not a batch of CIFAR-10.")
    return data.reshape(-1, 3, SIDE_PX, SIDE_PX), labels


def _class_names(files: Files, member: str | None) -> tuple[str, ...]:
    if member is None:
        return CLASSES
    names = _unpickled(files, member).get(b"label_names")
    if names != [name.encode() for name in CLASSES]:
        raise SourceError(f"{member} does not name the classes of CIFAR-10.")
    return CLASSES


def _unpickled(files: Files, member: str) -> dict[Any, Any]:
    try:
        values = _Unpickler(io.BytesIO(read_member(files, member)), encoding="bytes").load()
    except UnusableError as error:
        raise SourceError(f"{member} {error}") from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise SourceError(f"{member} is not a batch of CIFAR-10: {error}") from error
    if not isinstance(values, dict):
        raise SourceError(f"{member} is not a batch of CIFAR-10.")
    return values


class _Unpickler(pickle.Unpickler):
    """Makes numpy arrays, and what pickle makes without importing anything: containers and text."""

    _RECONSTRUCT = np.zeros(0).__reduce__()[0]  # numpy's own, whose module changed its name
    _KNOWN = {  # noqa: RUF012 - never written to
        ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None
