"""The proof of power losses can fail: a gallery that is not careful is found out."""

from pathlib import Path

import pytest

import index.memory_searcher
from benchmarks import power_loss
from benchmarks.lossy_vfs import Create, Event, Mark, Sync, Write


@pytest.fixture(autouse=True)
def snapshots_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof lets small galleries leave snapshots; afterwards that is as it was."""
    usual = index.memory_searcher.SNAPSHOT_FROM_ROWS
    monkeypatch.setattr("index.memory_searcher.SNAPSHOT_FROM_ROWS", usual)


def test_a_careful_gallery_stands_all_of_it() -> None:
    findings = power_loss.run(points=12, seed=3)
    assert findings.faults == []
    assert not findings.bad()
    assert findings.moments == 12
    assert findings.restarts > 24
    assert findings.snapshots > 1
    assert findings.done
    assert findings.undone


@pytest.mark.parametrize("synchronous", ["normal", "off"])
def test_a_gallery_that_does_not_sync_is_found_out(synchronous: str) -> None:
    findings = power_loss.run(12, seed=3, pragmas=f"PRAGMA synchronous = {synchronous}")
    assert findings.lost + findings.returned > 10
    assert findings.bad()


def test_moments_are_all_over_the_journal_and_beside_what_makes_things_safe() -> None:
    events: list[Event] = [Create(Path("/a"), 1)]
    events += [Write(1, number, b"x") for number in range(97)]
    events += [Sync(1), Mark("done")]
    assert power_loss.moments(events, 200, seed=0) == set(range(1, 101))
    some = power_loss.moments(events, 20, seed=0)
    assert len(some) == 20
    assert {98, 99, 100} <= some
    assert min(some) < 30
    assert power_loss.moments(events, 20, seed=0) == some
    assert power_loss.moments(events, 20, seed=1) != some
