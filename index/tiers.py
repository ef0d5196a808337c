"""The gallery's index in memory, by how it searches.

flat: all rows are scanned, exactly. rabitq, hnsw: beyond some size, approximately. auto: flat as
long as a scan takes a few milliseconds, then rabitq.
"""

from typing import Final, Literal

from index.generations import Policy
from index.rows import Rows
from index.search import SearchIndex
from index.tiered import TieredIndex

Tier = Literal["auto", "flat", "rabitq", "hnsw"]

POLICIES: Final[dict[Tier, Policy | None]] = {
    "flat": None,
    "auto": Policy(finder="rabitq", above=200_000, below=160_000),
    # Smaller galleries are scanned as fast.
    "rabitq": Policy(finder="rabitq", above=10_000, below=8_000),
    "hnsw": Policy(finder="hnsw", above=10_000, below=8_000),
}


def make_index(*, size: int, d_max: float, tier: Tier = "auto") -> SearchIndex:
    """An empty index. size: D. d_max: see contract/similarity.py."""
    return TieredIndex(Rows(size), d_max=d_max, policy=POLICIES[tier])
