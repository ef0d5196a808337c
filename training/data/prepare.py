"""From a source of images to a pack: in several processes, resumable."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from contract.alignment import CROP_SIDE_PX
from contract.detection.base import FaceDetector
from contract.errors import ImageError
from contract.fitting import Fit
from training.data.crops import (
    Crop,
    DetectedFaces,
    LandmarkFace,
    Square,
    Whole,
    served_detector,
)
from training.data.journal import Entry, Journal
from training.data.pack import IMAGES_NAME, INDEX_NAME, PackIndex, place_pack
from training.data.sources.base import Listing, Sample, Source, SourceError, UnusableError
from training.data.sources.choose import Kind, open_source
from training.data.sources.fewer import fewer_images
from training.data.sources.files import open_files
from training.data.workers import Job, pixels_of, work

WORK_NAME = ".prepare"
WORK_VERSION = 1
CONFLICTS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareConfig:
    """How a source becomes a pack.

    kind: layout of the source; `auto` looks at it. `faces` and `images` are folders of identities,
        `mnist` is idx files.
    aligned: faces are crops of 112 x 112 at the template already.
    realigned: faces are such crops, and each is found and aligned anew, so that the pack holds what
        a service makes of photos.
    splits: of `faces` and `images`, folders train and test are the data's own splits.
    side_px: makes all images squares of this side, by `fit`; None leaves their size, which has to
        be one.
    variant: which of several data sets of idx files.
    most_images: of each identity, drawn by chance; None for all.
    """

    kind: Kind | Literal["auto"] = "auto"
    aligned: bool = False
    realigned: bool = False
    splits: bool = False
    side_px: int | None = None
    fit: Fit = "pad"
    variant: str | None = None
    most_images: int | None = None

    def __post_init__(self) -> None:
        if self.side_px is not None and not 8 <= self.side_px <= 1024:
            raise ValueError(f"--side must be 8 to 1024 pixels, not {self.side_px}.")
        if self.most_images is not None and self.most_images < 1:
            raise ValueError(f"--most-images must be at least 1, not {self.most_images}.")
        if self.aligned and self.realigned:
            raise ValueError(
                "--aligned leaves the crops as they are, --realigned does not: not both."
            )
        if self.of_crops and self.kind not in ("auto", "faces"):
            word = "--aligned" if self.aligned else "--realigned"
            raise ValueError(f"{word} is for --kind faces, not {self.kind}.")
        if self.side_px is not None and (self.of_crops or self.kind in ("faces", "vggface2")):
            raise ValueError(f"Faces are {CROP_SIDE_PX}x{CROP_SIDE_PX}: --side is for the others.")

    @property
    def of_crops(self) -> bool:
        """Whether the source holds crops of faces at the template."""
        return self.aligned or self.realigned


@dataclass(frozen=True, slots=True)
class Prepared:
    """index: of the pack. remarks: sentences on what is odd about the images that are in it."""

    index: PackIndex
    remarks: tuple[str, ...]


def prepare(
    source: Path,
    out: Path,
    config: PrepareConfig,
    *,
    workers: int = 1,
    detector: Callable[[], FaceDetector] = served_detector,
) -> Prepared:
    """Pack all images of `source` into folder `out`.

    workers: processes; 1 works in this one. detector: makes the one that finds faces; of each photo
    the most central face is taken.
    An image that cannot be used is listed with its reason and left out. Work that was stopped goes
    on; the result is that of work that was not. A pack that is in `out` stays until it is replaced.
    Raises SourceError if `source` cannot be read or no image at all could be used, JournalError if
    `out` is at another work, PreparationError if the work broke off.
    """
    if workers < 1:
        raise ValueError(f"--workers must be at least 1, not {workers}.")
    kind, found = open_source(
        source,
        kind="faces" if config.of_crops else None if config.kind == "auto" else config.kind,
        folders="faces" if config.side_px is None else "images",
        splits=config.splits,
        variant=config.variant,
    )
    if config.most_images is not None:
        found = fewer_images(found, config.most_images)
    crop = _crop(kind, found, config, detector)
    _after_the_end(out)
    head = _head(kind, found.listing, config, crop)
    with closing(
        Journal(out / WORK_NAME, head, height_px=crop.height_px, width_px=crop.width_px)
    ) as journal:
        _fill(journal, found, crop, workers)
        if journal.used:
            return _finish(journal, found.listing, crop, out)
    shutil.rmtree(out / WORK_NAME)
    if not any(out.iterdir()):
        out.rmdir()
    raise SourceError(_none_usable(found.listing, (entry.reason for entry in journal.entries)))


def _crop(
    kind: Kind, source: Source, config: PrepareConfig, detector: Callable[[], FaceDetector]
) -> Crop:
    if kind == "vggface2":
        return LandmarkFace()
    if kind == "faces" and not config.aligned:
        # Crops end where faces do, and a detector finds faces that have something about them.
        border_px = CROP_SIDE_PX // 2 if config.realigned else 0
        return DetectedFaces(detector, detector().name, border_px)
    if kind == "faces":
        return Whole(
            width_px=CROP_SIDE_PX,
            height_px=CROP_SIDE_PX,
            wanted="an aligned crop has",
            alignment="five_point_112",
        )
    if config.side_px is not None:
        return Square(side_px=config.side_px, fit=config.fit)
    height, width = _first_size(source)
    return Whole(
        width_px=width,
        height_px=height,
        wanted="the first image has (--side makes one size of all)",
    )


def _first_size(source: Source) -> tuple[int, int]:
    """Height and width of the first image that can be read. Raises SourceError without one."""
    files = open_files(source.files) if source.files else None
    reasons = []
    for task in source.tasks(0):
        try:
            image, _ = pixels_of(task, files)
        except (ImageError, UnusableError) as reason:
            reasons.append(str(reason))
        else:
            return image.shape[0], image.shape[1]
    raise SourceError(_none_usable(source.listing, reasons))


def _none_usable(listing: Listing, reasons: Iterable[str]) -> str:
    first = next(iter(reasons), "")
    return (
        f"None of the {len(listing.samples)} images of {listing.name} could be used; the first, "
        f"{listing.samples[0].path}: {first}"
    )


def _head(kind: Kind, listing: Listing, config: PrepareConfig, crop: Crop) -> dict[str, Any]:
    """What has to be the same for work to go on."""
    return {
        "version": WORK_VERSION,
        "source": listing.name,
        **asdict(config),
        "kind": kind,
        "size": f"{crop.width_px}x{crop.height_px}",
        "detector": crop.detector,
        "stamp": listing.stamp,
    }


def _after_the_end(out: Path) -> None:
    """Puts right what a kill between the last steps of `_finish` has left."""
    work_folder = out / WORK_NAME
    if not work_folder.exists() or (work_folder / IMAGES_NAME).exists():
        return
    if (out / INDEX_NAME).exists():
        shutil.rmtree(work_folder)
    elif (out / IMAGES_NAME).exists():
        (out / IMAGES_NAME).replace(work_folder / IMAGES_NAME)


def _fill(journal: Journal, source: Source, crop: Crop, workers: int) -> None:
    """Do what is not done yet."""
    total, start = len(source.listing.samples), len(journal.entries)
    if start == total:
        return
    workers = workers if source.files else 1  # pixels that are there already need no decoding
    done = work(Job(source.files, crop), source.tasks(start), workers=workers)
    bar = tqdm(done, f"prepare {source.listing.name}", total=total, initial=start, unit="img")
    with closing(done), closing(bar):
        for result in bar:
            journal.add(result)


def _finish(journal: Journal, listing: Listing, crop: Crop, out: Path) -> Prepared:
    rows = list(zip(listing.samples, journal.entries, strict=True))
    used = [(sample, entry) for sample, entry in rows if not entry.reason]
    refused = [(sample.path, entry.reason) for sample, entry in rows if entry.reason]
    identities = tuple(sorted({sample.identity for sample, _ in used}))
    number = {identity: i for i, identity in enumerate(identities)}
    index = PackIndex(
        source=listing.name,
        alignment=crop.alignment,
        fit=crop.fit,
        detector=crop.detector,
        identities=identities,
        paths=tuple(sample.path for sample, _ in used),
        labels=tuple(number[sample.identity] for sample, _ in used),
        splits=tuple(sample.split for sample, _ in used),
        unused=tuple(sorted([*listing.unused, *refused])),
    )
    place_pack(out, index, journal.finish(), listing.pairs)
    shutil.rmtree(out / WORK_NAME)
    return Prepared(index, (*listing.remarks, *_lonely(index), *_conflicts(used)))


def _lonely(index: PackIndex) -> list[str]:
    counts = [0] * len(index.identities)
    for label in index.labels:
        counts[label] += 1
    lonely = counts.count(1)
    if not lonely:
        return []
    return [
        f"{lonely} of {len(counts)} identities have one image: a split by identity keeps them out "
        "of training."
    ]


def _conflicts(used: list[tuple[Sample, Entry]]) -> list[str]:
    """A picture that two identities share is wrong of one of them; it stays, and is told."""
    by_content: dict[str, list[Sample]] = defaultdict(list)
    for sample, entry in used:
        by_content[entry.digest].append(sample)
    shared = [same for same in by_content.values() if len({s.identity for s in same}) > 1]
    lines = [
        f"one picture, several identities: {', '.join(s.path for s in same)}"
        for same in shared[:CONFLICTS_SHOWN]
    ]
    if len(shared) > len(lines):
        lines.append(f"one picture, several identities: {len(shared) - len(lines)} more")
    return lines
