"""What re-embeddings would change, as their last jobs have compared it."""

import threading

from index.comparison import Comparison
from index.gallery import Gallery
from index.reembedding import Reembedding

# The collection, the contract that is searched and the next one, each by its number.
_Key = tuple[int, int, int]


class Comparisons:
    """In memory, since a comparison reads all templates twice. Any thread may call anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[_Key, Comparison] = {}

    def note(self, gallery: Gallery, job: Reembedding, made: Comparison) -> None:
        """Remember a comparison in place of the ones of this collection before."""
        key = _key(gallery, job)
        with self._lock:
            self._made = {k: c for k, c in self._made.items() if k[0] != key[0]} | {key: made}

    def last(self, gallery: Gallery, job: Reembedding) -> Comparison | None:
        """The last one of these two contracts."""
        with self._lock:
            return self._made.get(_key(gallery, job))


def _key(gallery: Gallery, job: Reembedding) -> _Key:
    return gallery.number, gallery.contract_number, job.of.contract
