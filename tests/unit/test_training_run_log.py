"""What a run tells: read back by TensorBoard's own reader."""

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.run_log import LOG_NAME, STEPS_PER_POINT, TENSORBOARD_NAME, RunLog


def board(run: Path) -> EventAccumulator:
    found = EventAccumulator(str(run / TENSORBOARD_NAME), size_guidance={"scalars": 0})
    found.Reload()
    return found


def points(run: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in board(run).Scalars(name)]


def test_every_tenth_batch_and_every_epoch_is_drawn(tmp_path: Path) -> None:
    log = RunLog(tmp_path, tensorboard=True)
    log.start(0)
    for step in range(1, 26):
        log.batch(step, {"total": step / 2, "class": 0.25})
    log.epoch(25, {"epoch": 1, "validation": 0.5})
    log.epoch(50, {"epoch": 2, "validation": None})
    log.close()
    assert STEPS_PER_POINT == 10
    assert points(tmp_path, "batch/total") == [(10, 5.0), (20, 10.0)]
    assert points(tmp_path, "batch/class") == [(10, 0.25), (20, 0.25)]
    assert points(tmp_path, "epoch/validation") == [(25, 0.5)]
    lines = [json.loads(line) for line in (tmp_path / LOG_NAME).read_text().splitlines()]
    assert lines == [
        {"step": 25, "epoch": 1, "validation": 0.5},
        {"step": 50, "epoch": 2, "validation": None},
    ]


def test_distances_are_histograms_and_none_of_nothing(tmp_path: Path) -> None:
    log = RunLog(tmp_path, tensorboard=True)
    log.start(0)
    log.distances(7, torch.tensor([0.1, 0.2, 0.9]), torch.tensor([]))
    log.close()
    found = board(tmp_path)
    assert found.Tags()["histograms"] == ["distance/positive"]
    (event,) = found.Histograms("distance/positive")
    value = event.histogram_value
    assert (event.step, value.num) == (7, 3)
    assert (value.min, value.max) == pytest.approx((0.1, 0.9))


def test_the_projector_gets_vectors_names_and_thumbnails(tmp_path: Path) -> None:
    log = RunLog(tmp_path, tensorboard=True)
    log.start(0)
    embeddings = np.array([[0.5, -1.0], [0.25, 2.0]], np.float32)
    images = np.zeros((2, 60, 60, 3), np.uint8)
    images[1] = (255, 0, 51)
    log.embeddings(3, embeddings, ["Zoë", "b"], images)
    log.close()
    config = (tmp_path / TENSORBOARD_NAME / "projector_config.pbtxt").read_text()
    assert "held-out" in config
    (vectors,) = (tmp_path / TENSORBOARD_NAME).rglob("tensors.tsv")
    assert np.allclose(np.loadtxt(vectors), embeddings)
    assert (vectors.parent / "metadata.tsv").read_text(encoding="utf-8").split() == ["Zoë", "b"]
    with Image.open(vectors.parent / "sprite.png") as sprite:
        pixels = np.asarray(sprite.convert("RGB"))
    assert pixels.shape[1] == 2 * 48
    assert pixels[10, 10].tolist() == [0, 0, 0]
    assert pixels[10, 48 + 10].tolist() == [255, 0, 51]


def test_a_resumed_run_forgets_what_was_drawn_beyond_its_checkpoint(tmp_path: Path) -> None:
    for start, value in ((0, 1.0), (20, 2.0)):
        log = RunLog(tmp_path, tensorboard=True)
        log.start(start)
        for step in range(start + 10, 41, 10):
            log.batch(step, {"total": value})
        log.close()
    assert points(tmp_path, "batch/total") == [(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0)]


def test_without_tensorboard_there_is_only_the_file(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.start(0)
    log.batch(10, {"total": 1.0})
    log.distances(10, torch.ones(2), torch.ones(2))
    log.embeddings(1, np.zeros((1, 2), np.float32), ["a"], np.zeros((1, 8, 8, 3), np.uint8))
    log.epoch(10, {"epoch": 1})
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == [LOG_NAME]


def test_a_log_of_no_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = RunLog(None, tensorboard=True)
    log.start(0)
    log.batch(10, {"total": 1.0})
    log.epoch(10, {"epoch": 1})
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_where_tensorboard_is_missing_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="--no-tensorboard"):
        RunLog(tmp_path, tensorboard=True).start(0)
