"""The training loop: any device, one process or many, resumable to the same numbers."""

import hashlib
import math
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from contract.precision import bf16_is_fast
from training.checkpoint import (
    CHECKPOINT_NAME,
    MODEL_NAME,
    CheckpointError,
    load_checkpoint,
    refuse_other_run,
    save_checkpoint,
)
from training.config import TrainConfig
from training.data.augment import apply, draw
from training.data.feed import Feed
from training.data.maps import drawn, open_maps
from training.data.pack import Pack, refuse_other_side
from training.data.sampler import epoch_batches, rank_rows
from training.data.samples import Samples
from training.data.split import split_pack
from training.distill.targets import open_targets
from training.evaluation.embed_rows import embed_rows
from training.losses.composite import CompositeLoss, LossOutput
from training.mining.gather import gather_labels, gather_with_gradient
from training.models.embedding_net import EmbeddingNet
from training.models.frozen import OfMaps
from training.optim import averaged, learning_rate, make_optimizer
from training.ranks import Ranks, with_shared_statistics
from training.run_log import RunLog
from training.validation import centre_accuracy, identity_auc

CHECKPOINT_EVERY_S = 120.0
PREFETCHED_BATCHES = 4
ALONE = Ranks(0, 1, "cpu")
Indices = npt.NDArray[np.int64]


class NonFiniteLossError(RuntimeError):
    """The loss of a batch or its gradient was no number; the last good checkpoint is untouched."""


class Objective(nn.Module):
    """What is seen of this rank's rows in, loss of the global batch out; what DDP wraps."""

    def __init__(self, net: EmbeddingNet, loss: CompositeLoss) -> None:
        super().__init__()
        self.net, self.loss = net, loss
        self._embed = OfMaps(net).embed if net.frozen_blocks else net.embed

    def forward(self, seen: Tensor, labels_B: Tensor, targets_BD: Tensor | None) -> LossOutput:
        """seen: pixels in [-1, 1], (B, 3, H, W), or what frozen blocks made of them, (B, C, h, w).
        labels_B, targets_BD: of the same rows.
        """
        embeddings = gather_with_gradient(self._embed(seen))
        if targets_BD is not None:
            targets_BD = gather_with_gradient(targets_BD)
        output: LossOutput = self.loss(embeddings, gather_labels(labels_B), targets_BD)
        return output


