"""One run of the table, from nothing or from its checkpoint to its record."""

import shutil
import time
from pathlib import Path

from training.checkpoint import CHECKPOINT_NAME, CheckpointError
from training.data.pack import Pack
from training.paper_table.machine import machine
from training.paper_table.measure import measure
from training.paper_table.plan import Run
from training.paper_table.record import (
    CODE_VERSION,
    Record,
    config_hash,
    read_record,
    record_path,
)
from training.paper_table.timed_log import TimedLog, timed_epochs
from training.ranks import Ranks
from training.run import load_run
from training.trainer import Trainer, fingerprint

NEVER = float("inf")


def is_done(run: Run, data: str, runs: Path) -> bool:
    """Whether the folder `runs` has a record of this run that is not stale: of the same config,
    code and pack. data: fingerprint of the pack.
    """
    record = read_record(record_path(runs, run.column.name, run.variant.name, run.seed))
    return bool(record and record.is_of(run.config) and record.data == data)


def trained_record(run: Run, pack: Pack, folder: Path, *, device: str) -> Record:
    """Train `run` in `folder`, where an attempt of the same config goes on, and measure it.

    What another config or pack left in `folder` is thrown away.
    Raises NonFiniteLossError, or ValueError where the pack does not allow the column's protocol.
    """
    _train(run, pack, folder, device)
    core_s, wall_s = time.process_time(), time.monotonic()
    measured = measure(load_run(folder), pack, run.column.protocol, device=device)
    core_s, wall_s = time.process_time() - core_s, time.monotonic() - wall_s
    epochs, config = timed_epochs(folder), run.config
    return Record(
        column=run.column.name,
        variant=run.variant.name,
        seed=run.seed,
        recipe=config.name,
        settings=run.settings,
        config=config_hash(config),
        data=fingerprint(pack),
        code=CODE_VERSION,
        figures=measured.figures,
        epochs=epochs,
        core_s=round(core_s + sum(epoch.core_s for epoch in epochs), 1),
        wall_s=round(wall_s + sum(epoch.wall_s for epoch in epochs), 1),
        machine=machine(device),
        points=measured.points,
    )


def _train(run: Run, pack: Pack, folder: Path, device: str) -> None:
    try:
        trainer = _trainer(run, pack, folder, device)
    except CheckpointError:
        # Of an older recipe, or damaged: a table never mixes.
        shutil.rmtree(folder)
        trainer = _trainer(run, pack, folder, device)
    trainer.fit()


def _trainer(run: Run, pack: Pack, folder: Path, device: str) -> Trainer:
    log = TimedLog(folder)
    trainer = Trainer(
        run.config,
        pack,
        folder,
        resume=True,
        ranks=Ranks(0, 1, device),
        log=log,
        checkpoint_every_s=NEVER,
    )
    if not (folder / CHECKPOINT_NAME).exists():
        log.start(0)
        log.epoch(0, {"epoch": 0, "validation": trainer.validation()})
    return trainer
