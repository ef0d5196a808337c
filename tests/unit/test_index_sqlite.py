"""The gallery file: what is refused at opening, and storage that fails under a write."""

import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import apsw
import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    ContractMismatchError,
    GalleryError,
    GalleryFullError,
    GalleryLockedError,
    GalleryUnavailableError,
)
from index.gallery import Gallery
from index.sqlite_connection import SqliteConnection
from index.sqlite_schema import APPLICATION_ID, SCHEMA_VERSION

CONTRACT = EmbeddingContract(id="test:a", size=4, d_max=2.0)


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def writer_of(gallery: Gallery) -> apsw.Connection:
    writer: SqliteConnection = gallery.galleries.database._writer  # type: ignore[attr-defined]
    return writer.raw


@contextmanager
def limited_file_size(limit: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond `limit` bytes: EFBIG on write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_new_file_is_wal_ours_private_and_durable(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "gallery.db"
    with Gallery.open(path, CONTRACT) as gallery:
        other = apsw.Connection(str(path))
        assert other.pragma("journal_mode") == "wal"
        assert other.pragma("application_id") == APPLICATION_ID
        assert other.pragma("user_version") == SCHEMA_VERSION
        contracts = other.execute("SELECT * FROM contracts").fetchall()
        assert contracts == [(1, "test:a", 4, 2.0, "")]
        other.close()
        writer = writer_of(gallery)
        assert (writer.pragma("synchronous"), writer.pragma("secure_delete")) == (2, 1)
        assert writer.pragma("foreign_keys") == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_templates_are_little_endian_float32(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        given = rows(3)
        ids = gallery.enroll(given, subject_id="ann").template_ids
    connection = apsw.Connection(str(tmp_path / "g.db"))
    stored = connection.execute("SELECT id, embedding FROM templates ORDER BY number").fetchall()
    connection.close()
    assert stored == [(i, r.astype("<f4").tobytes()) for i, r in zip(ids, given, strict=True)]


def test_an_empty_file_becomes_a_gallery(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    path.touch()
    with Gallery.open(path, CONTRACT) as gallery:
        assert gallery.revision == 0


def test_another_contract_is_refused_and_the_gallery_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(rows(1), subject_id="ann")
    with pytest.raises(ContractMismatchError) as caught:
        Gallery.open(path, EmbeddingContract(id="test:b", size=4, d_max=2.0))
    assert caught.value.gallery_contract_id == "test:a"
    assert caught.value.bundle_contract_id == "test:b"
    with pytest.raises(GalleryError, match="embedding size 4"):
        Gallery.open(path, EmbeddingContract(id="test:a", size=5, d_max=2.0))
    with Gallery.open(path, CONTRACT) as gallery:
        assert gallery.subject("ann").template_count == 1


def test_a_newer_schema_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    Gallery.open(path, CONTRACT).close()
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", SCHEMA_VERSION + 1)
    connection.close()
    with pytest.raises(
        GalleryError, match=rf"g\.db has schema version {SCHEMA_VERSION + 1}"
    ) as caught:
        Gallery.open(path, CONTRACT)
    assert not isinstance(caught.value, GalleryUnavailableError)


def test_a_second_opening_is_refused_here_and_in_another_process(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    program = (
        "import sys; from pathlib import Path\n"
        "from contract.embedding_contract import EmbeddingContract\n"
        "from contract.errors import GalleryLockedError\n"
        "from index.gallery import Gallery\n"
        "try:\n"
        "    Gallery.open(Path(sys.argv[1]), EmbeddingContract(id='test:a', size=4, d_max=2.0))\n"
        "except GalleryLockedError as error:\n"
        "    print('locked:', error)\n"
        "else:\n"
        "    print('opened')\n"
    )

    def in_another_process() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
        )
        return done.stdout

    with Gallery.open(path, CONTRACT):
        with pytest.raises(GalleryLockedError, match="another process"):
            Gallery.open(path, CONTRACT)
        assert in_another_process().startswith("locked: The gallery ")
        (tmp_path / "link.db").symlink_to(path)
        with pytest.raises(GalleryLockedError):
            Gallery.open(tmp_path / "link.db", CONTRACT)
    assert in_another_process() == "opened\n"


def test_places_that_cannot_hold_a_gallery_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "g.db", tmp_path / "folder", Path("/proc/nowhere/g.db")):
        with pytest.raises(GalleryUnavailableError, match=str(path)):
            Gallery.open(path, CONTRACT)


def test_files_that_are_no_gallery_are_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("These are notes, and not a gallery at all. " * 50)
    database = tmp_path / "other.db"
    connection = apsw.Connection(str(database))
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    for path in (text, database):
        before = path.read_bytes()
        with pytest.raises(GalleryUnavailableError, match=path.name):
            Gallery.open(path, CONTRACT)
        assert path.read_bytes() == before


def test_a_damaged_page_is_told_at_opening(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(rows(2_000), subject_id="ann")
    content = bytearray(path.read_bytes())
    content[10 * 8192 : 20 * 8192] = b"\xa5" * (10 * 8192)
    path.write_bytes(content)
    with pytest.raises(GalleryUnavailableError, match=r"g\.db is damaged"):
        Gallery.open(path, CONTRACT)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE templates SET embedding = x'00'", "length"),
        ("UPDATE templates SET embedding = x'0000c07f000000000000000000000000'", "not finite"),
        ("DROP TABLE templates", "damaged"),
        ("DROP TABLE audit", "damaged"),
    ],
)
def test_damaged_content_is_told_at_opening(tmp_path: Path, damage: str, words: str) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(rows(2), subject_id="ann")
    connection = apsw.Connection(str(path))
    connection.execute(damage)
    connection.close()
    with pytest.raises(GalleryUnavailableError, match=words):
        Gallery.open(path, CONTRACT)


def assert_as_before(gallery: Gallery, path: Path) -> None:
    """Only `ann` with 2 templates at revision 1, in memory, in the file and after reopening."""

    def check(gallery: Gallery) -> None:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (1, 1, 2)
        (found,) = gallery.search(rows(1), top_k=5).candidates
        assert [(c.subject.id, c.similarity) for c in found] == [("ann", 1.0)]
        gallery.verify()

    check(gallery)
    # And it goes on: the next write is not spoilt by the failed one.
    assert gallery.enroll(rows(1, seed=9), subject_id="ann").subject.template_count == 3
    assert gallery.revision == 2
    gallery.close()
    with Gallery.open(path, CONTRACT) as again:
        assert (again.revision, again.template_count) == (2, 3)
        again.verify()


def test_a_full_disk_refuses_the_write_whole(tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "g.db", CONTRACT)
    gallery.enroll(rows(2), subject_id="ann")
    writer = writer_of(gallery)
    usual = writer.pragma("max_page_count")
    writer.pragma("max_page_count", writer.pragma("page_count"))
    for subject_id in ("ann", "bob"):
        with pytest.raises(GalleryFullError, match=r"no room left for the gallery .*g\.db"):
            gallery.enroll(rows(500), subject_id=subject_id)
    writer.pragma("max_page_count", usual)
    assert_as_before(gallery, tmp_path / "g.db")


def test_a_write_error_refuses_the_write_whole(tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "g.db", CONTRACT)
    gallery.enroll(rows(2), subject_id="ann")
    with limited_file_size((tmp_path / "g.db-wal").stat().st_size):
        with pytest.raises(GalleryUnavailableError, match="cannot be read or written"):
            gallery.enroll(rows(500), subject_id="bob")
        with pytest.raises(GalleryUnavailableError, match="cannot be read or written"):
            gallery.remove_subject("ann")
        assert gallery.search(rows(1), top_k=1).candidates[0][0].subject.id == "ann"
    assert_as_before(gallery, tmp_path / "g.db")


def test_storage_that_became_read_only_refuses_the_write_whole(tmp_path: Path) -> None:
    gallery = Gallery.open(tmp_path / "g.db", CONTRACT)
    gallery.enroll(rows(2), subject_id="ann")
    writer_of(gallery).pragma("query_only", "on")
    with pytest.raises(GalleryUnavailableError, match="may not be written"):
        gallery.enroll(rows(2), subject_id="bob")
    with pytest.raises(GalleryUnavailableError, match="may not be written"):
        gallery.remove_subject("ann")
    writer_of(gallery).pragma("query_only", "off")
    assert_as_before(gallery, tmp_path / "g.db")


def test_a_write_lock_of_another_program_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.sqlite._BUSY_TIMEOUT_MS", 20)
    gallery = Gallery.open(tmp_path / "g.db", CONTRACT)
    gallery.enroll(rows(2), subject_id="ann")
    other = apsw.Connection(str(tmp_path / "g.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GalleryUnavailableError, match="another program"):
        gallery.enroll(rows(2), subject_id="bob")
    other.execute("ROLLBACK")
    other.close()
    assert_as_before(gallery, tmp_path / "g.db")


def test_a_failed_creation_leaves_a_file_that_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with limited_file_size(1_000), pytest.raises(GalleryUnavailableError):
        Gallery.open(path, CONTRACT)
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.verify()


def test_an_error_between_two_statements_takes_the_first_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = Gallery.open(tmp_path / "g.db", CONTRACT)
    gallery.enroll(rows(2), subject_id="ann")

    def fail(c: object, collection: object, *given: object, **more: object) -> None:
        raise GalleryUnavailableError("not this time")

    with monkeypatch.context() as patch:
        patch.setattr("index.writes.scope.audit.log", fail)
        with pytest.raises(GalleryUnavailableError, match="not this time"):
            gallery.enroll(rows(3), subject_id="bob")
        with pytest.raises(GalleryUnavailableError, match="not this time"):
            gallery.remove_subject("ann")
    assert_as_before(gallery, tmp_path / "g.db")


def test_verify_tells_a_damaged_page_and_wrong_counts(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(rows(2), subject_id="ann")
        writer_of(gallery).execute("UPDATE collections SET template_count = 3")
        with pytest.raises(GalleryError, match="counts 1 subjects and 3 templates, but holds 1"):
            gallery.verify()
        writer_of(gallery).execute("UPDATE collections SET template_count = 2")
        gallery.verify()
        writer_of(gallery).pragma("foreign_keys", "off")
        writer_of(gallery).execute("UPDATE crops SET subject_number = 9")
        writer_of(gallery).execute("INSERT INTO crops VALUES ('t', 9, x'00')")
        with pytest.raises(GalleryUnavailableError, match="is damaged"):
            gallery.verify()


def test_compacting_gives_room_back_and_changes_nothing(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        gallery.enroll(rows(4), subject_id="ann", crops=[b"c" * 200_000] * 4)
        gallery.enroll(rows(1), subject_id="bob")
        gallery.remove_subject("ann")
        database = gallery.galleries.database
        before = database.size_bytes()  # type: ignore[attr-defined]
        database.compact()
        assert database.size_bytes() < before / 4  # type: ignore[attr-defined]
        assert gallery.search(rows(1), top_k=1).candidates[0][0].subject.id == "bob"
        assert gallery.enroll(rows(1), subject_id="cy").revision == 4
        gallery.verify()


def test_what_a_killed_process_left_in_its_log_is_there_and_the_log_is_emptied(
    tmp_path: Path,
) -> None:
    path = tmp_path / "g.db"
    killed = tmp_path / "killed"
    killed.mkdir()
    with Gallery.open(path, CONTRACT) as gallery:
        gallery.enroll(rows(2), subject_id="ann")
        for name in ("g.db", "g.db-wal"):
            (killed / name).write_bytes((tmp_path / name).read_bytes())
    assert (killed / "g.db-wal").stat().st_size > 0
    with Gallery.open(killed / "g.db", CONTRACT) as gallery:
        assert (killed / "g.db-wal").stat().st_size == 0
        assert gallery.subject("ann").template_count == 2
        gallery.verify()


def test_readers_in_many_threads_share_a_few_connections(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        gallery.enroll(rows(2), subject_id="ann")
        with ThreadPoolExecutor(4) as pool:
            counts = list(pool.map(lambda _: gallery.subject("ann").template_count, range(200)))
        assert counts == [2] * 200
        database = gallery.galleries.database
        assert 1 <= len(database._idle) <= 5  # type: ignore[attr-defined]
