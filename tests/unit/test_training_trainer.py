"""The training loop on a pack of coloured patterns: it learns, it resumes, it stops loudly."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import training.trainer
from benchmarks.training_pack import wave_pack
from training.checkpoint import CHECKPOINT_NAME, MODEL_NAME, CheckpointError, load_checkpoint
from training.config import OptimizerConfig, TrainConfig, with_settings
from training.data.augment import AugmentConfig, AugmentPlan, draw
from training.data.pack import Pack, PackError
from training.data.sampler import BatchConfig
from training.data.split import SplitConfig
from training.distill.targets import TeacherError, TeacherNote, write_targets
from training.losses.composite import LossOutput
from training.losses.config import CentreConfig, ExponentialConfig, LossConfig, MiningConfig
from training.models.config import ModelConfig
from training.run import load_run
from training.run_log import RunLog
from training.trainer import NonFiniteLossError, Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = TrainConfig(
    name="tiny",
    epochs=2,
    precision="float32",
    split=SplitConfig(holdout_share=0.2),
    model=ModelConfig(embedding_size=16, width=8, stem_stride=2, side_px=48, dropout=0.1),
    batch=BatchConfig(identities=4, images_each=2),
    augment=AugmentConfig(erase=0, grey=0, color=0.2, light=0.2, low_resolution=0.1),
    loss=LossConfig(class_scale=8),
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_epochs=0.5),
)
STEPS = 2 * (60 // 8)  # 10 of 12 identities are trained on, 6 images each


def pack_in(root: Path, identities: int = 12, images_each: int = 6) -> Pack:
    return wave_pack(root, identities=identities, images_each=images_each, side_px=48)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return pack_in(tmp_path_factory.mktemp("pack"))


@pytest.fixture(scope="module")
def finished(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of CONFIG from start to end, without a stop."""
    run = tmp_path_factory.mktemp("finished")
    Trainer(CONFIG, pack, run, resume=False).fit()
    return run


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def largest_difference(left: Path, right: Path) -> float:
    a, b = load_checkpoint(left), load_checkpoint(right)
    assert a["net"].keys() == b["net"].keys()
    pairs = [(a[part][k], b[part][k]) for part in ("net", "loss") for k in a[part]]
    return max(float((x.double() - y.double()).abs().max()) for x, y in pairs)


def stopped_at(step: int, pack: Pack, run: Path, *, save_always: bool, **changes: Any) -> None:
    """A run with Ctrl-C before step `step`, with or without a checkpoint after each step."""
    every_s = -1.0 if save_always else 3600.0
    config = replace(CONFIG, **changes)
    trainer = Trainer(config, pack, run, resume=False, checkpoint_every_s=every_s)
    taken = trainer._train_step

    def stopping(*args: Any) -> Any:
        if trainer._step == step:
            raise KeyboardInterrupt
        return taken(*args)

    trainer._train_step = stopping  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()


def test_a_pack_of_another_size_is_refused_before_anything_is_trained(
    pack: Pack, tmp_path: Path
) -> None:
    config = replace(CONFIG, model=replace(CONFIG.model, side_px=64))
    with pytest.raises(PackError, match=r"has images of 48x48 .* takes 64x64: .* --side 64"):
        Trainer(config, pack, tmp_path / "run", resume=False)
    assert not (tmp_path / "run").exists()


def test_the_loss_falls_and_strangers_are_told_apart(pack: Pack, tmp_path: Path) -> None:
    Trainer(replace(CONFIG, epochs=5), pack, tmp_path, resume=False).fit()
    log = log_of(tmp_path)
    losses = [entry["total"] for entry in log if "total" in entry]
    aucs = [entry["validation"] for entry in log if "validation" in entry]
    assert len(losses) == len(aucs) == 5
    assert losses[-1] < 0.75 * losses[0]
    assert aucs[-1] > 0.8
    assert log[-1]["step"] == 5 * 7


