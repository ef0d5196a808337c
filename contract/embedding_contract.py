"""The identity of an embedding: which vectors may be compared with which."""

import hashlib
import json
from dataclasses import dataclass

# A change of alignment, preprocessing or canonical form takes a new prefix, never a new meaning.
PREFIX = "oneglance-ec1-sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingContract:
    """What a gallery has to know of the bundle that made its embeddings.

    id: embeddings compare only where ids are equal.
    size: D, numbers per embedding.
    d_max: largest Euclidean distance in the space (contract/similarity.py).
    """

    id: str
    size: int
    d_max: float

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"An embedding needs at least one number, not {self.size}.")
        if not self.d_max > 0:
            raise ValueError(f"d_max must be positive, not {self.d_max}.")


def contract_id(*facts: str | int | float) -> str:
    """Hash of everything that decides what an embedding is; a bundle's name is not among it."""
    canonical = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return PREFIX + hashlib.sha256(canonical.encode()).hexdigest()
