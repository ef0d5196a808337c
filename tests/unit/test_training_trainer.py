"""The training loop on a pack of coloured patterns: it learns, it resumes, it stops loudly."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import training.trainer
from training.checkpoint import (
    CHECKPOINT_NAME,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from training.config import ModelConfig, OptimizerConfig, TrainConfig, config_from_dict
from training.data.augment import AugmentConfig, augment
from training.data.pack import Pack, PackIndex, open_pack, write_pack
from training.data.sampler import BatchConfig
from training.distill.targets import TeacherError, write_targets
from training.losses.composite import LossConfig
from training.recipes import RECIPES
from training.trainer import NonFiniteLossError, Trainer, build_model

CONFIG = TrainConfig(
    name="tiny",
    epochs=2,
    bf16=False,
    holdout_share=0.2,
    model=ModelConfig(embedding_size=16, width=8, stem_stride=4, dropout=0.1),
    batch=BatchConfig(identities=4, images_each=2),
    augment=AugmentConfig(erase=0, grey=0, color=0.2, light=0.2, low_resolution=0.1),
    loss=LossConfig(class_scale=8),
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_epochs=0.5),
)
STEPS = 2 * (60 // 8)  # 10 of 12 identities are trained on, 6 images each


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def patterns(identities: int, images_each: int) -> npt.NDArray[np.uint8]:
    """One coloured wave an identity, with a phase and noise an image."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:112, 0:112]
    images = []
    for _ in range(identities):
        fx, fy = rng.uniform(-0.3, 0.3, 2)
        color = rng.uniform(40, 127, 3)
        for _ in range(images_each):
            wave = np.sin(fx * x + fy * y + rng.uniform(0, 1))[:, :, None] * color + 128
            images.append(wave + rng.normal(0, 8, (112, 112, 3)))
    return np.clip(np.stack(images), 0, 255).astype(np.uint8)


def pack_in(root: Path, identities: int = 12, images_each: int = 6) -> Pack:
    index = PackIndex(
        source="patterns.zip", alignment="five_point_112",
        identities=tuple(f"p/{i:02}" for i in range(identities)),
        paths=tuple(f"p/{i:02}/{j}.png" for i in range(identities) for j in range(images_each)),
        labels=tuple(i for i in range(identities) for _ in range(images_each)), unused=(),
    )  # fmt: skip
    write_pack(root, index, patterns(identities, images_each))
    return open_pack(root)


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


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, *, save_always: bool) -> None:
    """Ctrl-C before step `step`; with or without a checkpoint after each step before it."""
    taken = Trainer._train_step

    def stopping(self: Trainer, batch: npt.NDArray[np.int64]) -> dict[str, float]:
        if self._step == step:
            raise KeyboardInterrupt
        return taken(self, batch)

    monkeypatch.setattr(Trainer, "_train_step", stopping)
    if save_always:
        monkeypatch.setattr(training.trainer, "CHECKPOINT_EVERY_S", -1.0)


def test_the_loss_falls_and_strangers_are_told_apart(pack: Pack, tmp_path: Path) -> None:
    Trainer(replace(CONFIG, epochs=5), pack, tmp_path, resume=False).fit()
    log = log_of(tmp_path)
    losses = [entry["total"] for entry in log if "total" in entry]
    aucs = [entry["holdout_auc"] for entry in log if "holdout_auc" in entry]
    assert len(losses) == len(aucs) == 5
    assert losses[-1] < 0.75 * losses[0]
    assert aucs[-1] > 0.8
    assert log[-1]["step"] == 5 * 7


def test_the_checkpoint_says_what_was_trained_on(finished: Path, pack: Pack) -> None:
    state = load_checkpoint(finished)
    assert state["step"] == STEPS
    assert config_from_dict(state["config"]) == CONFIG
    owners = {path.rpartition("/")[0] for path in state["trained_paths"]}
    assert len(owners) == 10
    assert len(state["trained_paths"]) == 60
    assert set(state["identities"]) == set(pack.index.identities)