class Trainer:
    """Trains a config on a pack and leaves checkpoint.pt, model.pt and log.jsonl in folder `run`.

    Raises CheckpointError if `run` holds a run and `resume` is not given, or another run, and
    PackError for images of another size than the config's.
    """

    def __init__(
        self,
        config: TrainConfig,
        pack: Pack,
        run: Path,
        *,
        resume: bool,
        ranks: Ranks = ALONE,
        log: RunLog | None = None,
        checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    ) -> None:
        refuse_other_side(pack, config.model.side_px)
        torch.manual_seed(config.seed)
        self._config, self._pack, self._run, self._ranks = config, pack, run, ranks
        self._device = torch.device(ranks.device)
        self._checkpoint_every_s = checkpoint_every_s
        self._train, self._held_out = split_pack(pack, config.split, config.seed)
        self._samples = Samples(pack.labels[self._train], orders=config.augment.channel_orders)
        rank_rows(np.arange(config.batch.size), ranks.rank, ranks.world)  # refuses odd sizes now
        dtype = torch.float64 if config.precision == "float64" else torch.float32
        resumed = (run / CHECKPOINT_NAME).exists()
        if resumed and not resume:
            raise CheckpointError(f"{run} holds a run: add --resume, or name another folder.")
        net = EmbeddingNet(config.model, load_weights=not resumed)
        net = net.to(dtype).to(memory_format=torch.channels_last)
        self._loss = CompositeLoss(
            config.loss,
            embedding_size=config.model.embedding_size,
            classes=self._samples.classes,
            space=config.model.space,
            scale=config.model.scale,
            d_max=config.model.d_max,
            batch_size=config.batch.size,
        ).to(self._device, dtype)
        self._targets = (
            open_targets(pack, size=config.model.embedding_size) if config.loss.c_distill else None
        )
        self._average = averaged(config.optimizer, net.to(self._device))
        self._net = with_shared_statistics(net, ranks)
        self._objective = Objective(self._net, self._loss)
        self._optimizer = make_optimizer(config.optimizer, self._objective)
        self._steps_per_epoch = max(1, len(self._train) // config.batch.size)
        self._step, self._best, self._best_epoch = 0, -math.inf, 0
        if resumed:
            self._load()
        # After loading: a resumed run has no weights of its own before.
        self._maps = open_maps(pack, self._net, device=self._device) if net.frozen_blocks else None
        self._step_of: nn.Module = self._objective
        if ranks.world > 1:
            # Statistics, centres and memory are computed alike on every rank.
            self._step_of = DistributedDataParallel(self._objective, broadcast_buffers=False)
        self._log = log or RunLog(run if ranks.leads else None)

    def fit(self) -> None:
        """Run to the end of the last epoch, or until validation has not improved for so long.

        Raises NonFiniteLossError naming the batch.
        """
        self._log.start(self._step)
        while self.epochs_done < self._config.epochs and not self._out_of_patience():
            self.fit_epoch()
        self._show_embeddings()
        self._log.close()

    def fit_epoch(self) -> None:
        """Run to the end of the epoch that the run is in, validate and save."""
        epoch = self.epochs_done
        self._epoch(epoch)
        self._loss.end_epoch()
        self._validate(epoch + 1)
        self._save()

    @property
    def epochs_done(self) -> int:
        """Finished epochs, counted from the run's very first step."""
        return self._step // self._steps_per_epoch

    def validation(self) -> float | None:
        """Of the network that would be exported, on held-out images; bigger is better.

        Split by identity: how often a mated pair is nearer than a non-mated one (None without
        pairs of both kinds). Split by sample: accuracy by nearest class centre.
        """
        labels = self._pack.labels
        if self._config.split.by == "identity":
            return identity_auc(self._embed, labels, self._held_out)
        return centre_accuracy(self._embed, labels, self._train, self._held_out)

    def _exported(self) -> EmbeddingNet:
        """What validation and export use: the average where one is kept."""
        if self._average is None:
            return self._net
        assert isinstance(self._average.module, EmbeddingNet)
        return self._average.module

    def _embed(self, rows: Indices) -> npt.NDArray[np.float32]:
        net = self._exported()
        training = net.training
        net.eval()
        embeddings = embed_rows(net, self._pack, rows, device=self._device)
        net.train(training)
        return embeddings

    def _out_of_patience(self) -> bool:
        patience = self._config.patience_epochs
        return patience > 0 and self.epochs_done - self._best_epoch >= patience

    def _epoch(self, epoch: int) -> None:
        config = self._config
        plan = epoch_batches(self._samples.labels_M, config.batch, seed=config.seed, epoch=epoch)
        remaining = plan[self._step - epoch * self._steps_per_epoch : self._steps_per_epoch]
        self._net.train()
        self._loss.start_epoch(epoch)
        saved_at, sums = time.monotonic(), dict[str, float]()
        output: LossOutput | None = None
        bar = tqdm(
            zip(remaining, self._images(remaining), strict=True),
            desc=f"epoch {epoch + 1}/{config.epochs}",
            total=len(remaining),
            unit="batch",
            disable=not self._ranks.leads,
        )
        for count, (batch, images) in enumerate(bar, start=1):
            output, values = self._train_step(batch, images)
            for part, value in values.items():
                sums[part] = sums.get(part, 0.0) + value
            bar.set_postfix({part: f"{value / count:.3f}" for part, value in sums.items()})
            if time.monotonic() - saved_at > self._checkpoint_every_s and count < len(remaining):
                self._save()
                saved_at = time.monotonic()
        if output:
            means = {part: value / len(remaining) for part, value in sums.items()}
            self._log.epoch(self._step, {"epoch": epoch + 1, **means})
            self._log.distances(self._step, output.positive_A, output.negative_A)

    def _images(self, batches: list[Indices]) -> Iterable[Tensor]:
        """Images (or their maps) of this rank's rows of each batch."""
        mine = [rank_rows(batch, self._ranks.rank, self._ranks.world) for batch in batches]
        rows = [self._train[self._samples.rows(samples)] for samples in mine]
        if self._maps is not None:
            return Feed(self._maps, rows, prefetch=PREFETCHED_BATCHES)
        feed = Feed(self._pack.images, rows, prefetch=PREFETCHED_BATCHES)
        return map(self._samples.reordered, feed, mine)

    def _train_step(self, batch: Indices, images: Tensor) -> tuple[LossOutput, dict[str, float]]:
        """batch: global, into the samples. images: of this rank's rows, or their maps."""
        config = self._config
        mine = rank_rows(np.arange(len(batch)), self._ranks.rank, self._ranks.world)
        # One generator a step, so that a resumed run augments as the uninterrupted one, and every
        # rank draws for the whole batch.
        seed = config.seed * 1_000_003 + self._step
        plan = draw(len(batch), config.augment, torch.Generator().manual_seed(seed))
        torch.manual_seed(seed + self._ranks.rank * 1_000_000_007)  # dropout
        plan = plan.rows(slice(int(mine[0]), int(mine[-1]) + 1))
        images = images.to(self._device, non_blocking=True)
        frozen = self._maps is not None
        seen = drawn(images, plan) if frozen else apply(images, plan, config.augment)
        labels = torch.from_numpy(self._samples.labels_M[batch[mine]]).to(self._device)
        rate = learning_rate(
            config.optimizer,
            step=self._step,
            steps_per_epoch=self._steps_per_epoch,
            epochs=config.epochs,
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            output = self._step_of(seen, labels, self._targets_of(batch[mine]))
        output.total.backward()
        values = self._checked(output, batch)
        self._optimizer.step()
        if self._average:
            self._average.update_parameters(self._net)
        self._step += 1
        self._log.batch(self._step, {**values, "learning_rate": rate})
        return output, values

    def _checked(self, output: LossOutput, batch: Indices) -> dict[str, float]:
        """Parts of the loss as numbers, its gradient clipped. Raises NonFiniteLossError."""
        trained = [p for p in self._objective.parameters() if p.grad is not None]
        bound = self._config.optimizer.clip_norm or math.inf
        slope = nn.utils.clip_grad_norm_(trained, bound)
        scalars = {"total": output.total, **output.parts, "gradient_norm": slope}
        numbers = torch.stack([s.detach().double() for s in scalars.values()]).tolist()
        values = dict(zip(scalars, numbers, strict=True))
        if not (math.isfinite(values["total"]) and math.isfinite(values["gradient_norm"])):
            rows = self._train[self._samples.rows(batch)]
            raise NonFiniteLossError(
                f"The loss of step {self._step} is {values}; its images are "
                f"{[self._pack.index.paths[i] for i in rows]}. The last good checkpoint "
                f"is kept in {self._run}: lower the learning rate and resume."
            )
        return values

    def _targets_of(self, batch: Indices) -> Tensor | None:
        if self._targets is None:
            return None
        return torch.from_numpy(self._targets[self._train[batch]]).to(self._device)

    def _autocast(self) -> AbstractContextManager[None]:
        wanted = self._config.precision == "bf16_where_fast"
        fast = wanted and bf16_is_fast(str(self._device))
        return torch.autocast(self._device.type, torch.bfloat16, enabled=fast)

    def _validate(self, epoch: int) -> None:
        """Note the validation of a finished epoch, and keep the network if it is the best yet."""
        found = self.validation()
        self._log.epoch(self._step, {"epoch": epoch, "validation": found})
        if found is not None and found < self._best:
            return
        # Of equally good networks the later one has learned for longer; patience asks for better.
        if found is None or found > self._best:
            self._best_epoch = epoch
        self._best = -math.inf if found is None else found
        if self._ranks.leads:
            state = {
                "net": self._exported().state_dict(),
                "epoch": epoch,
                "validation": found,
                "trained_paths": [self._pack.index.paths[i] for i in self._train],
            }
            save_checkpoint(self._run, state, self._config, MODEL_NAME)

    def _show_embeddings(self) -> None:
        rows = self._held_out[:: max(1, len(self._held_out) // 1000)][:1000]
        names = [self._pack.index.identities[i] for i in self._pack.labels[rows]]
        self._log.embeddings(self._step, self._embed(rows), names, self._pack.images[rows])

    def _save(self) -> None:
        if not self._ranks.leads:
            return
        state = {
            "step": self._step,
            "best": self._best,
            "best_epoch": self._best_epoch,
            "data": fingerprint(self._pack),
            "world": self._ranks.world,
            "net": self._net.state_dict(),
            "average": self._average.state_dict() if self._average else None,
            "loss": self._loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        save_checkpoint(self._run, state, self._config)

    def _load(self) -> None:
        state: dict[str, Any] = load_checkpoint(self._run)
        refuse_other_run(state, self._config, fingerprint(self._pack), self._run, self._ranks.world)
        self._net.load_state_dict(state["net"])
        self._loss.load_state_dict(state["loss"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average:
            self._average.load_state_dict(state["average"])
        self._step, self._best = state["step"], state["best"]
        self._best_epoch = state["best_epoch"]


def fingerprint(pack: Pack) -> str:
    """Hash of what a pack says of its images; not of their pixels."""
    index = pack.index
    text = "\n".join([index.source, str(pack.images.shape), *index.identities, *index.paths])
    return hashlib.sha256(text.encode() + pack.labels.tobytes()).hexdigest()
