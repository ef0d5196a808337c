"""Rates by turns, and ratios to the faster of two."""

import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import embed_speed
from benchmarks.embed_speed import SFACE, median_rates, ratio


def test_rates_are_medians_of_rounds_that_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that each embedder moves by hand: seconds of the warm round, then of three rounds."""
    now, order = [0.0], []
    seconds = {"a": [90.0, 1.0, 4.0, 2.0], "b": [90.0, 8.0, 8.0, 99.0]}
    calls = dict.fromkeys(seconds, 0)

    def embedder(name: str) -> embed_speed.Embed:
        def embed(crops: np.ndarray) -> np.ndarray:
            assert len(crops) == 2
            order.append(name)
            now[0] += seconds[name][calls[name] // 2] / 2  # four crops are two calls a round
            calls[name] += 1
            return np.zeros((len(crops), 1), np.float32)

        return embed

    monkeypatch.setattr(time, "thread_time", lambda: now[0])
    crops = np.zeros((4, 1, 1, 3), np.uint8)
    embeds = {name: embedder(name) for name in seconds}
    assert median_rates(embeds, crops, batch=2, rounds=3) == {"a": 2.0, "b": 0.5}
    assert order == ["a", "a", "b", "b"] * 4


def test_a_ratio_is_to_the_faster_session() -> None:
    rates = {"default": 30.0, SFACE[0]: 10.0, SFACE[1]: 20.0}
    assert ratio(rates, "default") == 1.5
    assert ratio(rates | {SFACE[0]: 60.0}, "default") == 0.5


def test_a_missing_bundle_is_said_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    assert embed_speed.main(["--bundle", str(tmp_path / "oneglance-faces")]) == 1
    assert "make bundle-faces" in capsys.readouterr().err
