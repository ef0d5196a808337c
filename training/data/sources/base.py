"""The seam to sources of images: what a source says of itself, and the tasks that it makes.

A source lists its samples in the order of the pack, before any pixel is read. Each sample is one
task: a file to decode, or pixels that are there already.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.data.pack import Split

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Unused = tuple[str, str]  # path, reason in words


class SourceError(ValueError):
    """A source of images cannot be read, holds none or contradicts itself."""


class UnusableError(ValueError):
    """One image cannot go into the pack; the words say why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image. path: its name in the pack, which no other has, in Unicode's form NFC."""

    path: str
    identity: str
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """name: of the data. samples: in the order of the pack. unused: what is known to be of no use.

    remarks: sentences on what is odd about the source as a whole. pairs: LFW's pairs.txt.
    stamp: hash of everything that the samples depend on: another source has another one.
    """

    name: str
    samples: tuple[Sample, ...]
    stamp: str
    unused: tuple[Unused, ...] = ()
    remarks: tuple[str, ...] = ()
    pairs: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What makes one image of the pack: the name of a file in the source, or pixels.

    landmarks: five points as contract/alignment.py takes them, float32 (5, 2), where they are known
        without a detector.
    """

    member: str = ""
    landmarks: Points | None = None
    pixels: Pixels | None = None


class Source(Protocol):
    """A data set in the layout that it comes in."""

    @property
    def listing(self) -> Listing: ...

    @property
    def files(self) -> Path | None:
        """Folder or zip that the tasks' files lie in; None where tasks hold pixels themselves."""
        ...

    def tasks(self, start: int) -> Iterator[Task]:
        """One task for each of `listing.samples[start:]`. Raises SourceError."""
        ...


def stamp_of(parts: Iterable[object]) -> str:
    """Hash of a sequence of values that have a plain `repr`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part).encode("utf-8", "backslashreplace") + b"\0")
    return digest.hexdigest()
