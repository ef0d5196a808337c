"""VGGFace2 (Cao et al., 2018) in its own layout, with the landmarks of its CSV files.

`{train,test}/n000001/0001_01.jpg` and `bb_landmark/loose_{bb,landmark}_{train,test}.csv`, at any
depth. The columns of the one are NAME_ID, X, Y, W, H (the box), of the other NAME_ID, P1X, P1Y to
P5X, P5Y (eyes, nose, corners of the mouth, left and right as seen), in pixels of the photo;
NAME_ID is as in `n000001/0001_01`. Faces are aligned by these points: no detector runs, and no face
but the one that the data set means is taken. The box only tells points that cannot be of its face.
The identities of train and of test are other people.
"""

import csv
import io
import re
import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.data.pack import SPLITS, Split
from training.data.sources.base import (
    Listing,
    Sample,
    SourceError,
    Task,
    Unused,
    stamp_of,
)
from training.data.sources.files import READ_ERRORS, Files
from training.data.sources.images import find_images

PHOTO = re.compile(r"(?:.*/)?(?P<split>train|test)/(?P<identity>n\d+)/(?P<photo>[^/]+)\.[^./]+")
TABLE = re.compile(r"(?:.*/)?loose_(?P<what>bb|landmark)_(?P<split>train|test)\.csv")
COLUMNS = {
    "bb": ("X", "Y", "W", "H"),
    "landmark": tuple(f"P{i}{axis}" for i in range(1, 6) for axis in "XY"),
}


@dataclass(frozen=True, slots=True)
class VggFace2Source:
    """members and landmarks, float32 (N, 5, 2), belong to the samples of `listing`."""

    listing: Listing
    files: Path
    members: tuple[str, ...]
    landmarks: npt.NDArray[np.float32]

    def tasks(self, start: int) -> Iterator[Task]:
        for row in range(start, len(self.members)):
            yield Task(member=self.members[row], landmarks=self.landmarks[row])


def is_vggface2(files: Files) -> bool:
    """Whether there is a table of landmarks."""
    found = (TABLE.fullmatch(name) for name in files.members)
    return any(match and match["what"] == "landmark" for match in found)


def vggface2_source(root: Path, files: Files) -> VggFace2Source:
    """The photos of `root` that the tables have landmarks of.

    Raises SourceError if there is no photo or no table, or a table cannot be understood.
    """
    if not is_vggface2(files):
        raise SourceError(
            f"{root} has no loose_landmark_train.csv and no loose_landmark_test.csv: unpack "
            "bb_landmark.tar.gz of VGGFace2 into it, or find the faces anew by --kind faces."
        )
    tables: dict[Split, _Tables] = {split: _Tables.read(files, split) for split in SPLITS}
    found = find_images(files)
    unused = list(found.unused)
    members: list[str] = []
    samples: list[Sample] = []
    landmarks: list[npt.NDArray[np.float32]] = []
    for path, member in found.members.items():
        match = PHOTO.fullmatch(path)
        if match is None:
            unused.append((path, "does not lie in train/nNNNNNN or test/nNNNNNN"))
            continue
        split: Split = "test" if match["split"] == "test" else "train"
        points = tables[split].points(f"{match['identity']}/{match['photo']}")
        if isinstance(points, str):
            unused.append((path, points))
            continue
        members.append(member)
        landmarks.append(points)
        samples.append(Sample(path, sys.intern(match["identity"]), split))
    if not samples:
        raise SourceError(f"{root} holds no photo of VGGFace2 with landmarks.{_example(unused)}")
    points_N52 = np.stack(landmarks)
    stamps = [*zip(samples, (files.members[name] for name in members), strict=True)]
    return VggFace2Source(
        Listing(
            name="vggface2",
            samples=tuple(samples),
            stamp=stamp_of([*stamps, points_N52.tobytes()]),
            unused=tuple(unused),
            remarks=_remarks(samples),
        ),
        root,
        tuple(members),
        points_N52,
    )


def _example(unused: list[Unused]) -> str:
    return f" {unused[0][0]}: {unused[0][1]}." if unused else ""


def _remarks(samples: list[Sample]) -> tuple[str, ...]:
    people = [{s.identity for s in samples if s.split == split} for split in SPLITS]
    both = sorted(people[0] & people[1])
    if not both:
        return ()
    return (f"{len(both)} identities are in train and in test, as {both[0]}: VGGFace2 has none.",)


@dataclass(frozen=True, slots=True)
class _Table:
    """numbers: float32 (rows, columns). rows: NAME_ID -> row."""

    rows: dict[str, int]
    numbers: npt.NDArray[np.float32]

    def get(self, name: str) -> npt.NDArray[np.float32] | None:
        row = self.rows.get(name)
        return None if row is None else self.numbers[row]


@dataclass(frozen=True, slots=True)
class _Tables:
    """Of one split; None where there is no such file."""

    split: Split
    landmarks: _Table | None
    boxes: _Table | None

    @classmethod
    def read(cls, files: Files, split: Split) -> "_Tables":
        tables: dict[str, _Table] = {}
        for name in sorted(files.members):
            match = TABLE.fullmatch(name)
            if match and match["split"] == split:
                tables[match["what"]] = _table(files, name, COLUMNS[match["what"]])
        return cls(split, tables.get("landmark"), tables.get("bb"))

    def points(self, name: str) -> npt.NDArray[np.float32] | str:
        """float32 (5, 2), or why there are none."""
        row = self.landmarks.get(name) if self.landmarks else None
        if row is None:
            return f"loose_landmark_{self.split}.csv has no row {name}"
        points = row.reshape(5, 2)
        if not np.isfinite(points).all():
            return f"loose_landmark_{self.split}.csv has a number missing in row {name}"
        box = self.boxes.get(name) if self.boxes else None
        if box is not None:
            away = (points.mean(axis=0) - box[:2]) / np.maximum(box[2:], 1)
            if not ((away >= 0) & (away <= 1)).all():
                return f"its landmarks lie outside its box in loose_bb_{self.split}.csv"
        return points


def _table(files: Files, name: str, columns: tuple[str, ...]) -> _Table:
    """Raises SourceError."""
    try:
        with files.open(name) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            lines = csv.reader(text, skipinitialspace=True)
            head = [word.strip() for word in next(lines, [])]
            if head != ["NAME_ID", *columns]:
                raise SourceError(f"{name} must begin with NAME_ID,{','.join(columns)}.")
            return _rows(name, lines, len(columns))
    except (*READ_ERRORS, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{name} cannot be read: {error}") from error


def _rows(name: str, lines: Iterable[list[str]], columns: int) -> _Table:
    rows: dict[str, int] = {}
    numbers = array("f")  # of millions of rows, a list of arrays would fill the memory
    for line_number, line in enumerate(lines, start=2):
        if not line:
            continue
        try:
            row = [float(word or "nan") for word in line[1:]]
        except ValueError:
            row = []
        if len(row) != columns:
            raise SourceError(f"{name}, line {line_number}: {columns} numbers follow the name.")
        rows[line[0].strip()] = len(numbers) // columns
        numbers.extend(row)
    return _Table(rows, np.frombuffer(numbers, dtype=np.float32).reshape(-1, columns))
