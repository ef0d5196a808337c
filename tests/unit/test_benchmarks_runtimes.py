"""Runtimes side by side: how far each moves a similarity, and whose time is counted."""

import time

import numpy as np
import pytest

from benchmarks import runtimes
from benchmarks.runtimes import BATCHES, ROUNDS, milliseconds, shifts

CROPS = np.zeros((8, 1, 1, 3), np.uint8)


def test_a_shift_is_of_the_crop_that_moves_most() -> None:
    def moved(far: float) -> runtimes.Embed:
        return lambda crops: np.array([[0, far * i / 7] for i in range(len(crops))], np.float32)

    found = shifts({"torchscript": moved(0), "openvino": moved(0.5)}, CROPS, 2.0)
    assert found == pytest.approx({"torchscript": 0, "openvino": 0.25})


@pytest.mark.parametrize("batch", BATCHES)
def test_the_time_of_a_crop_is_the_median_of_rounds(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that each embedder moves by hand; one round in five is disturbed."""
    now, calls = [0.0], {"a": 0, "b": 0}

    def embedder(name: str, seconds: float) -> runtimes.Embed:
        def embed(crops: np.ndarray) -> np.ndarray:
            assert len(crops) == batch
            round_number = calls[name] * batch // len(CROPS)
            now[0] += seconds * batch * (50 if round_number % 5 == 0 else 1)
            calls[name] += 1
            return np.zeros((len(crops), 1), np.float32)

        return embed

    monkeypatch.setattr(time, "process_time", lambda: now[0])
    found = milliseconds({"a": embedder("a", 0.02), "b": embedder("b", 0.03)}, CROPS, batch=batch)
    assert found == pytest.approx({"a": 20, "b": 30})
    assert calls["a"] == calls["b"] == (ROUNDS + 1) * len(CROPS) // batch


@pytest.mark.parametrize(
    ("shift", "share", "status"),
    [(0.001, 0.9, 0), (0.003, 0.9, 1), (0.001, 1.1, 1), (np.nan, 0.9, 1)],
)
def test_the_status_says_whether_both_bars_hold(
    shift: float,
    share: float,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    one_thread: None,
) -> None:
    monkeypatch.setattr(runtimes, "measured", lambda *_: (shift, share))
    assert runtimes.main([]) == status
    assert f"takes {share:.2f} (oneglance-faces)" in capsys.readouterr().out.splitlines()[-1]
