"""Index against truth."""

import numpy as np
import numpy.typing as npt

from contract.errors import GalleryError
from index.records import TemplateBatch
from index.search import SearchIndex
from index.store import GalleryStore


def check_index(search_index: SearchIndex, store: GalleryStore) -> None:
    """Raise GalleryError unless the index holds the store's templates, bit for bit."""
    held = search_index.templates()
    order = np.argsort(held.numbers)
    seen = 0
    for batch in store.all_templates():
        part = order[seen : seen + len(batch)]
        seen += len(batch)
        if not _same(batch, held, part):
            raise GalleryError(
                f"The search index differs from the store among the templates numbered "
                f"{batch.numbers[0]} to {batch.numbers[-1]}: open the gallery anew."
            )
    if seen != len(held):
        raise GalleryError(
            f"The search index holds {len(held)} templates, the store {seen}: "
            "open the gallery anew."
        )


def _same(batch: TemplateBatch, held: TemplateBatch, rows: npt.NDArray[np.intp]) -> bool:
    return (
        np.array_equal(batch.numbers, held.numbers[rows])
        and np.array_equal(batch.subject_numbers, held.subject_numbers[rows])
        # Bytes, not values: 0.0 and -0.0 are equal but not the same embedding.
        and batch.embeddings.tobytes() == held.embeddings[rows].tobytes()
    )
