"""Synthetic embeddings of faces for measuring search: identities, their templates, and probes.

Shapes: N templates, B probes, D embedding size.

Unit vectors. A person is a direction, a photo that direction and noise; both are Gaussian with a
spectrum that decays, so about half of the D dimensions count, as in trained embeddings. Two photos
of one person have a cosine of 0.65 on average (0.5 to 0.8), strangers one of 0 with a standard
deviation of 0.13 at D = 128 and 0.06 at D = 512.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from index.records import Embeddings, Numbers

TEMPLATES_EACH: Final = 4
CHUNK: Final = 50_000
_DECAY: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceLike:
    """A population; the same arguments give the same vectors. size: D."""

    size: int
    seed: int = 0

    def templates(self, count: int) -> Iterator[Embeddings]:
        """The first `count` templates in chunks; template i is of person i // 4."""
        people = np.random.default_rng((self.seed, 1))
        photos = np.random.default_rng((self.seed, 2))
        for first in range(0, count, CHUNK):
            persons = self._draw(people, CHUNK // TEMPLATES_EACH)
            rows = self._photos(np.repeat(persons, TEMPLATES_EACH, axis=0), photos)
            yield rows[: count - first]

    def probes(self, count: int, *, among: int) -> tuple[Embeddings, Numbers]:
        """New photos of persons with templates among the first `among`, and who they are."""
        photos = np.random.default_rng((self.seed, 3))
        chosen = np.sort(photos.choice(among // TEMPLATES_EACH, count, replace=False))
        people = np.random.default_rng((self.seed, 1))
        per_chunk = CHUNK // TEMPLATES_EACH
        found = []
        for first in range(0, among // TEMPLATES_EACH, per_chunk):
            persons = self._draw(people, per_chunk)
            here = chosen[(chosen >= first) & (chosen < first + per_chunk)]
            found.append(persons[here - first])
        order = photos.permutation(count)
        return self._photos(np.concatenate(found), photos)[order], chosen[order]

    def _draw(self, rng: np.random.Generator, count: int) -> Embeddings:
        scale = np.exp(-0.5 * _DECAY * np.arange(self.size) / self.size).astype(np.float32)
        mixed = rng.standard_normal((count, self.size), dtype=np.float32) * scale @ self._axes()
        return _unit(mixed)

    def _axes(self) -> Embeddings:
        gaussian = np.random.default_rng(self.size).standard_normal((self.size, self.size))
        return np.linalg.qr(gaussian)[0].astype(np.float32)

    def _photos(self, persons: Embeddings, rng: np.random.Generator) -> Embeddings:
        cosine = rng.uniform(0.5, 0.8, (len(persons), 1)).astype(np.float32)
        noise = self._draw(rng, len(persons))
        return _unit(np.sqrt(cosine) * persons + np.sqrt(1 - cosine) * noise)


def _unit(rows: Embeddings) -> Embeddings:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
