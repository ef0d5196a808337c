"""No leftovers in the pages of a gallery file: what SQLite moved away from a page is gone there."""

import random
from pathlib import Path

import apsw
import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.sqlite_scrubbing import scrubbed, scrubbing_vfs

CONTRACT = EmbeddingContract(id="test:scrub", size=128, d_max=2.0)
PAGE_BYTES = 8_192


def gaps_with_leftovers(path: Path) -> int:
    """Pages whose gap holds anything, by SQLite's own account of where gap and cells lie."""
    data = path.read_bytes()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    # dbstat leaves out free pages and those of overflow, which have no gap.
    rows = connection.execute(
        "SELECT pgoffset, pgsize, pagetype, ncell FROM dbstat"
        " WHERE pagetype IN ('leaf', 'internal')"
    ).fetchall()
    connection.close()
    assert rows
    dirty = 0
    for offset, size, kind, cells in rows:
        head = offset + (100 if offset == 0 else 0)
        first_cell = int.from_bytes(data[head + 5 : head + 7], "big")
        gap = data[head + (8 if kind == "leaf" else 12) + 2 * cells : offset + first_cell]
        assert size == PAGE_BYTES
        dirty += any(gap)
    return dirty


def churn(path: Path, *, writes: int = 700) -> int:
    """Enrol, rename and remove many; how many pages have leftovers in the end."""
    choose = random.Random(1)
    rows = np.random.default_rng(1).standard_normal((writes, CONTRACT.size)).astype(np.float32)
    there: list[str] = []
    with Gallery.open(path, CONTRACT) as gallery:
        for i in range(writes):
            if len(there) < 40 or choose.random() < 0.5:
                there.append(f"s{i}")
                name = "N" + "x" * choose.choice([12, 40, 200])
                gallery.enroll(rows[i : i + 1], subject_id=there[-1], name=name)
            elif choose.random() < 0.3:
                gallery.update_subject(choose.choice(there), name="M" * choose.choice([5, 90]))
            else:
                gallery.remove_subject(there.pop(choose.randrange(len(there))))
        gallery.verify()
    return gaps_with_leftovers(path)


def test_no_page_of_a_gallery_keeps_leftovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert churn(tmp_path / "scrubbed.db") == 0
    # SQLite alone, secure_delete and all, leaves some: else this would prove nothing.
    monkeypatch.setattr("index.sqlite.scrubbing_vfs", lambda base: "unix")
    assert churn(tmp_path / "plain.db") > 0


def page(kind: int, *, cells: int, content: int, size: int = 512, start: int = 0) -> bytes:
    head = bytes([kind, 0, 0]) + cells.to_bytes(2, "big") + (content % 65_536).to_bytes(2, "big")
    return (b"\xff" * start + head).ljust(size, b"\xee")


@pytest.mark.parametrize(("kind", "header"), [(0x0D, 8), (0x0A, 8), (0x05, 12), (0x02, 12)])
@pytest.mark.parametrize("first", [False, True])
def test_only_the_gap_is_zeroed(kind: int, header: int, first: bool) -> None:
    start = 100 if first else 0
    dirty = page(kind, cells=3, content=300, start=start)
    clean = scrubbed(dirty, first=first)
    gap = start + header + 6
    assert clean[:gap] == dirty[:gap]
    assert clean[gap:300] == bytes(300 - gap)
    assert clean[300:] == dirty[300:]


def test_the_largest_page_says_zero_for_its_end() -> None:
    clean = scrubbed(page(0x0D, cells=0, content=65_536, size=65_536), first=False)
    assert clean[8:] == bytes(65_536 - 8)


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"\x0d",
        page(0x00, cells=3, content=300),  # A page of overflow, or a free one.
        page(0x0D, cells=3, content=600),  # Beyond its end: no page of a tree.
        page(0x0D, cells=300, content=300),
    ],
)
def test_what_is_no_page_of_a_tree_stays_as_it_is(other: bytes) -> None:
    assert scrubbed(other, first=False) == other


def test_one_file_system_is_enough_for_all_galleries() -> None:
    assert scrubbing_vfs(None) == scrubbing_vfs(None)
    assert scrubbing_vfs("unix") != scrubbing_vfs("unix")
