"""The proof of damaged images in parts: what is left, what adds up, what must not be added."""

import json
from pathlib import Path

import pytest

from benchmarks.fuzz_record import FuzzRecord, OtherCodeError, Piece, shared
from benchmarks.fuzz_watch import fuzz


def test_what_is_left_is_what_is_in_no_piece(tmp_path: Path) -> None:
    record = FuzzRecord(tmp_path / "record")
    done: set[int] = set()
    for first, end in ((40, 50), (0, 7), (48, 60), (95, 130)):
        record.add(Piece(first=first, end=end))
        done.update(range(first, end))
        left = record.left(5, 100)
        assert [n for gap in left for n in gap] == sorted({*range(5, 100)} - done)
        for workers in (1, 2, 3, 200):
            parts = shared(left, workers)
            assert sorted(n for part in parts for n in part) == sorted({*range(5, 100)} - done)
            assert max(map(len, parts)) <= -(-sum(map(len, left)) // workers)
    assert shared([], 2) == []


def test_parts_add_up_after_a_stop(tmp_path: Path) -> None:
    path = tmp_path / "record"
    FuzzRecord(path).add(
        Piece(first=0, end=5, outcomes={"a": 3, "b": 2}, slowest=1, slowest_s=0.5, growth_mb=70.0)
    )
    again = FuzzRecord(path)
    again.add(Piece(first=5, end=9, outcomes={"a": 1}, wrongs=3, wrong=["x"], slowest_s=0.1))
    whole = FuzzRecord(path)
    assert whole.pieces == [Piece(**json.loads(line)) for line in path.read_text().split("\n")[1:3]]
    assert (whole.files, whole.outcomes) == (9, {"a": 4, "b": 2})
    assert whole.wrong == ["x", "and 2 more"]
    assert (whole.slowest, whole.growth_mb) == ((0.5, 1), 70.0)


def test_what_other_code_found_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "record"
    path.write_text(json.dumps({"code": "0" * 64}) + "\n")
    with pytest.raises(OtherCodeError, match="remove it"):
        FuzzRecord(path)


def test_a_file_that_ends_its_process_is_named_and_gone_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    child.write_text(
        "#!/bin/sh\n"
        # -m MODULE FIRST END PLACE: number 3 kills whoever works on it, before it has told of 2.
        'if [ "$3" -le 3 ] && [ "$4" -gt 3 ]; then\n'
        '  [ "$3" -le 1 ] && printf \'{"first": %d, "end": 2}\\n\' "$3"\n'
        "  printf '\\003\\0\\0\\0\\0\\0\\0\\0' > \"$5\"; kill -9 $$\n"
        "fi\n"
        'printf \'{"first": %d, "end": %d}\\n\' "$3" "$4"\n'
    )
    child.chmod(0o755)
    monkeypatch.setattr("benchmarks.fuzz_watch.sys.executable", str(child))
    monkeypatch.setattr("benchmarks.fuzz_watch.POLL_S", 0.01)
    record = FuzzRecord(tmp_path / "record")
    fuzz(record, range(10), workers=1, folder=tmp_path)
    assert record.wrong == ["file 3: ended the process (-9)"]
    assert sorted((piece.first, piece.end) for piece in record.pieces) == [
        (0, 2),
        (2, 3),
        (3, 4),
        (4, 10),
    ]
