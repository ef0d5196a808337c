"""docs/operations.md's way back to a moment of PostgreSQL, with the scripts that are shipped."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from benchmarks.kill_postgres import found_in
from benchmarks.postgres_server import ROLE, PostgresServer
from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery

SCRIPTS = Path(__file__).parents[2] / "docker" / "postgres"
CONTRACT = EmbeddingContract(id="test:a", size=8, d_max=2.0)


class Archived:
    """A server that keeps its log in `folder`/wal, by our archive_command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.wal = folder / "wal"
        self.server = PostgresServer(folder)
        # Root runs the server as somebody else, who need not see our repository.
        self._owner = self.data.stat()
        for script in SCRIPTS.glob("*.sh"):
            shutil.copy(script, folder)
        self.wal.mkdir()
        os.chown(self.wal, self._owner.st_uid, self._owner.st_gid)
        self.server.start()
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            for name, value in (
                ("archive_mode", "on"),
                ("archive_command", f"{folder}/archive_wal.sh %p %f {self.wal}"),
            ):
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        self.server.restart()

    def sql(self, statement: str) -> str:
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            rows: list[Any] = connection.execute(statement.encode()).fetchall()
            return str(rows[0][0])

    def base_backup(self, to: Path) -> None:
        """As the document has it."""
        command = [
            str(self.server.programs / "pg_basebackup"),
            f"--host={self.folder}",
            f"--username={ROLE}",
            *("--pgdata=-", "--format=tar", "--wal-method=fetch", "--checkpoint=fast"),
        ]
        with to.open("wb") as file:
            subprocess.run(command, stdout=file, check=True, cwd=self.folder)
        to.chmod(0o644)

    def archive(self) -> None:
        """Wait until all that was done is in the archive."""
        segment = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        for _ in range(600):
            if self.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= segment:
                return
            self.sql("SELECT pg_sleep(0.05)::text")
        raise AssertionError(self.sql("SELECT row_to_json(a)::text FROM pg_stat_archiver a"))

    def restore(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        who: dict[str, Any] = {}
        if os.geteuid() == 0:
            who = {"user": self._owner.st_uid, "group": self._owner.st_gid, "extra_groups": ()}
        return subprocess.run(
            ["sh", str(self.folder / "restore.sh"), *map(str, arguments)],
            env={**os.environ, "PGDATA": str(self.data)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **who,
        )


@pytest.fixture
def archived() -> Iterator[Archived]:
    with tempfile.TemporaryDirectory(prefix="oneglance-pg-") as folder:
        made = Archived(Path(folder))
        yield made
        made.server.kill9()


def enrol(dsn: str, *numbers: int) -> None:
    with Gallery.open(dsn, CONTRACT) as gallery:
        for number in numbers:
            rows = np.random.default_rng(number).standard_normal((2, 8))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            gallery.enroll(rows.astype(np.float32), subject_id=f"s{number}")


def test_back_to_a_moment_and_to_the_last_one(archived: Archived) -> None:
    server, base = archived.server, archived.folder / "base.tar"
    dsn = server.create_database()
    enrol(dsn, 1, 2)
    archived.base_backup(base)
    enrol(dsn, 3)
    wanted, moment = found_in(dsn), archived.sql("SELECT now()")
    # What nobody wanted: found out later, after somebody else was enrolled.
    with Gallery.open(dsn, CONTRACT) as gallery:
        gallery.remove_subject("s1")
    enrol(dsn, 4)
    last = found_in(dsn)
    archived.archive()
    refused = archived.restore(base, archived.wal, moment)
    assert refused.returncode == 1
    assert "stop it first" in refused.stderr
    # The machine dies with all that was not archived, and its disk is lost.
    server.kill9()
    shutil.rmtree(archived.data)

    done = archived.restore(base, archived.wal, moment)
    assert done.returncode == 0, done.stderr
    server.start()
    back = found_in(dsn)
    assert set(back.subjects) == {"s1", "s2", "s3"}
    assert (back.subjects, back.revision) == (wanted.subjects, wanted.revision)
    with Gallery.open(dsn, CONTRACT) as gallery:
        gallery.verify()
    enrol(dsn, 5)
    assert set(found_in(dsn).subjects) == {"s1", "s2", "s3", "s5"}

    # From the same base to the last moment: of what came after the restore.
    archived.archive()
    server.stop()
    aside = archived.data.with_name("data.before-restore")
    assert archived.restore(base, archived.wal).returncode == 0
    assert aside.is_dir()
    server.start()
    assert set(found_in(dsn).subjects) == {"s1", "s2", "s3", "s5"}
    server.stop()
    refused = archived.restore(base, archived.wal)
    assert (refused.returncode, "from an earlier restore" in refused.stderr) == (1, True)

    # It was the wrong moment: to the last one before all restores.
    shutil.rmtree(aside)
    assert archived.restore(base, archived.wal, "", "current").returncode == 0
    server.start()
    back = found_in(dsn)
    assert set(back.subjects) == {"s2", "s3", "s4"}
    assert (back.subjects, back.revision) == (last.subjects, last.revision)


def test_only_a_base_backup_is_taken(archived: Archived) -> None:
    archived.server.stop()
    other = archived.folder / "other.tar"
    subprocess.run(["tar", "-cf", other, "-C", archived.folder, "restore.sh"], check=True)
    other.chmod(0o644)
    before = sorted(archived.data.rglob("*"))
    for arguments, words in (
        ((other, archived.wal), "no base backup"),
        ((other, archived.folder / "away"), "no folder"),
    ):
        done = archived.restore(*arguments)
        assert done.returncode == 1
        assert words in done.stderr
    assert sorted(archived.data.rglob("*")) == before


def test_an_archived_segment_is_whole_and_never_written_over(tmp_path: Path) -> None:
    segment, wal = tmp_path / "segment", tmp_path / "wal"
    wal.mkdir()
    segment.write_bytes(b"log" * 1_000)

    def archive() -> int:
        command = ["sh", SCRIPTS / "archive_wal.sh", segment, "0001", wal]
        return subprocess.run(command, capture_output=True, check=False).returncode

    # What a crash in the middle of a copy leaves is not a segment.
    (wal / "0001.part").write_bytes(b"lo")
    assert archive() == 0
    assert [p.name for p in wal.iterdir()] == ["0001"]
    assert archive() == 0  # PostgreSQL may ask again.
    segment.write_bytes(b"another")
    assert archive() != 0
    assert (wal / "0001").read_bytes() == b"log" * 1_000