def test_the_model_says_what_was_trained_on(finished: Path, pack: Pack) -> None:
    run = load_run(finished)
    assert run.config == CONFIG
    assert not run.net.training
    owners = {path.rpartition("/")[0] for path in run.trained_paths}
    assert len(owners) == 10
    assert len(run.trained_paths) == 60
    assert set(run.trained_paths) < set(pack.index.paths)
    assert load_checkpoint(finished)["step"] == STEPS


def test_the_same_config_gives_the_same_weights(finished: Path, pack: Pack, tmp_path: Path) -> None:
    torch.manual_seed(99)  # what ran before in this process must not matter
    Trainer(CONFIG, pack, tmp_path, resume=False).fit()
    assert largest_difference(finished, tmp_path) == 0


@pytest.mark.parametrize("step", [3, 7, 10], ids=["first epoch", "between", "second epoch"])
def test_a_resumed_run_ends_as_the_uninterrupted_one(
    finished: Path, pack: Pack, tmp_path: Path, step: int
) -> None:
    stopped_at(step, pack, tmp_path, save_always=True)
    assert load_checkpoint(tmp_path)["step"] == step
    torch.manual_seed(99)
    Trainer(CONFIG, pack, tmp_path, resume=True).fit()
    assert load_checkpoint(tmp_path)["step"] == STEPS
    assert largest_difference(finished, tmp_path) == 0


def test_steps_after_the_last_checkpoint_are_taken_again(
    finished: Path, pack: Pack, tmp_path: Path
) -> None:
    stopped_at(10, pack, tmp_path, save_always=False)
    assert load_checkpoint(tmp_path)["step"] == STEPS // 2
    Trainer(CONFIG, pack, tmp_path, resume=True).fit()
    assert largest_difference(finished, tmp_path) == 0


