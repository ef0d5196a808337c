"""Snapshots: what is saved comes back, and nothing else is taken."""

import hashlib
import json
import logging
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index import tiers
from index.generations import Policy
from index.records import TemplateBatch
from index.search import Change, SnapshotKey
from index.snapshot import load_snapshot
from index.snapshot_file import DIGEST, MAGIC, PREFIX, part_path
from index.tiered import TieredIndex
from index.tiers import Tier, make_index

SIZE = 6
KEY = SnapshotKey(contract_id="c", collection_id="faces", scoring="best", size=SIZE, d_max=2.0)


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, SIZE)).astype(np.float32)


def filled(count: int, tier: Tier = "flat") -> TieredIndex:
    index = make_index(size=SIZE, d_max=2.0, tier=tier)
    numbers = np.arange(count) * 3
    batch = TemplateBatch(numbers=numbers, subject_numbers=numbers + 1, embeddings=rows(count))
    index.apply(Change(removed=numbers[:0], added=batch, revision=5))
    index.settle()
    assert isinstance(index, TieredIndex)
    return index


def remove(index: TieredIndex, numbers: list[int]) -> None:
    index.apply(
        Change(
            removed=np.array(numbers), added=TemplateBatch.empty(SIZE), revision=index.revision + 1
        )
    )


@pytest.fixture
def small_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("rabitq", "hnsw"):
        monkeypatch.setitem(tiers.POLICIES, kind, Policy(finder=kind, above=2400, below=2200))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "gallery.index-1"
    filled(20).save(path, KEY)
    return path


def refused(
    path: Path, caplog: pytest.LogCaptureFixture, key: SnapshotKey = KEY, **how: Any
) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="index.snapshot"):
        assert load_snapshot(path, key, **{"revision": 5, "tier": "flat"} | how) is None
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    return record.getMessage()


@pytest.mark.parametrize("count", [0, 1, 20])
def test_what_is_saved_comes_back(tmp_path: Path, count: int) -> None:
    path, before = tmp_path / "snapshot", filled(count)
    before.save(path, KEY)
    after = load_snapshot(path, KEY, revision=5, tier="flat")
    assert after is not None
    assert (len(after), after.revision) == (count, 5)
    numbers = np.arange(count) * 3
    assert after.embeddings(numbers).tobytes() == before.embeddings(numbers).tobytes()
    assert after.subjects(numbers).tolist() == (numbers + 1).tolist()
    found, expected = (one.shortlist(rows(4), rows=3) for one in (after, before))
    assert found.error == expected.error
    for short, wanted in zip(found.lists, expected.lists, strict=True):
        assert short.numbers.tolist() == wanted.numbers.tolist()
        assert short.similarities.tolist() == wanted.similarities.tolist()
    # And it can be changed like any other.
    batch = TemplateBatch(numbers=np.array([1]), subject_numbers=np.array([1]), embeddings=rows(1))
    after.apply(Change(removed=numbers[:1], added=batch, revision=6))
    assert len(after) == max(count, 1)