def test_the_same_config_gives_the_same_weights(finished: Path, pack: Pack, tmp_path: Path) -> None:
    torch.manual_seed(99)  # what ran before in this process must not matter
    Trainer(CONFIG, pack, tmp_path, resume=False).fit()
    assert largest_difference(finished, tmp_path) == 0


@pytest.mark.parametrize("step", [3, 7, 10], ids=["first epoch", "between", "second epoch"])
def test_a_resumed_run_ends_as_the_uninterrupted_one(
    finished: Path, pack: Pack, tmp_path: Path, step: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, step, save_always=True)
        with pytest.raises(KeyboardInterrupt):
            Trainer(CONFIG, pack, tmp_path, resume=False).fit()
    assert load_checkpoint(tmp_path)["step"] == step
    torch.manual_seed(99)
    Trainer(CONFIG, pack, tmp_path, resume=True).fit()
    assert load_checkpoint(tmp_path)["step"] == STEPS
    assert largest_difference(finished, tmp_path) == 0


def test_steps_after_the_last_checkpoint_are_taken_again(
    finished: Path, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 10, save_always=False)
        with pytest.raises(KeyboardInterrupt):
            Trainer(CONFIG, pack, tmp_path, resume=False).fit()
    assert load_checkpoint(tmp_path)["step"] == STEPS // 2
    Trainer(CONFIG, pack, tmp_path, resume=True).fit()
    assert largest_difference(finished, tmp_path) == 0


def test_every_step_augments_by_a_seed_of_its_own(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []

    def recording(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
        seeds.append(generator.initial_seed())
        return augment(images, config, generator)

    monkeypatch.setattr(training.trainer, "augment", recording)
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
    trainer = Trainer(CONFIG, pack, tmp_path, resume=False)
    trainer._save()
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    monkeypatch.setattr(training.trainer, "CHECKPOINT_EVERY_S", -1.0)
    whole = trainer._loss.forward

    def spoiling(embeddings_BD: Tensor, *rest: Any) -> dict[str, Tensor]:
        parts = whole(embeddings_BD, *rest)
        if spoiled == "loss":
            return {**parts, "total": parts["total"] * math.nan}
        # Value 0, slope 0 / 0.
        return {**parts, "total": parts["total"] + (embeddings_BD.sum() * 0).square().sqrt()}

    monkeypatch.setattr(trainer._loss, "forward", spoiling)
    with pytest.raises(NonFiniteLossError, match=r"p/\d\d/\d\.png") as caught:
        trainer.fit()
    assert str(caught.value).count(".png") == CONFIG.batch.size
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before
    assert all(p.isfinite().all() for p in trainer._net.parameters())


def test_training_without_two_held_out_identities_has_no_validation_and_goes_on(
    tmp_path: Path,
) -> None:
    small = pack_in(tmp_path / "pack", identities=5, images_each=2)
    config = replace(CONFIG, epochs=1, holdout_share=0.05)
    Trainer(config, small, tmp_path / "run", resume=False).fit()
    assert log_of(tmp_path / "run")[-1]["holdout_auc"] is None


def test_too_few_identities_for_a_batch_are_refused(tmp_path: Path) -> None:
    small = pack_in(tmp_path / "pack", identities=4, images_each=2)
    with pytest.raises(ValueError, match="asks for 4 identities, the data has 3"):
        Trainer(CONFIG, small, tmp_path / "run", resume=False).fit()


def test_the_learning_rate_rises_in_the_warm_up_and_falls_to_zero(
    pack: Pack, tmp_path: Path
) -> None:
    config = replace(CONFIG, epochs=4, optimizer=OptimizerConfig(learning_rate=1.0))
    trainer = Trainer(config, pack, tmp_path, resume=False)
    rates = []
    for step in range(4 * 7 + 1):
        trainer._step = step
        rates.append(trainer._learning_rate())
    assert rates[:7] == pytest.approx([(n + 1) / 7 for n in range(7)])
    assert rates[7:] == pytest.approx([0.5 * (1 + math.cos(math.pi * n / 21)) for n in range(22)])


def test_weights_decay_and_biases_and_norms_do_not(pack: Pack, tmp_path: Path) -> None:
    trainer = Trainer(CONFIG, pack, tmp_path, resume=False)
    decayed, plain = trainer._optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0.0)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in plain["params"])
    trained = {id(p) for group in (decayed, plain) for p in group["params"]}
    whole = [*trainer._net.parameters(), *trainer._loss.parameters()]
    assert trained == {id(p) for p in whole}


