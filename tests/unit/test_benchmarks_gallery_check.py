"""What the proofs of durability believe, and that they find what is wrong."""

import dataclasses
import random
from pathlib import Path

import apsw
import pytest

from benchmarks.gallery_check import Findings, compare, copies_left, found_in, opened, settle
from benchmarks.gallery_script import (
    CONTRACTS,
    Began,
    Call,
    Done,
    Ledger,
    State,
    choose_call,
    embeddings_of,
    perform,
)

NEXT = "proof:b"
KINDS = {
    "enrol",
    "remove",
    "remove_template",
    "merge",
    "begin",
    "stage",
    "switch",
    "roll_back",
    "abandon",
    "drop_former",
}


def played(path: Path, *calls: Call) -> tuple[State, list[State]]:
    """Do the calls; the last state and those before each call."""
    state, before = State(), []
    with opened(path) as gallery:
        for call in calls:
            before.append(state)
            state = state.after(call, perform(gallery, call))
    return state, before


def test_the_model_says_what_the_gallery_does(tmp_path: Path) -> None:
    path, state, seen = tmp_path / "g.db", State(), set()
    choose = random.Random(5)
    with opened(path) as gallery:
        for number in range(250):
            call = choose_call(state, choose, number)
            seen.add(call.kind)
            before, state = state, state.after(call, perform(gallery, call))
            found = found_in(path)
            assert found == state, call
            assert settle(before, [call], found) == (state, [call]), call
            assert settle(before, [call], before) == (before, []), call
        findings = Findings()
        assert compare(gallery, path, state, [], findings) == state
        assert not findings.bad()
    assert seen == KINDS
    assert not copies_left(tmp_path, state)


def test_a_ledger_knows_what_is_acknowledged_and_what_is_in_flight() -> None:
    ledger = Ledger()
    ann, bob = Call("enrol", 1, "ann", count=1), Call("enrol", 2, "bob", count=1)
    ledger.read(Began(0, ann))
    ledger.read(Began(1, bob))
    ledger.read(Done(1, ("t",)))
    assert ledger.in_flight == {0: ann}
    assert ledger.state.subjects.keys() == {"bob"}
    assert ledger.acknowledged == {"enrol": 1}


@pytest.mark.parametrize(
    ("harm", "lost", "returned", "words"),
    [
        ("DELETE FROM templates WHERE number = 1", 1, 0, "1 templates lost"),
        ("UPDATE templates SET embedding = zeroblob(64) WHERE number = 1", 1, 0, "1 too many"),
        ("UPDATE collections SET revision = revision - 1", 0, 0, "revision 2 in the file, 3"),
        ("UPDATE collections SET contract_number = 2", 0, 0, "proof:b is searched"),
        ("INSERT INTO subjects SELECT 9, 1, 'eve', NULL, NULL, '{}', '', NULL, NULL", 0, 0, "list"),
        ("UPDATE templates SET subject_number = 3 WHERE number = 1", 0, 0, "found as"),
        ("removed", 0, 1, "1 returned"),
    ],
)
def test_harm_to_a_file_is_found(
    tmp_path: Path, harm: str, lost: int, returned: int, words: str
) -> None:
    path = tmp_path / "g.db"
    enrolled = [Call("enrol", seed, f"s{seed}", count=2) for seed in (1, 2)]
    state, _ = played(path, *enrolled, Call("enrol", 3, "s3", count=1))
    connection = apsw.Connection(str(path))
    size = CONTRACTS[NEXT].size
    columns = "number, id, embedding_size, d_max"
    connection.execute(f"INSERT INTO contracts ({columns}) VALUES (2, '{NEXT}', {size}, 2.0)")
    if harm == "removed":
        blob = embeddings_of(Call("enrol", 7, count=1), "proof:a").tobytes()
        state.removed[blob] = None
        connection.execute(
            "INSERT INTO templates VALUES (9, 'x', 1, 1, 1, '2026-01-01T00:00:00.000Z', ?)", (blob,)
        )
    else:
        connection.execute(harm)
    connection.close()
    findings = Findings()
    with opened(path) as gallery:
        compare(gallery, path, state, [], findings)
    assert (findings.lost, findings.returned) == (lost, returned)
    assert words in " ".join(findings.faults)
    assert findings.bad()


def test_a_call_that_was_done_by_half_is_not_settled(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    call = Call("enrol", 1, "ann", count=3)
    state, (before,) = played(path, call)
    assert settle(before, [call], found_in(path))[1] == [call]
    half = found_in(path)
    half.subjects["ann"].popitem()
    assert settle(before, [call], half) == (before, [])
    other = found_in(path)
    key = next(iter(other.subjects["ann"]))
    other.subjects["ann"][key] = b"another"
    assert settle(before, [call], other) == (before, [])
    assert settle(before, [dataclasses.replace(call, count=2)], state) == (before, [])


def test_calls_of_several_threads_are_settled_each_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    ann, bob = Call("enrol", 1, "ann", count=1), Call("enrol", 2, "bob", count=2)
    cid, dan = Call("enrol", 3, "cid", count=1), Call("remove", 4, "ann")
    _, before = played(path, ann, bob, cid, dan)
    found = found_in(path)
    in_flight = [bob, Call("remove_template", 9, "nobody"), cid, dan]
    state, done = settle(before[1], in_flight, found)
    assert (state, done) == (found, [bob, cid, dan])


def test_copies_of_what_was_removed_are_found(tmp_path: Path) -> None:
    state, _ = played(tmp_path / "g.db", Call("enrol", 1, "ann", count=2), Call("remove", 2, "ann"))
    assert len(state.removed) == 2
    assert not copies_left(tmp_path, state)
    single, half = embeddings_of(Call("enrol", 1, count=2), "proof:a")
    (tmp_path / "log").write_bytes(b"..." + single.tobytes())
    assert copies_left(tmp_path, state) == ["64 bytes as 64 at 3 of log"]
    (tmp_path / "index").write_bytes(b"..." + half.astype("<f2").tobytes())
    assert "64 bytes as 32 at 3 of index" in copies_left(tmp_path, state)
