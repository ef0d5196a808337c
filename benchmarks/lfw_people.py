"""Photos of Labeled Faces in the Wild, by person, without those that training has seen."""

import os
import random
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from training.evaluation.lfw import person_key

LFW_NAME = "lfw-view2.zip"
TRAINING_NAME = "faces-train.zip"


class DataMissingError(Exception):
    """The data root does not hold what a measurement needs."""


def data_root() -> Path:
    """Where the data lies: ONEGLANCE_DATA_ROOT, or ../shared/data."""
    return Path(os.environ.get("ONEGLANCE_DATA_ROOT", "../shared/data"))


def trained_names(root: Path) -> frozenset[str]:
    """Keys of the people that faces-train.zip names; empty where the file is not there."""
    try:
        with zipfile.ZipFile(root / TRAINING_NAME) as archive:
            folders = {str(PurePosixPath(name).parent) for name in archive.namelist()}
    except FileNotFoundError:
        return frozenset()
    # CelebA's people are numbers, whose key is empty.
    return frozenset(person_key(folder) for folder in folders) - {""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who plays which part: photos by path inside the archive.

    enrolled: person -> the two photos to enrol. probes: person -> another photo of the same.
    strangers: person -> one photo of somebody who is not enrolled.
    """

    enrolled: dict[str, tuple[str, str]]
    probes: dict[str, str]
    strangers: dict[str, str]


class LfwPeople:
    """The photos of lfw-view2.zip, original bytes."""

    def __init__(self, root: Path) -> None:
        """Raises DataMissingError."""
        path = root / LFW_NAME
        try:
            self._archive = zipfile.ZipFile(path)
        except FileNotFoundError as error:
            raise DataMissingError(
                f"There is no {path.absolute()}: photos of people are not committed. Set "
                "ONEGLANCE_DATA_ROOT (make: DATA_ROOT=...) to a folder that has it."
            ) from error
        self.photos: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._archive.namelist()):
            if name.endswith(".jpg"):
                self.photos[PurePosixPath(name).parent.name].append(name)

    def read(self, photo: str) -> bytes:
        """Bytes of the JPEG file."""
        return self._archive.read(photo)

    def close(self) -> None:
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cast(self, *, enrolled: int, strangers: int, seed: int, without: frozenset[str]) -> Cast:
        """Choose people whose keys are not in `without`, the same ones for the same seed.

        Raises DataMissingError if there are too few.
        """
        choose = random.Random(seed)
        people = [name for name in sorted(self.photos) if person_key(name) not in without]
        several = [name for name in people if len(self.photos[name]) >= 3]
        if len(several) < enrolled or len(people) < enrolled + strangers:
            raise DataMissingError(f"{LFW_NAME} has too few people for this measurement.")
        known = choose.sample(several, enrolled)
        others = choose.sample([name for name in people if name not in known], strangers)
        three = {name: choose.sample(self.photos[name], 3) for name in known}
        return Cast(
            enrolled={name: (photos[0], photos[1]) for name, photos in three.items()},
            probes={name: photos[2] for name, photos in three.items()},
            strangers={name: choose.choice(self.photos[name]) for name in others},
        )