def test_it_is_for_its_owner_alone_and_leaves_nothing_beside(saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert os.listdir(saved.parent) == [saved.name]


def test_saving_replaces_the_one_before(saved: Path) -> None:
    index = filled(20)
    remove(index, [3])
    index.save(saved, KEY)
    assert load_snapshot(saved, KEY, revision=5, tier="flat") is None
    after = load_snapshot(saved, KEY, revision=6, tier="flat")
    assert after is not None
    assert 3 not in after


def test_a_save_that_fails_leaves_the_one_before(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    content = saved.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("index.snapshot_file.os.fsync", fail)
        with pytest.raises(OSError, match="No space"):
            filled(30).save(saved, KEY)
    assert saved.read_bytes() == content
    assert os.listdir(saved.parent) == [saved.name]


def test_what_a_crash_left_half_written_is_removed(saved: Path) -> None:
    part_path(saved).write_bytes(b"somebody's template")
    assert load_snapshot(saved, KEY, revision=5, tier="flat") is not None
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.parametrize(
    "other",
    [
        {"contract_id": "d"},
        {"collection_id": "voices"},
        {"scoring": "mean"},
        {"size": 7},
        {"d_max": 2.5},
    ],
)
def test_under_another_key_it_is_refused(
    saved: Path, caplog: pytest.LogCaptureFixture, other: dict[str, Any]
) -> None:
    assert "it is of SnapshotKey" in refused(saved, caplog, replace(KEY, **other))


def test_of_another_revision_it_is_refused(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert "it is of revision 5, not 6" in refused(saved, caplog, revision=6)


def test_where_there_is_none_none_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "No such file" in refused(tmp_path / "nothing", caplog)
    assert "Is a directory" in refused(tmp_path, caplog)


def test_no_byte_may_differ(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = saved.read_bytes()
    for i in range(len(content)):
        wrong = bytearray(content)
        wrong[i] ^= 1 << i % 8
        saved.write_bytes(wrong)
        assert "its checksum does not hold" in refused(saved, caplog)


def test_no_byte_may_be_missing_or_too_many(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = saved.read_bytes()
    for length in range(0, len(content), 3):
        saved.write_bytes(content[:length])
        message = refused(saved, caplog)
        assert ("it is too short" if length < PREFIX + DIGEST else "its checksum") in message
    for more in (b"\0", content):
        saved.write_bytes(content + more)
        assert "its checksum does not hold" in refused(saved, caplog)


def forged(path: Path, body: bytes = b"", **fields: Any) -> None:
    """Give the file other fields in its header, or another body, under a checksum that holds."""
    content = path.read_bytes()[:-DIGEST]
    start = PREFIX + int.from_bytes(content[len(MAGIC) : PREFIX], "little")
    header = json.dumps(json.loads(content[PREFIX:start]) | fields).encode()
    content = MAGIC + len(header).to_bytes(4, "little") + header + (body or content[start:])
    path.write_bytes(content + hashlib.sha256(content).digest())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 1}, "format\n  Input should be 2"),
        ({"more": 1}, "its header cannot be read"),
        ({"count": 19}, "its length is not"),
        ({"count": "many"}, "its header cannot be read"),
        ({"size": 10**30}, "it is of SnapshotKey"),
        ({"count": -1}, "its header cannot be read"),
        ({"rounding": float("nan")}, "its header cannot be read"),
        ({"rounding": -1.0}, "its header cannot be read"),
        ({"positions": 1}, "its length is not"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    saved: Path, caplog: pytest.LogCaptureFixture, fields: dict[str, Any], message: str
) -> None:
    forged(saved, **fields)
    assert message in refused(saved, caplog)


def test_another_kind_of_file_is_refused(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = b"something" + saved.read_bytes()[9:-DIGEST]
    saved.write_bytes(content + hashlib.sha256(content).digest())
    assert "another kind of file" in refused(saved, caplog)
    content = MAGIC + (1 << 31).to_bytes(4, "little") + b"{" * 100_000
    saved.write_bytes(content + hashlib.sha256(content).digest())
    assert "its header cannot be read" in refused(saved, caplog)


def test_rows_that_make_no_sense_are_refused(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbers = np.arange(20)
    codes = np.zeros((20, SIZE), dtype=np.float16)
    codes[7, 2] = np.inf
    forged(saved, numbers.tobytes() * 2 + codes.tobytes())
    assert "not finite" in refused(saved, caplog)
    numbers[3] = 4
    forged(saved, numbers.tobytes() * 2 + bytes(codes.nbytes))
    assert "only once" in refused(saved, caplog)


@pytest.mark.usefixtures("small_tiers")
@pytest.mark.parametrize("tier", ["rabitq", "hnsw"])
def test_a_generation_is_saved_with_its_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tier: Tier
) -> None:
    path, before = tmp_path / "snapshot", filled(3000, tier)
    before.save(path, KEY)
    after = load_snapshot(path, KEY, revision=5, tier=tier)
    assert isinstance(after, TieredIndex)
    assert after.is_approximate
    for index in (before, after):
        remove(index, [0, 300])
    found, expected = (one.shortlist(rows(50), rows=3) for one in (after, before))
    for short, wanted in zip(found.lists, expected.lists, strict=True):
        assert short.numbers.tolist() == wanted.numbers.tolist()

    # Of another tier the rows are taken, and what that tier needs is built.
    other: Tier = "hnsw" if tier == "rabitq" else "rabitq"
    for another in ("flat", other):
        index = load_snapshot(path, KEY, revision=5, tier=another)
        assert isinstance(index, TieredIndex)
        index.settle()
        assert (len(index), index.is_approximate) == (3000, another == other)

    forged(path, finder=other)
    assert "Not a" in refused(path, caplog, tier=other)
    content = path.read_bytes()
    forged(path, content[-50:-DIGEST], count=0, positions=0, finder_bytes=50 - DIGEST, finder=tier)
    assert "not used" in refused(path, caplog, tier=tier)


@pytest.mark.usefixtures("small_tiers")
def test_a_graph_in_which_the_removed_linger_is_not_saved(tmp_path: Path) -> None:
    path, index = tmp_path / "snapshot", filled(3000, "hnsw")
    (gone,) = index.embeddings(np.array([300])).astype(np.float16)
    remove(index, [300])
    index.save(path, KEY)
    assert gone.tobytes() not in path.read_bytes()
    after = load_snapshot(path, KEY, revision=6, tier="hnsw")
    assert isinstance(after, TieredIndex)
    after.settle()
    assert after.is_approximate
