"""A source with at most so many images of each identity: the same ones each time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.data.sources.base import Listing, Source, Task, stamp_of


@dataclass(frozen=True, slots=True)
class FewerImages:
    """Of another source those samples, by number, that are in `kept`, ascending."""

    whole: Source
    listing: Listing
    kept: tuple[int, ...]

    @property
    def files(self) -> Path | None:
        return self.whole.files

    def tasks(self, start: int) -> Iterator[Task]:
        """One task for each sample that is kept, from the one of number `start` of these."""
        wanted = self.kept[start:]
        if not wanted:
            return
        first, left = wanted[0], set(wanted)
        for number, task in enumerate(self.whole.tasks(first), first):
            if number in left:
                yield task


def fewer_images(source: Source, most: int) -> Source:
    """At most `most` images of each identity, drawn by chance."""
    samples = source.listing.samples
    _, labels_N = np.unique([sample.identity for sample in samples], return_inverse=True)
    order = np.lexsort((np.random.default_rng(0).random(len(samples)), labels_N))
    _, starts, counts = np.unique(labels_N[order], return_index=True, return_counts=True)
    place = np.arange(len(samples)) - np.repeat(starts, counts)
    kept = np.sort(order[place < most])
    listing = replace(
        source.listing,
        samples=tuple(samples[i] for i in kept),
        stamp=stamp_of([source.listing.stamp, most]),
    )
    return FewerImages(source, listing, tuple(kept.tolist()))