def test_every_step_augments_by_a_seed_of_its_own(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []

    def recording(count: int, config: AugmentConfig, generator: torch.Generator) -> AugmentPlan:
        seeds.append(generator.initial_seed())
        return draw(count, config, generator)

    monkeypatch.setattr(training.trainer, "draw", recording)
    for seed in (0, 1):
        config = replace(CONFIG, epochs=1, seed=seed)
        Trainer(config, pack, tmp_path / str(seed), resume=False).fit()
    assert len(seeds) == STEPS
    assert len(set(seeds)) == STEPS


def test_resuming_a_finished_run_changes_nothing(
    finished: Path, pack: Pack, tmp_path: Path
) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes((finished / CHECKPOINT_NAME).read_bytes())
    Trainer(CONFIG, pack, tmp_path, resume=True).fit()
    assert largest_difference(finished, tmp_path) == 0


def test_a_run_is_never_overwritten_by_accident(finished: Path, pack: Pack) -> None:
    with pytest.raises(CheckpointError, match="--resume"):
        Trainer(CONFIG, pack, finished, resume=False)


def test_resuming_where_nothing_ran_starts_a_run(pack: Pack, tmp_path: Path) -> None:
    trainer = Trainer(CONFIG, pack, tmp_path / "run", resume=True)
    assert trainer._step == 0


def test_a_folder_without_a_checkpoint_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train first"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("spoiled", ["loss", "gradient"])
def test_a_loss_or_gradient_that_is_no_number_stops_the_run_and_names_the_images(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    trainer = Trainer(CONFIG, pack, tmp_path, resume=False, checkpoint_every_s=-1.0)
    trainer._save()
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    whole = trainer._loss.forward

    def spoiling(embeddings_BD: Tensor, *rest: Any) -> LossOutput:
        output = whole(embeddings_BD, *rest)
        if spoiled == "loss":
            return output._replace(total=output.total * math.nan)
        # Value 0, slope 0 / 0.
        return output._replace(total=output.total + (embeddings_BD.sum() * 0).square().sqrt())

    monkeypatch.setattr(trainer._loss, "forward", spoiling)
    with pytest.raises(NonFiniteLossError, match=r"wave/\d+/\d\.png") as caught:
        trainer.fit()
    assert str(caught.value).count(".png") == CONFIG.batch.size
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before
    assert all(p.isfinite().all() for p in trainer._net.parameters())


def test_training_without_two_held_out_identities_has_no_validation_and_goes_on(
    tmp_path: Path,
) -> None:
    small = pack_in(tmp_path / "pack", identities=5, images_each=2)
    config = replace(CONFIG, epochs=1, split=SplitConfig(holdout_share=0.05))
    Trainer(config, small, tmp_path / "run", resume=False).fit()
    assert log_of(tmp_path / "run")[-1]["validation"] is None


def test_too_few_identities_for_a_batch_are_refused(tmp_path: Path) -> None:
    small = pack_in(tmp_path / "pack", identities=4, images_each=2)
    with pytest.raises(ValueError, match="asks for 4 identities, the data has 3"):
        Trainer(CONFIG, small, tmp_path / "run", resume=False).fit()


# --- with a teacher ---


class FakeTeacher:
    """Says one unit vector an identity's colour; counts the crops that it saw."""

    note = TeacherNote(name="fake", version="1.0.0", license="none", flips=False)

    def __init__(self) -> None:
        self.seen = 0

    def embed(self, crops_BHW3: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.seen += len(crops_BHW3)
        means = np.repeat(crops_BHW3.mean(axis=(1, 2)), 6, axis=1)[:, :16]
        unit: npt.NDArray[np.float32] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit.astype(np.float32)


def test_a_run_with_a_teacher_logs_and_lowers_the_distillation_loss(tmp_path: Path) -> None:
    taught = pack_in(tmp_path / "pack")
    config = replace(
        CONFIG,
        epochs=4,
        loss=LossConfig(
            exponential=ExponentialConfig(c_pos=0.1, c_neg=0.1), c_class=0.01, c_distill=5.0
        ),
    )
    with pytest.raises(TeacherError, match="teach"):
        Trainer(config, taught, tmp_path / "run", resume=False)
    write_targets(taught, FakeTeacher())
    Trainer(config, taught, tmp_path / "run", resume=False).fit()
    losses = [entry["distill"] for entry in log_of(tmp_path / "run") if "distill" in entry]
    assert losses[-1] < 0.8 * losses[0]


def test_targets_go_on_where_they_were_stopped_and_must_be_whole(tmp_path: Path) -> None:
    taught = pack_in(tmp_path / "pack")
    write_targets(taught, FakeTeacher())
    path = tmp_path / "pack" / "targets.npy"
    whole = np.load(path)
    assert np.allclose(whole, FakeTeacher().embed(taught.images))
    holes = whole.copy()
    holes[5:9] = np.nan
    np.save(path, holes)
    config = replace(CONFIG, loss=LossConfig(c_distill=1.0))
    with pytest.raises(TeacherError, match="not complete"):
        Trainer(config, taught, tmp_path / "run", resume=False)
    teacher = FakeTeacher()
    write_targets(taught, teacher)
    assert teacher.seen == 4
    assert np.array_equal(np.load(path), whole)


def test_targets_of_another_size_are_refused(tmp_path: Path) -> None:
    taught = pack_in(tmp_path / "pack", identities=6, images_each=2)
    write_targets(taught, FakeTeacher())
    config = replace(
        CONFIG, loss=LossConfig(c_distill=1.0), model=replace(CONFIG.model, embedding_size=8)
    )
    with pytest.raises(TeacherError, match="shape"):
        Trainer(config, taught, tmp_path / "run", resume=False)


# --- everything that has a state ---

STATEFUL = replace(
    CONFIG,
    loss=LossConfig(
        class_scale=8, c_centre=1.0, overlap=1.0,
        centre=CentreConfig(each_epoch=True), mining=MiningConfig(memory_batches=2),
    ),
    optimizer=OptimizerConfig(name="radam", learning_rate=1e-2, ema_decay=0.9),
)  # fmt: skip


def test_average_centres_and_memory_are_resumed_too(pack: Pack, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    Trainer(STATEFUL, pack, whole, resume=False).fit()
    changes = {"loss": STATEFUL.loss, "optimizer": STATEFUL.optimizer}
    stopped_at(10, pack, parts, save_always=True, **changes)
    Trainer(STATEFUL, pack, parts, resume=True).fit()
    assert largest_difference(whole, parts) == 0
    one, other = (
        load_checkpoint(whole, MODEL_NAME)["net"],
        load_checkpoint(parts, MODEL_NAME)["net"],
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_exported_network_is_the_running_average(pack: Pack, tmp_path: Path) -> None:
    averages: dict[str, Tensor] = {}
    trainer = Trainer(STATEFUL, pack, tmp_path, resume=False)
    taken = trainer._train_step

    def averaging(*args: Any) -> Any:
        done = taken(*args)
        for name, value in trainer._net.state_dict().items():
            before = averages.get(name, value)
            averages[name] = 0.9 * before + 0.1 * value if value.is_floating_point() else value
        return done

    trainer._train_step = averaging  # type: ignore[method-assign]
    trainer.fit()
    kept = trainer._exported().state_dict()
    for name, value in averages.items():
        if value.is_floating_point():
            assert torch.allclose(kept[name], value, rtol=1e-4, atol=1e-6), name
    assert any(not torch.equal(kept[n], v) for n, v in trainer._net.state_dict().items())


# --- stopping early, and the best network ---


def scripted_validation(trainer: Trainer, found: list[float]) -> None:
    """`found`, one an epoch, in place of what the network would reach."""
    left = iter(found)
    trainer.validation = lambda: next(left)  # type: ignore[method-assign]


def test_training_stops_when_validation_has_not_improved_for_so_long(
    pack: Pack, tmp_path: Path
) -> None:
    config = replace(CONFIG, epochs=9, patience_epochs=2)
    trainer = Trainer(config, pack, tmp_path, resume=False)
    scripted_validation(trainer, [0.5, 0.7, 0.6, 0.7, 0.9])
    trainer.fit()
    assert trainer.epochs_done == 4
    model = load_checkpoint(tmp_path, MODEL_NAME)
    assert (model["epoch"], model["validation"]) == (4, 0.7)  # as good as the second, and later


def test_a_run_that_stopped_early_stays_stopped_when_it_is_resumed(
    pack: Pack, tmp_path: Path
) -> None:
    config = replace(CONFIG, epochs=9, patience_epochs=1)
    trainer = Trainer(config, pack, tmp_path, resume=False)
    scripted_validation(trainer, [0.5, 0.4])
    trainer.fit()
    again = Trainer(config, pack, tmp_path, resume=True)
    scripted_validation(again, [])
    again.fit()
    assert again.epochs_done == 2


def test_without_patience_all_epochs_are_run_and_the_best_is_kept(
    pack: Pack, tmp_path: Path
) -> None:
    trainer = Trainer(replace(CONFIG, epochs=3), pack, tmp_path, resume=False)
    scripted_validation(trainer, [0.9, 0.2, 0.3])
    trainer.fit()
    assert trainer.epochs_done == 3
    assert load_checkpoint(tmp_path, MODEL_NAME)["epoch"] == 1


def test_split_by_sample_validates_by_the_nearest_centre(pack: Pack, tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=4, split=SplitConfig(by="sample", holdout_share=0.34))
    Trainer(config, pack, tmp_path, resume=False).fit()
    found = [entry["validation"] for entry in log_of(tmp_path) if "validation" in entry]
    assert all(value * 24 == pytest.approx(round(value * 24)) for value in found)
    assert found[-1] > 0.5  # 1 of 12 by chance


# --- what must fit to resume ---


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"seed": 7}, r"seed \(0 there, 7 asked\)"),
     ({"loss": LossConfig(class_scale=9)}, r"loss\.class_scale \(8\.?0? there, 9\.?0? asked\)")],
)  # fmt: skip
def test_a_run_is_not_resumed_by_another_config(
    finished: Path, pack: Pack, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        Trainer(replace(CONFIG, **changed), pack, finished, resume=True)


def test_a_run_is_not_resumed_on_another_pack(finished: Path, tmp_path: Path) -> None:
    other = pack_in(tmp_path / "pack", images_each=7)
    with pytest.raises(CheckpointError, match="another pack"):
        Trainer(CONFIG, other, finished, resume=True)


def test_a_finished_run_goes_on_when_more_epochs_are_asked(
    finished: Path, pack: Pack, tmp_path: Path
) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes((finished / CHECKPOINT_NAME).read_bytes())
    trainer = Trainer(replace(CONFIG, epochs=3), pack, tmp_path, resume=True)
    trainer.fit()
    assert trainer.epochs_done == 3


# --- what the log hears ---


class Heard(RunLog):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        super().__init__(None)
        self.batches: list[tuple[int, dict[str, float]]] = []
        self.histograms: list[tuple[Tensor, Tensor]] = []
        self.shown: list[tuple[Any, ...]] = []

    def batch(self, step: int, values: Any) -> None:
        self.batches.append((step, dict(values)))

    def distances(self, step: int, positive_A: Tensor, negative_A: Tensor) -> None:
        self.histograms.append((positive_A, negative_A))

    def embeddings(self, *args: Any) -> None:
        self.shown.append(args)


def test_the_log_hears_every_part_of_the_loss_the_distances_and_the_embeddings(
    pack: Pack, tmp_path: Path
) -> None:
    heard = Heard()
    Trainer(STATEFUL, pack, tmp_path, resume=False, log=heard).fit()
    assert [step for step, _ in heard.batches] == list(range(1, STEPS + 1))
    parts = {"total", "metric", "centre", "class", "gradient_norm", "learning_rate"}
    assert all(values.keys() == parts for _, values in heard.batches)
    assert len(heard.histograms) == 2
    for positive_A, negative_A in heard.histograms:
        assert len(positive_A) == len(negative_A) == 8
        assert not positive_A.requires_grad
        assert 0 <= float(positive_A.min()) <= float(positive_A.max()) <= 1
    ((_, embeddings, names, images),) = heard.shown
    assert len(embeddings) == len(names) == len(images) == 12


# --- every row of the paper's table, every baseline, every space ---

ROWS = [
    (metric, f"loss.c_class={c_class}", f"loss.c_centre={c_centre}")
    for metric in ("loss.metric=standard", "loss.metric=exponential")
    for c_class in (0, 1)
    for c_centre in (0, 1)
]
BASELINES = [
    (f"loss.metric={name}", "loss.c_class=0")
    for name in ("arcface", "cosface", "multi_similarity", "proxy_anchor")
]
SPACES = [
    ("model.space=unit_range",), ("model.space=unit_bounce", "model.norm_gradient=false"),
    ("model.space=bounce_limit",), ("model.space=none", "model.unbounded_d_max=4"),
]  # fmt: skip


@pytest.mark.parametrize("settings", [*ROWS, *BASELINES, *SPACES], ids=" ".join)
def test_settings_alone_train_it(pack: Pack, tmp_path: Path, settings: tuple[str, ...]) -> None:
    heard = Heard()
    config = with_settings(CONFIG, ["epochs=10", "optimizer.learning_rate=3e-3", *settings])
    Trainer(config, pack, tmp_path, resume=False, log=heard).fit()
    losses = [values["total"] for _, values in heard.batches]
    assert np.mean(losses[-7:]) < np.mean(losses[:7])
    assert load_run(tmp_path).config == config