# --- with a teacher ---


class FakeTeacher:
    """Says one unit vector an identity's colour; counts the crops that it saw."""

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
        CONFIG, epochs=4, loss=LossConfig(c_pos=0.1, c_neg=0.1, c_class=0.01, c_distill=5.0)
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


# --- checkpoints ---


def test_a_checkpoint_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, {"step": 1}, CONFIG)

    def half(_: object, file: Any) -> None:
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(tmp_path, {"step": 2}, CONFIG)
    assert load_checkpoint(tmp_path)["step"] == 1


@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04 half of one"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / CHECKPOINT_NAME).write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"step": Path.home}, tmp_path / CHECKPOINT_NAME)
    with pytest.raises(CheckpointError, match="not ours"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_a_gpu_is_read_on_a_machine_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        save_checkpoint(tmp_path, {"net": torch.arange(3.0)}, CONFIG)
    found = load_checkpoint(tmp_path)["net"]
    assert found.device.type == "cpu"
    assert found.tolist() == [0, 1, 2]


# --- configs and the network ---


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_survives_the_checkpoint(name: str, tmp_path: Path) -> None:
    config = RECIPES[name](epochs=3)
    assert (config.name, config.epochs) == (name, 3)
    save_checkpoint(tmp_path, {}, config)
    assert config_from_dict(load_checkpoint(tmp_path)["config"]) == config


@pytest.mark.parametrize(
    ("make", "bad"),
    [(TrainConfig, {"name": "x", "epochs": 0}),
     (TrainConfig, {"name": "x", "epochs": 1, "holdout_share": 0.0}),
     (TrainConfig, {"name": "x", "epochs": 1, "holdout_share": 1.0}),
     (ModelConfig, {"embedding_size": 1}), (ModelConfig, {"stem_stride": 3}),
     (ModelConfig, {"space": "unit_range"})],
)  # fmt: skip
def test_a_config_that_cannot_be_trained_is_refused(make: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|cannot be trained"):
        make(**bad)


@pytest.mark.parametrize("stem_stride", [2, 4])
@pytest.mark.parametrize("side_px", [112, 96, 50])
def test_the_network_embeds_pixels_on_the_sphere(stem_stride: int, side_px: int) -> None:
    model = ModelConfig(
        embedding_size=5, width=4, stem_stride=stem_stride, side_px=side_px, scale=3.0
    )
    net = build_model(replace(CONFIG, model=model)).eval()
    images = torch.randint(0, 256, (2, side_px, side_px, 3), dtype=torch.uint8)
    with torch.inference_mode():
        found = net(images)
    assert found.shape == (2, 5)
    assert found.dtype == torch.float32
    assert torch.allclose(found.norm(dim=1), torch.tensor([3.0, 3.0]))


def test_the_network_normalises_pixels_as_training_does(pack: Pack) -> None:
    net = build_model(CONFIG).eval()
    images = torch.from_numpy(pack.images[:3].copy())
    with torch.inference_mode():
        found = net(images)
        expected = net.embed(images.permute(0, 3, 1, 2).float() / 127.5 - 1)
    assert torch.allclose(found, expected, atol=1e-5)
