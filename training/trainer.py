"""The training loop: one process, any device, resumable to the same numbers."""

import json
import math
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from contract.precision import bf16_is_fast
from training.checkpoint import CHECKPOINT_NAME, CheckpointError, load_checkpoint, save_checkpoint
from training.config import TrainConfig
from training.data.augment import augment
from training.data.pack import Pack
from training.data.sampler import epoch_batches
from training.data.split import split_by_identity
from training.distill.targets import open_targets
from training.evaluation.embed import embed_images
from training.evaluation.verification import pair_auc
from training.losses.composite import CompositeLoss
from training.models.embedding_net import EmbeddingNet

CHECKPOINT_EVERY_S = 120.0


class NonFiniteLossError(RuntimeError):
    """The loss of a batch or its gradient was no number; the last good checkpoint is untouched."""


def build_model(config: TrainConfig) -> EmbeddingNet:
    """The network of a config, freshly initialised, channels last."""
    m = config.model
    net = EmbeddingNet(
        embedding_size=m.embedding_size,
        side_px=m.side_px,
        width=m.width,
        stem_stride=m.stem_stride,
        scale=m.scale,
        dropout=m.dropout,
    )
    return net.to(memory_format=torch.channels_last)


class Trainer:
    """Trains a config on a pack and leaves checkpoint.pt and log.jsonl in folder `run`."""

    def __init__(
        self, config: TrainConfig, pack: Pack, run: Path, *, resume: bool, device: str = "cpu"
    ) -> None:
        torch.manual_seed(config.seed)
        self._config, self._pack, self._run = config, pack, run
        self._device = torch.device(device)
        self._train, self._held_out = split_by_identity(
            pack.labels,
            holdout_share=config.holdout_share,
            min_images=config.min_images,
            seed=config.seed,
        )
        identities, self._classes_N = np.unique(pack.labels[self._train], return_inverse=True)
        self._net = build_model(config).to(self._device)
        self._loss = CompositeLoss(
            config.loss,
            embedding_size=config.model.embedding_size,
            classes=len(identities),
            d_max=config.model.d_max,
        ).to(self._device)
        self._targets = (
            open_targets(pack, size=config.model.embedding_size) if config.loss.c_distill else None
        )
        self._optimizer = torch.optim.AdamW(
            _decayed_apart(nn.ModuleList([self._net, self._loss]), config.optimizer.weight_decay),
            lr=config.optimizer.learning_rate,
            fused=True,
        )
        self._steps_per_epoch = max(1, len(self._train) // config.batch.size)
        self._step = 0
        if (run / CHECKPOINT_NAME).exists():
            if not resume:
                raise CheckpointError(f"{run} holds a run: add --resume, or name another folder.")
            self._load()

    def fit(self) -> None:
        """Run to the end of the last epoch. Raises NonFiniteLossError naming the batch."""
        self._run.mkdir(parents=True, exist_ok=True)
        first = self._step // self._steps_per_epoch
        for epoch in range(first, self._config.epochs):
            self._epoch(epoch)
            self._save()
            self._log(epoch=epoch + 1, holdout_auc=self.holdout_auc())

    def holdout_auc(self) -> float | None:
        """How often a mated pair of held-out images is nearer than a non-mated one, in [0, 1].

        None where the held-out images make pairs of one kind only.
        """
        if not 1 < len(np.unique(self._pack.labels[self._held_out])) < len(self._held_out):
            return None
        self._net.eval()
        images = self._pack.images[self._held_out]
        embeddings = embed_images(self._net, images, device=self._device, progress=False)
        return pair_auc(embeddings, self._pack.labels[self._held_out])

    def _epoch(self, epoch: int) -> None:
        config = self._config
        batches = epoch_batches(self._classes_N, config.batch, seed=config.seed, epoch=epoch)
        done = self._step - epoch * self._steps_per_epoch
        self._net.train()
        progress = tqdm(batches[done:], desc=f"epoch {epoch + 1}/{config.epochs}", unit="batch")
        saved_at, sums, count = time.monotonic(), dict[str, float](), 0
        for batch in progress:
            parts = self._train_step(batch)
            count += 1
            for part, value in parts.items():
                sums[part] = sums.get(part, 0.0) + value
            progress.set_postfix({part: f"{value / count:.3f}" for part, value in sums.items()})
            if time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                self._save()
                saved_at = time.monotonic()
        if count:
            self._log(epoch=epoch + 1, **{part: value / count for part, value in sums.items()})

    def _train_step(self, batch: npt.NDArray[np.int64]) -> dict[str, float]:
        config = self._config
        # One generator a step, so that a resumed run augments as the uninterrupted one.
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self._step)
        torch.manual_seed(config.seed * 1_000_003 + self._step)  # dropout
        images = torch.from_numpy(self._pack.images[self._train[batch]]).to(self._device)
        labels = torch.from_numpy(self._classes_N[batch]).to(self._device)
        pixels = augment(images, config.augment, generator)
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self._optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            embeddings = self._net.embed(pixels.contiguous(memory_format=torch.channels_last))
        parts: dict[str, Tensor] = self._loss(embeddings, labels, self._targets_of(batch))
        values = {part: float(value.detach()) for part, value in parts.items()}
        parts["total"].backward()
        trained = [p for group in self._optimizer.param_groups for p in group["params"]]
        slope = float(nn.utils.clip_grad_norm_(trained, config.optimizer.clip_norm))
        if not (math.isfinite(values["total"]) and math.isfinite(slope)):
            raise NonFiniteLossError(
                f"The loss of step {self._step} is {values}, its gradient has norm {slope}; its "
                f"images are {[self._pack.index.paths[i] for i in self._train[batch]]}. The last "
                f"good checkpoint is kept in {self._run}: lower the learning rate and resume."
            )
        self._optimizer.step()
        self._step += 1
        return values

    def _targets_of(self, batch: npt.NDArray[np.int64]) -> Tensor | None:
        if self._targets is None:
            return None
        return torch.from_numpy(self._targets[self._train[batch]]).to(self._device)

    def _learning_rate(self) -> float:
        o = self._config.optimizer
        total = self._config.epochs * self._steps_per_epoch
        warmup = o.warmup_epochs * self._steps_per_epoch
        if self._step < warmup:
            return o.learning_rate * (self._step + 1) / warmup
        share = (self._step - warmup) / max(1.0, total - warmup)
        return o.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    def _autocast(self) -> AbstractContextManager[None]:
        fast = self._config.bf16 and bf16_is_fast(str(self._device))
        return torch.autocast(self._device.type, torch.bfloat16, enabled=fast)

    def _save(self) -> None:
        state = {
            "step": self._step,
            "net": self._net.state_dict(),
            "loss": self._loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "trained_paths": [self._pack.index.paths[i] for i in self._train],
            "identities": list(self._pack.index.identities),
        }
        save_checkpoint(self._run, state, self._config)

    def _load(self) -> None:
        state = load_checkpoint(self._run)
        self._net.load_state_dict(state["net"])
        self._loss.load_state_dict(state["loss"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._step = state["step"]

    def _log(self, **values: Any) -> None:
        with (self._run / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self._step, **values}) + "\n")


def _decayed_apart(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and the gains of normalisation layers do not."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    plain = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
