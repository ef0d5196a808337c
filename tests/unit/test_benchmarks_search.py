"""The synthetic vectors, and how the search benchmark times and judges."""

import time

import numpy as np
import pytest

from benchmarks import search
from benchmarks.face_like import CHUNK, FaceLike
from benchmarks.search import best_rows, main, share_found, take_turns
from index.search import Shortlist


def test_vectors_are_what_they_are_said_to_be() -> None:
    for size, spread in ((128, 0.13), (512, 0.06)):
        population = FaceLike(size=size)
        rows = next(population.templates(4000))
        assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-5
        same = np.einsum("nd,nd->n", rows[0::4], rows[1::4])
        others = np.einsum("nd,nd->n", rows[:-4], rows[4:])
        assert same.mean() == pytest.approx(0.65, abs=0.02)
        assert others.mean() == pytest.approx(0.0, abs=0.01)
        assert others.std() == pytest.approx(spread, abs=0.01)


def test_the_same_population_whatever_is_asked_of_it() -> None:
    population = FaceLike(size=8)
    small, *_ = population.templates(1000)
    chunks = list(population.templates(CHUNK + 1000))
    assert [len(chunk) for chunk in chunks] == [CHUNK, 1000]
    assert np.array_equal(chunks[0][:1000], small)
    assert not np.array_equal(chunks[1], small)


def test_probes_are_photos_of_whom_they_say() -> None:
    population = FaceLike(size=128)
    probes, who = population.probes(300, among=CHUNK + 1000)
    assert who.max() >= CHUNK // 4
    assert len(set(who.tolist())) == 300
    assert (best_rows(population, CHUNK + 1000, probes) // 4 == who).mean() > 0.9


def test_searches_take_turns_and_their_warm_up_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, calls = [0.0], []

    def taking(name: str, seconds: float) -> search.Search:
        def run(probe: np.ndarray) -> None:
            assert probe.shape == (1, 2)
            calls.append(name)
            now[0] += seconds

        return run

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "thread_time", lambda: now[0] / 2)
    searches = {"a": taking("a", 1.0), "b": taking("b", 3.0)}
    times = take_turns(searches, np.zeros((20, 2), dtype=np.float32))
    assert calls == ["a", "b"] * 22
    assert times["a"].clock == [1000.0] * 20
    assert times["b"].core == [1500.0] * 20


def test_a_best_row_counts_where_it_is_listed_and_a_subject_where_it_is_first() -> None:
    def listed(*numbers: int) -> Shortlist:
        rows = np.array(numbers)
        return Shortlist(
            numbers=rows, subject_numbers=rows // 4, similarities=np.zeros(2), left_out=-1.0
        )

    lists, best = [listed(1, 9), listed(2, 9), listed(9, 2), listed(8, 0)], np.array([9, 1, 1, 1])
    assert share_found(lists, best, of_subjects=False) == 0.25
    assert share_found(lists, best, of_subjects=True) == 0.5


def test_a_small_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SLACK_MS", 1000.0)
    assert main(["--rows", "400", "--sizes", "16", "--probes", "20", "--rivals-up-to", "400"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [name in lines[2] for name in ("ours", "bare FAISS", "hnswlib", "usearch")] == [True] * 4
    assert "found at least 1.0000" in lines[-1]
    monkeypatch.setattr(search, "FOUND_BAR", 1.1)
    assert main(["--rows", "400", "--sizes", "16", "--probes", "20", "--rivals-up-to", "0"]) == 1
