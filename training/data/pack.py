"""A pack: aligned crops in one file that is mapped into memory, beside one index.

A pack is a folder with `images.npy` (uint8, (N, H, W, 3) RGB), `index.json` (PackIndex) and,
where the source has one, `pairs.txt` (the verification protocol of LFW).
"""

import dataclasses
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FORMAT_VERSION = 1
PAIRS_NAME = "pairs.txt"


class PackError(ValueError):
    """A folder is not a pack that we can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackIndex:
    """Everything but the pixels.

    paths: of each image inside its source, length N. labels: index into `identities`, length N.
    unused: (path, reason in words) of what could not be used.
    alignment: `five_point_112` or `none`.
    """

    source: str
    alignment: str
    identities: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    unused: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack opened for reading; `images` is read from disk only where it is looked at."""

    root: Path
    index: PackIndex
    images: npt.NDArray[np.uint8]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Index into `index.identities` of each image, int64 (N,)."""
        return np.asarray(self.index.labels, dtype=np.int64)


def open_pack(root: Path) -> Pack:
    """Open the pack in folder `root`. Raises PackError that says what is wrong."""
    try:
        raw = dict(json.loads((root / "index.json").read_text(encoding="utf-8")))
        images = np.load(root / "images.npy", mmap_mode="r")
    except (OSError, ValueError, TypeError) as error:
        raise PackError(
            f"{root} is not a pack: make one with `oneglance-train prepare`."
        ) from error
    fields = {"format_version", *(field.name for field in dataclasses.fields(PackIndex))}
    if raw.get("format_version") != FORMAT_VERSION or raw.keys() != fields:
        raise PackError(
            f"{root} was packed by another version: run `oneglance-train prepare` again."
        )
    index = PackIndex(
        source=raw["source"],
        alignment=raw["alignment"],
        identities=tuple(raw["identities"]),
        paths=tuple(raw["paths"]),
        labels=tuple(raw["labels"]),
        unused=tuple((path, reason) for path, reason in raw["unused"]),
    )
    if not len(images) == len(index.paths) == len(index.labels):
        raise PackError(f"{root} is incomplete: run `oneglance-train prepare` again.")
    return Pack(root, index, images)


def write_pack(root: Path, index: PackIndex, images: npt.NDArray[np.uint8]) -> None:
    """Write a pack; index.json comes last, so that a folder without it was never finished."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "index.json").unlink(missing_ok=True)  # of an older pack: not of these images
    np.save(root / "images.npy", images)
    temporary = root / ".index.json.tmp"
    temporary.write_text(json.dumps({"format_version": FORMAT_VERSION, **asdict(index)}))
    temporary.replace(root / "index.json")
