"""The proof with kill -9 can fail: what a worker says falsely is found out."""

import random
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.gallery_check import compare, opened
from benchmarks.gallery_script import Call
from benchmarks.kill_gallery import Killed, book, kill_rounds


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Killed]:
    """A gallery after some kills, and what is known of it."""
    path = tmp_path_factory.mktemp("killed") / "gallery.db"
    return path, kill_rounds(path, 6, random.Random(1))


def test_a_few_kills_do_no_harm(killed: tuple[Path, Killed]) -> None:
    _, found = killed
    assert found.faults == []
    assert not found.bad()
    assert found.kills == 6
    assert found.ledger.acknowledged.total() > 5
    assert found.ledger.in_flight == {}


def test_a_call_that_was_acknowledged_and_not_done_is_lost(killed: tuple[Path, Killed]) -> None:
    path, found = killed
    lying = Killed(ledger=found.ledger)
    call = Call("enrol", 10**6, "s1000000", count=2)
    book([["opened"], ["began", 0, asdict(call)], ["done", 0, "t1", "t2"], ["ended", -9]], lying)
    assert lying.faults == []
    assert lying.next_number == 10**6 + 1
    with opened(path) as gallery:
        compare(gallery, path, lying.ledger.state, [], lying)
    assert lying.lost == 2
    assert lying.bad()


def test_a_worker_that_ends_by_itself_is_told() -> None:
    found = Killed()
    book([["failed", "ValueError('x')"], ["ended", 1]], found)
    assert found.opening == 1
    assert found.faults == ["the worker failed: [\"ValueError('x')\"]", "the worker ended: [1]"]
