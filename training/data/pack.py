"""A pack: images of one size in one file that is mapped into memory, beside one index.

A pack is a folder with `images.npy` (uint8, (N, H, W, 3) RGB), `index.json` (PackIndex) and,
where the source has one, `pairs.txt` (the verification protocol of LFW). A teacher adds
`targets.npy` and `teacher.json`, frozen blocks add their maps (training/data/maps.py); these go
when the pack is prepared anew: they are of other images then.
"""

import dataclasses
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from contract.fitting import Fit

FORMAT_VERSION = 4
INDEX_NAME = "index.json"
IMAGES_NAME = "images.npy"
PAIRS_NAME = "pairs.txt"
TARGETS_NAME = "targets.npy"
TEACHER_NAME = "teacher.json"
MAPS_GLOB = "maps-*.npy"

Alignment = Literal["five_point_112", "none"]
Split = Literal["train", "test"]
ALIGNMENTS: tuple[Alignment, ...] = ("five_point_112", "none")
SPLITS: tuple[Split, ...] = ("train", "test")


class PackError(ValueError):
    """A folder is not a pack that we can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackIndex:
    """Everything but the pixels.

    alignment: `five_point_112` for faces at the template of contract/alignment.py, else `none`.
    fit: how whole images became squares; None for faces and for images taken as they are.
    detector: what found the faces; None where none was asked.
    paths: of each image inside its source, length N, each once.
    labels: index into `identities`, length N.
    splits: the source's own split of each image, length N; all `train` where it has none.
    unused: (path, reason in words) of what could not be used.
    """

    source: str
    alignment: Alignment
    identities: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    splits: tuple[Split, ...]
    unused: tuple[tuple[str, str], ...]
    fit: Fit | None = None
    detector: str | None = None


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
        raw = dict(json.loads((root / INDEX_NAME).read_text(encoding="utf-8")))
        images = _mapped(root / IMAGES_NAME)
    except (OSError, ValueError, TypeError) as error:
        raise PackError(
            f"{root} is not a pack: make one with `oneglance-train prepare`."
        ) from error
    fields = {"format_version", *(field.name for field in dataclasses.fields(PackIndex))}
    if raw.get("format_version") != FORMAT_VERSION or raw.keys() != fields:
        raise PackError(
            f"{root} was packed by another version: run `oneglance-train prepare` again."
        )
    try:
        index = _index(raw)
    except (TypeError, ValueError) as error:
        raise PackError(f"{root} has a broken index: run `oneglance-train prepare` again.") from (
            error
        )
    _check(root, index, images)
    return Pack(root, index, images)


def _mapped(path: Path) -> npt.NDArray[np.uint8]:
    """Copy on write, so that torch need not warn of rows that may not be written to.

    The kernel promises memory for such pages and refuses where a pack is larger than the machine's
    memory; that one is mapped for reading alone.
    """
    try:
        return cast("npt.NDArray[np.uint8]", np.load(path, mmap_mode="c"))
    except FileNotFoundError:
        raise
    except OSError:
        return cast("npt.NDArray[np.uint8]", np.load(path, mmap_mode="r"))


def _index(raw: dict[str, Any]) -> PackIndex:
    return PackIndex(
        source=str(raw["source"]),
        alignment=raw["alignment"],
        identities=tuple(raw["identities"]),
        paths=tuple(raw["paths"]),
        labels=tuple(raw["labels"]),
        splits=tuple(raw["splits"]),
        unused=tuple((path, reason) for path, reason in raw["unused"]),
        fit=raw["fit"],
        detector=raw["detector"],
    )


def _check(root: Path, index: PackIndex, images: npt.NDArray[np.uint8]) -> None:
    """Raises PackError unless index and images can belong together."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise PackError(
            f"{root / IMAGES_NAME} holds {images.dtype} {images.shape}, a pack holds uint8 "
            "(N, H, W, 3): run `oneglance-train prepare` again."
        )
    if not len(images) == len(index.paths) == len(index.labels) == len(index.splits):
        raise PackError(f"{root} is incomplete: run `oneglance-train prepare` again.")
    known = range(len(index.identities))
    wrong = [
        f"its {name} are not valid"
        for name, valid in (
            ("labels", all(type(label) is int and label in known for label in index.labels)),
            ("splits", set(index.splits) <= set(SPLITS)),
            ("alignment", index.alignment in ALIGNMENTS),
            (
                "fit",
                index.fit is None or (index.alignment == "none" and index.fit in get_args(Fit)),
            ),
        )
        if not valid
    ]
    if wrong:
        raise PackError(f"{root}: {', '.join(wrong)}: run `oneglance-train prepare` again.")


def refuse_other_side(pack: Pack, side_px: int) -> None:
    """Raise PackError unless the images are squares of `side_px`, which a network takes."""
    height, width = pack.images.shape[1:3]
    if (height, width) != (side_px, side_px):
        raise PackError(
            f"{pack.root} has images of {width}x{height} pixels, the network takes "
            f"{side_px}x{side_px}: name another pack, prepare this one with --side {side_px}, or "
            "train with the model.side_px that it has."
        )


def write_pack(root: Path, index: PackIndex, images: npt.NDArray[np.uint8]) -> None:
    """Write a pack of images (N, H, W, 3) that are in memory; what an older pack left goes."""
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / f".{IMAGES_NAME}.tmp"
    with temporary.open("wb") as file:
        np.save(file, images)
    place_pack(root, index, temporary)


def place_pack(root: Path, index: PackIndex, images: Path, pairs: bytes | None = None) -> None:
    """Make a finished .npy file inside `root` the pack's images; what an older pack left goes.

    index.json goes first and comes last, so that a folder without it was never finished.
    """
    for name in (INDEX_NAME, TARGETS_NAME, TEACHER_NAME, PAIRS_NAME):
        (root / name).unlink(missing_ok=True)
    for maps in root.glob(MAPS_GLOB):
        maps.unlink()
    images.replace(root / IMAGES_NAME)
    if pairs is not None:
        (root / PAIRS_NAME).write_bytes(pairs)
    temporary = root / f".{INDEX_NAME}.tmp"
    text = json.dumps({"format_version": FORMAT_VERSION, **asdict(index)})
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(root / INDEX_NAME)
