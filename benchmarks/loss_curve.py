"""The loss of every batch of a short training, for golden curves and proofs of equality."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.training_pack import wave_pack
from training.config import TrainConfig
from training.ranks import Ranks
from training.run_log import RunLog
from training.trainer import Trainer

IDENTITIES, IMAGES_EACH = 24, 10


class Recorder(RunLog):
    """Keeps the loss of each batch."""

    def __init__(self) -> None:
        super().__init__(None)
        self.curve: list[float] = []

    def batch(self, step: int, values: Mapping[str, float]) -> None:
        self.curve.append(values["total"])


def loss_curve(config: TrainConfig, *, steps: int, ranks: Ranks | None = None) -> list[float]:
    """Losses of the first `steps` global batches of `config` on a pack of waves."""
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder:
        pack = wave_pack(
            Path(folder) / "pack",
            identities=IDENTITIES,
            images_each=IMAGES_EACH,
            side_px=config.model.side_px,
        )
        trainer = Trainer(
            config,
            pack,
            Path(folder) / "run",
            resume=False,
            ranks=ranks or Ranks(0, 1, "cpu"),
            log=recorder,
        )
        while len(recorder.curve) < steps:
            trainer.fit_epoch()
    return recorder.curve[:steps]
