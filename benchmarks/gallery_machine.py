"""The gallery against plain dictionaries, by random steps: hypothesis chooses, and shrinks faults.

    python -m benchmarks.gallery_machine --steps 10000

A step enrols, amends, merges, removes, sweeps, embeds anew, switches, rolls back, searches, lists,
compacts, builds the search index anew, or opens the gallery anew. After each, counts and revision
agree with the dictionaries; every search gives the same subjects, templates and similarities, bit
by bit, ties in the same order. Where the index is approximate, all that it finds is right.
The figure is the last line; the exit status is not 0 if anything differed.
"""

import argparse
import itertools
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.gallery_model import CONTRACTS
from benchmarks.gallery_rules import GalleryMachine
from benchmarks.postgres_server import postgres_running
from index.galleries import Galleries
from index.gallery import Gallery
from index.generations import Generations, Policy
from index.postgres_hnsw import HnswBuilder
from index.scoring import ScoringName
from index.snapshot import load_snapshot
from index.tiers import POLICIES, Tier

# What reaches the disk is proven elsewhere.
IN_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
EXAMPLES: Final = 20
STEPS_AN_EXAMPLE: Final = 100


# -- the places -------------------------------------------------------------------------------


def machine_in_a_file(
    *, scoring: ScoringName = "best", tier: Tier = "auto"
) -> type[GalleryMachine]:
    """In a file with a snapshot at each closing; an approximate tier builds from 20 rows on."""
    seen: Counter[str] = Counter()
    policy = POLICIES[tier]
    small = None
    if tier in ("rabitq", "hnsw"):
        assert policy
        small = Policy(finder=policy.finder, above=20, below=10)

    def loaded(*given: Any, **more: Any) -> Any:
        found = load_snapshot(*given, **more)
        seen["index built from the file" if found is None else "index from a snapshot"] += 1
        return found

    @contextmanager
    def place() -> Iterator[Callable[[], Gallery]]:
        folder = Path(tempfile.mkdtemp(prefix="oneglance-machine-", dir=IN_MEMORY))

        def opened() -> Gallery:
            there = (folder / "g.db").exists()
            contract = None if there else CONTRACTS["a"]
            return Gallery.open(folder / "g.db", contract, scoring=scoring, tier=tier)

        with (
            patch.dict(POLICIES, {tier: small or policy}),
            patch("index.memory_searcher.SNAPSHOT_FROM_ROWS", 1),
            patch("index.memory_searcher.load_snapshot", loaded),
            patch("index.tiered._LONGEST_SHARE", math.inf if small else 1 / 16),
            patch.object(Generations, "_build", _counted(seen, Generations._build)),
        ):
            yield opened
        shutil.rmtree(folder)

    name = f"File{'' if scoring == 'best' else 'Mean'}{tier.title() if small else ''}Machine"
    return _made(name, place, scoring=scoring, exact=small is None, seen=seen)


def machine_in_postgres(dsn: str, *, hnsw: bool = False) -> type[GalleryMachine]:
    """In a database, in a new collection each time.

    hnsw: build an approximate index from 5 templates on, at once.
    """
    seen: Counter[str] = Counter()
    names = itertools.count(1)

    @contextmanager
    def place() -> Iterator[Callable[[], Gallery]]:
        name = f"machine-{next(names)}"
        contracts = itertools.chain([CONTRACTS["a"]], itertools.repeat(None))

        def opened() -> Gallery:
            gallery = Gallery.open(dsn, next(contracts), collection=name)
            if hnsw:
                gallery.galleries.database._builder._from_templates = 5  # type: ignore[attr-defined]
            return gallery

        with (
            patch("index.postgres_hnsw._LOOK_EVERY_S", 0.0 if hnsw else 10.0),
            patch.object(HnswBuilder, "_build", _counted(seen, HnswBuilder._build)),
        ):
            yield opened
        galleries = Galleries.open(dsn)
        galleries.remove_collection(name)
        galleries.close()

    name = "PostgresHnswMachine" if hnsw else "PostgresMachine"
    return _made(name, place, scoring="best", exact=not hnsw, seen=seen)


def _counted(seen: Counter[str], build: Callable[..., None]) -> Callable[..., None]:
    def counted(*given: Any, **more: Any) -> None:
        seen["approximate index built"] += 1
        build(*given, **more)

    return counted


def _made(
    name: str, place: Any, *, scoring: ScoringName, exact: bool, seen: Counter[str]
) -> type[GalleryMachine]:
    facts = {"scoring": scoring, "exact": exact, "counts": Counter(), "seen": seen}
    return type(name, (GalleryMachine,), {"place": staticmethod(place), **facts})


# -- the proof --------------------------------------------------------------------------------


def run_steps(machine: type[GalleryMachine], steps: int, first_seed: int) -> str | None:
    """Run a machine until its rules have run so many times; what was found wrong, if anything."""
    start = time.monotonic()
    options = settings(
        database=None,
        deadline=None,
        max_examples=EXAMPLES,
        stateful_step_count=STEPS_AN_EXAMPLE,
        suppress_health_check=list(HealthCheck),
    )
    for number in itertools.count(first_seed):
        try:
            run_state_machine_as_test(seed(number)(machine), settings=options)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            notes = "\n".join(getattr(error, "__notes__", []))
            return f"{machine.__name__}, seed {number}: {error!r}\n{notes}"
        done = machine.counts.total()
        print(f"{machine.__name__}: {done:,} of {steps:,} steps", file=sys.stderr)
        if done >= steps:
            break
    told = ", ".join(f"{n:,} {what}" for what, n in (machine.counts + machine.seen).items())
    print(f"{machine.__name__}: {done:,} steps in {time.monotonic() - start:.0f} s ({told})")
    return None


def main() -> int:
    """Run all machines; 0 if none differed from its dictionaries."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--steps", type=int, default=10_000, help="of each backend (default: 10000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choices (default: 0)")
    options = parser.parse_args()
    steps: int = options.steps
    done: Counter[str] = Counter()
    faults = []
    with postgres_running() as server:
        dsn = server.create_database()
        for backend, machine, share in (
            ("file", machine_in_a_file(), 1.0),
            ("file", machine_in_a_file(scoring="mean"), 0.2),
            ("file", machine_in_a_file(tier="rabitq"), 0.2),
            ("file", machine_in_a_file(tier="hnsw"), 0.2),
            ("PostgreSQL", machine_in_postgres(dsn), 1.0),
            ("PostgreSQL", machine_in_postgres(dsn, hnsw=True), 0.2),
        ):
            fault = run_steps(machine, math.ceil(steps * share), options.seed)
            done[backend] += machine.counts.total()
            if fault:
                faults.append(fault)
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    counted = ", ".join(f"{count:,} steps on a gallery in {place}" if place != "file" else
                        f"{count:,} steps on a gallery in a file"
                        for place, count in done.items())  # fmt: skip
    print(f"{counted}: {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
