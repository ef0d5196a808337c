"""A source of fewer images: which ones, and that work on them can be gone on with."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.data.prepare import PrepareConfig
from training.data.sources.base import Listing, Sample, Task
from training.data.sources.fewer import fewer_images

COUNTS = {"a": 5, "b": 1, "c": 3, "d": 40}


class Whole:
    """Files named after their samples."""

    files = Path("there")
    listing = Listing(
        name="whole",
        samples=tuple(
            Sample(f"{name}/{i:02}", name, "train") for name, n in COUNTS.items() for i in range(n)
        ),
        stamp="stamp",
    )

    def tasks(self, start: int) -> Iterator[Task]:
        return (Task(member=sample.path) for sample in self.listing.samples[start:])


@pytest.mark.parametrize("most", [1, 3, 100])
def test_of_each_identity_as_many_as_there_are_up_to_the_most(most: int) -> None:
    fewer = fewer_images(Whole(), most)
    assert Counter(s.identity for s in fewer.listing.samples) == {
        name: min(n, most) for name, n in COUNTS.items()
    }
    assert set(fewer.listing.samples) <= set(Whole.listing.samples)
    assert [s.path for s in fewer.listing.samples] == sorted(s.path for s in fewer.listing.samples)
    assert (fewer.files, fewer.listing.name) == (Whole.files, "whole")


def test_tasks_are_those_of_the_samples_from_any_start() -> None:
    fewer = fewer_images(Whole(), 3)
    paths = [sample.path for sample in fewer.listing.samples]
    for start in range(len(paths) + 1):
        assert [task.member for task in fewer.tasks(start)] == paths[start:]


def test_the_same_ones_each_time_and_by_chance() -> None:
    assert fewer_images(Whole(), 3).listing == fewer_images(Whole(), 3).listing
    of_d = [s.path for s in fewer_images(Whole(), 3).listing.samples if s.identity == "d"]
    assert of_d != ["d/00", "d/01", "d/02"]


def test_another_number_is_another_source() -> None:
    stamps = {fewer_images(Whole(), most).listing.stamp for most in (2, 3)} | {"stamp"}
    assert len(stamps) == 3


def test_none_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="--most-images must be at least 1, not 0"):
        PrepareConfig(most_images=0)
