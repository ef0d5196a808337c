"""Workers go through a plan, each run claimed by one of them, until all is done or time is up."""

import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training.data.pack import Pack, open_pack
from training.paper_table.claim import claimed
from training.paper_table.job import is_done, trained_record
from training.paper_table.plan import Run
from training.paper_table.record import CODE_VERSION, config_hash, write_record
from training.parent import end_with_parent
from training.trainer import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """packs: of each column, by name. runs: folder of the records. work: folder of what is being
    trained, megabytes a run, deleted once its record is written.
    """

    packs: dict[str, Path]
    runs: Path
    work: Path


def work_through(
    plan: Sequence[Run],
    place: Place,
    *,
    device: str,
    workers: int,
    minutes: float | None,
    tell: Callable[[str], None],
) -> int:
    """Train and measure what of `plan` has no record yet; how many runs failed.

    tell: gets a line at the beginning and the end of each run; a function that pickles.
    minutes: after which no further run is begun. Each worker computes on one thread. Ctrl-C and
    kill are safe at any time: the same call goes on.
    """
    until = None if minutes is None else time.time() + 60 * minutes
    arguments = (list(plan), place, device, until, tell)
    if workers == 1:
        return _work(*arguments)
    # Not by fork: torch's threads do not survive it.
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=end_with_parent) as pool:
        return sum(pool.starmap(_work, [arguments] * workers, chunksize=1))


def _work(
    plan: list[Run], place: Place, device: str, until: float | None, tell: Callable[[str], None]
) -> int:
    torch.set_num_threads(1)
    packs: dict[str, tuple[Pack, str]] = {}
    failed = 0
    for run in plan:
        if until is not None and time.time() >= until:
            break
        name = run.column.name
        if name not in packs:
            pack = open_pack(place.packs[name])
            packs[name] = pack, fingerprint(pack)
        pack, data = packs[name]
        attempt = place.work / f"{run.name}-{config_hash(run.config)}-{CODE_VERSION}"
        with claimed(attempt.with_suffix(".claim")) as ours:
            # Looked at with the claim in hand: another worker may just have finished it.
            if not ours or is_done(run, data, place.runs):
                continue
            tell(f"{run.name}: begins")
            try:
                record = trained_record(run, pack, attempt, device=device)
            except (ValueError, RuntimeError) as error:
                tell(f"{run.name}: failed: {error}")
                failed += 1
                continue
            write_record(place.runs, record)
            shutil.rmtree(attempt)
            shown = ", ".join(f"{name} {value:.4g}" for name, value in record.figures.items())
            tell(f"{run.name}: {shown}; {record.core_s / 60:.1f} core minutes")
    return failed
