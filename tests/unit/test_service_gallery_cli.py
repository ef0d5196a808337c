"""`oneglance gallery`: each command, what it answers, and what it refuses in one line."""

import argparse
import base64
import io
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.lock import ProcessLock
from index.reembedding import Reembedding
from index.sqlite_schema import APPLICATION_ID, SCHEMA_VERSION
from service import cli
from tests.conftest import CONTRACT, UNIT

Run = Callable[..., list[str]]


@pytest.fixture
def gallery_file(gallery_location: Path | str) -> Path | str:
    """A gallery of ann (2 templates, one crop), bob, and old, who has expired; nobody has it open.

    Once it is a file, once it is in PostgreSQL.
    """
    with Gallery.open(gallery_location, CONTRACT) as gallery:
        gallery.enroll(
            UNIT[:2], subject_id="ann", name="Änn", external_id="7", crops=[b"picture", None],
            metadata={"team": "blue"}, consent_ref="form 12",
        )  # fmt: skip
        gallery.enroll(UNIT[2:3], subject_id="bob", expires_at="2090-01-01T00:00:00Z")
        gallery.enroll(UNIT[3:], subject_id="old", expires_at="2020-01-01T00:00:00Z")
    return gallery_location


@pytest.fixture
def oneglance(
    gallery_location: Path | str,
    no_settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command on the gallery that the environment names; the lines of its answer.

    With fails=True it must end with status 1 and one line on stderr, which is returned.
    """
    no_settings.setenv("ONEGLANCE_GALLERY", str(gallery_location))

    def run(*words: object, fails: bool = False) -> list[str]:
        status = cli.main(["gallery", *map(str, words)])
        said = capsys.readouterr()
        assert status == int(fails), said.err
        if not fails:
            assert said.err == ""
            return said.out.splitlines()
        assert said.out == ""
        (line,) = said.err.splitlines()
        assert line.startswith("oneglance: ")
        return [line]

    return run


def ids(location: Path | str) -> list[str]:
    with Gallery.open(location) as gallery:
        return [subject.id for subject in gallery.subjects(limit=100).subjects]


@pytest.mark.usefixtures("gallery_file")
def test_list(oneglance: Run) -> None:
    assert oneglance("list") == [
        "ann\tÄnn / 7\t2 templates",
        "bob\t\t1 templates, expires 2090-01-01T00:00:00.000Z",
        "old\t\t1 templates, expires 2020-01-01T00:00:00.000Z",
    ]
    first = json.loads(oneglance("list", "--json")[0])
    assert first.pop("created_at")
    assert first == {
        "id": "ann",
        "name": "Änn",
        "external_id": "7",
        "metadata": {"team": "blue"},
        "template_count": 2,
        "expires_at": None,
        "consent_ref": "form 12",
    }


def test_delete(oneglance: Run, gallery_file: Path | str) -> None:
    (line,) = oneglance("delete", "ann", fails=True)
    assert "Remove 'ann' with 2 templates? This cannot be undone: agree by --yes." in line
    assert ids(gallery_file) == ["ann", "bob", "old"]
    assert oneglance("delete", "ann", "--yes") == ["removed ann"]
    assert ids(gallery_file) == ["bob", "old"]
    assert "no subject 'ann'" in oneglance("delete", "ann", "--yes", fails=True)[0]


class Terminal(io.StringIO):
    """Somebody who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "gone"), [("yes\n", True), ("y\n", False), ("", False)])
def test_delete_asks_on_a_terminal(
    oneglance: Run,
    gallery_file: Path | str,
    answer: str,
    gone: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert cli.main(["gallery", "delete", "ann"]) == int(not gone)
    assert "Type yes: " in capsys.readouterr().err
    assert ("ann" not in ids(gallery_file)) == gone


def test_merge(oneglance: Run, gallery_file: Path | str) -> None:
    assert "agree by --yes" in oneglance("merge", "bob", "--into", "ann", fails=True)[0]
    assert oneglance("merge", "bob", "--into", "ann", "--yes") == [
        "merged bob into ann: 3 templates"
    ]
    assert ids(gallery_file) == ["ann", "old"]
    assert "into itself" in oneglance("merge", "ann", "--into", "ann", "--yes", fails=True)[0]


def test_sweep(oneglance: Run, gallery_file: Path | str) -> None:
    assert oneglance("sweep") == ["old", "removed 1 expired subjects"]
    assert ids(gallery_file) == ["ann", "bob"]


@pytest.mark.usefixtures("gallery_file")
def test_export_and_import(oneglance: Run, tmp_path: Path) -> None:
    (line,) = oneglance("export", tmp_path / "x")
    assert f"{tmp_path / 'x'}: 2 subjects, 3 templates, " in line
    assert b"picture" in (tmp_path / "x").read_bytes()
    assert "already" in oneglance("export", tmp_path / "x", fails=True)[0]
    oneglance("export", tmp_path / "bare", "--no-crops")
    assert b"picture" not in (tmp_path / "bare").read_bytes()
    words = ("--gallery", tmp_path / "new.db", "--collection", "staff")
    (line,) = oneglance("import", tmp_path / "x", *words, "--report", tmp_path / "r")
    assert "2 new, 0 extended, 0 unchanged, 0 conflict, 0 expired; 3 templates added" in line
    assert [json.loads(row) for row in (tmp_path / "r").read_text().splitlines()] == [
        {"subject_id": "ann", "outcome": "new", "templates": 2, "detail": None},
        {"subject_id": "bob", "outcome": "new", "templates": 1, "detail": None},
    ]
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o600
    (line,) = oneglance("import", tmp_path / "x", *words)
    assert "0 new, 0 extended, 2 unchanged" in line
    assert ids_of(tmp_path / "new.db", "staff") == ["ann", "bob"]


def ids_of(location: Path, collection: str) -> list[str]:
    with Gallery.open(location, collection=collection) as gallery:
        return [subject.id for subject in gallery.subjects(limit=100).subjects]


def test_an_import_with_a_conflict_ends_with_status_1(
    oneglance: Run,
    gallery_file: Path | str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    oneglance("export", tmp_path / "x")
    with Gallery.open(gallery_file) as gallery:
        gallery.update_subject("ann", name="Else")
    assert cli.main(["gallery", "import", str(tmp_path / "x")]) == 1
    assert "1 unchanged, 1 conflict" in capsys.readouterr().out


@pytest.mark.usefixtures("gallery_file")
def test_an_import_of_another_bundle_or_of_no_export(oneglance: Run, tmp_path: Path) -> None:
    other = EmbeddingContract(id="test:b", size=4, d_max=2.0)
    Gallery.open(tmp_path / "b.db", other).close()
    oneglance("export", tmp_path / "b", "--gallery", tmp_path / "b.db")
    assert "makes test:b" in oneglance("import", tmp_path / "b", fails=True)[0]
    (tmp_path / "letter").write_text("Dear all")
    assert "no export" in oneglance("import", tmp_path / "letter", fails=True)[0]
    assert str(tmp_path / "none") in oneglance("import", tmp_path / "none", fails=True)[0]


@pytest.mark.usefixtures("gallery_file")
def test_subject_access(oneglance: Run, tmp_path: Path) -> None:
    (line,) = oneglance("subject-access", "ann", "--out", tmp_path / "ann.json")
    assert "2 templates, 1 entries" in line
    assert stat.S_IMODE((tmp_path / "ann.json").stat().st_mode) == 0o600
    document = json.loads((tmp_path / "ann.json").read_text(encoding="utf-8"))
    assert document["subject"]["name"] == "Änn"
    assert document["subject"]["consent_ref"] == "form 12"
    embeddings = [base64.b64decode(t["embedding"]) for t in document["templates"]]
    assert np.array_equal(np.frombuffer(b"".join(embeddings), "<f4").reshape(2, 4), UNIT[:2])
    (crop,) = document["crops"]
    assert crop["template_id"] == document["templates"][0]["id"]
    assert base64.b64decode(crop["image"]) == b"picture"
    assert [entry["action"] for entry in document["audit"]] == ["enrol"]
    again = oneglance("subject-access", "ann", "--out", tmp_path / "ann.json", fails=True)
    assert "already" in again[0]
    nobody = oneglance("subject-access", "zoe", "--out", tmp_path / "zoe.json", fails=True)
    assert "no subject 'zoe'" in nobody[0]
    assert not (tmp_path / "zoe.json").exists()


def test_subject_access_has_every_contract_and_the_log_of_merged_subjects(
    oneglance: Run, gallery_file: Path | str, tmp_path: Path
) -> None:
    with Gallery.open(gallery_file) as gallery:
        job = Reembedding.begin(gallery, EmbeddingContract(id="test:b", size=2, d_max=2.0))
        (template,) = gallery.templates("bob")
        job.stage({template.id: np.array([0.6, -0.8], dtype=np.float32)})
        gallery.merge_subjects("bob", into="ann")
    oneglance("subject-access", "ann", "--out", tmp_path / "a")
    document = json.loads((tmp_path / "a").read_text())
    assert [(t["contract_id"], t["searched"]) for t in document["templates"]] == [
        ("test:a", True),
        ("test:a", True),
        ("test:a", True),
        ("test:b", False),
    ]
    assert [(e["action"], e["subject_id"]) for e in document["audit"]] == [
        ("enrol", "ann"),
        ("enrol", "bob"),
        ("merge", "ann"),
        ("merged_away", "bob"),
    ]


def test_collections(oneglance: Run, gallery_file: Path | str) -> None:
    Gallery.open(
        gallery_file, EmbeddingContract(id="test:b", size=2, d_max=2.0), collection="staff"
    ).close()
    assert oneglance("collections") == [
        "default\t3 subjects\t4 templates of 4 numbers\ttest:a",
        "staff\t0 subjects\t0 templates of 2 numbers\ttest:b",
    ]
    values = [json.loads(line) for line in oneglance("collections", "--json")]
    assert [(v["id"], v["subject_count"], v["reembedding"]) for v in values] == [
        ("default", 3, False),
        ("staff", 0, False),
    ]
    assert oneglance("list", "--collection", "staff") == []
    assert "agree by --yes" in oneglance("delete-collection", "default", fails=True)[0]
    assert oneglance("delete-collection", "default", "--yes") == [
        "removed the collection default with 3 subjects"
    ]
    assert "no collection 'default'" in oneglance("list", fails=True)[0]
    assert "no collection" in oneglance("delete-collection", "default", "--yes", fails=True)[0]


@pytest.mark.usefixtures("gallery_file")
def test_verify_compact_and_migrate(oneglance: Run) -> None:
    assert oneglance("verify") == [
        "the collection default is whole: 3 subjects, 4 templates, revision 3"
    ]
    (line,) = oneglance("compact")
    assert line.split()[1:3] == ["bytes", "before,"]
    assert oneglance("migrate")[0].endswith("nothing to do")
    assert oneglance("verify")


def test_verify_finds_what_is_wrong(
    oneglance: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEGLANCE_GALLERY", str(tmp_path / "bad.db"))
    with Gallery.open(tmp_path / "bad.db", CONTRACT) as gallery:
        gallery.enroll(UNIT[:1])
    raw = apsw.Connection(str(tmp_path / "bad.db"))
    raw.execute("UPDATE collections SET template_count = 7")
    raw.close()
    assert "7 templates, but holds" in oneglance("verify", fails=True)[0]


def test_compact_gives_room_back(oneglance: Run, tmp_path: Path) -> None:
    path = tmp_path / "big.db"
    with Gallery.open(path, CONTRACT) as gallery:
        big = gallery.enroll(UNIT[:1], crops=[bytes(1_000_000)]).subject
        gallery.remove_subject(big.id)
    (line,) = oneglance("compact", "--gallery", path)
    before, after = (int(word) for word in line.split() if word.isdigit())
    assert before > 1_000_000 > after


def test_migrate_says_from_what_to_what(oneglance: Run, tmp_path: Path) -> None:
    path = tmp_path / "g1.db"
    raw = apsw.Connection(str(path))
    raw.execute(FIRST_SCHEMA)
    raw.close()
    assert oneglance("migrate", "--gallery", path) == [
        f"migrated from schema version 1 to {SCHEMA_VERSION}"
    ]
    assert oneglance("list", "--gallery", path) == ["ann\tAnn\t1 templates"]
    (tmp_path / "empty.db").touch()
    assert oneglance("migrate", "--gallery", tmp_path / "empty.db") == [
        f"an empty gallery was made, schema version {SCHEMA_VERSION}"
    ]
    raw = apsw.Connection(str(path))
    raw.pragma("user_version", 99)
    raw.close()
    assert "schema version 99" in oneglance("migrate", "--gallery", path, fails=True)[0]


FIRST_SCHEMA = f"""
CREATE TABLE gallery (
    id INTEGER PRIMARY KEY CHECK (id = 1), contract_id TEXT NOT NULL,
    embedding_size INTEGER NOT NULL, d_max REAL NOT NULL, revision INTEGER NOT NULL
);
CREATE TABLE subjects (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT,
    external_id TEXT UNIQUE, metadata TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE TABLE templates (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    subject_number INTEGER NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    embedding BLOB NOT NULL
);
CREATE INDEX templates_of_subject ON templates (subject_number);
INSERT INTO gallery VALUES (1, 'test:a', 4, 2.0, 1);
INSERT INTO subjects VALUES (1, 'ann', 'Ann', NULL, '{{}}', '2026-01-01T00:00:00.000Z');
INSERT INTO templates VALUES (1, 't', 1, x'0000803f000000000000000000000000');
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
"""


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["delete", "x", "--yes"],
        ["merge", "x", "--into", "y", "--yes"],
        ["export", "FILE"],
        ["verify"],
        ["compact"],
        ["migrate"],
        ["sweep"],
        ["subject-access", "x", "--out", "FILE"],
        ["collections"],
        ["delete-collection", "x", "--yes"],
        ["reembed", "--switch"],
    ],
    ids=lambda words: words[0],
)
def test_a_wrong_name_makes_no_gallery_and_a_held_one_is_refused(
    words: list[str], oneglance: Run, tmp_path: Path
) -> None:
    given = [word.replace("FILE", str(tmp_path / "file")) for word in words]
    path = tmp_path / "away" / "none.db"
    assert f"no gallery {path}" in oneglance(*given, "--gallery", path, fails=True)[0]
    assert not path.parent.exists()
    held = tmp_path / "held.db"
    Gallery.open(held, CONTRACT).close()
    lock = ProcessLock(held)
    try:
        (line,) = oneglance(*given, "--gallery", held, fails=True)
    finally:
        lock.close()
    assert "in use by another process" in line
    assert not (tmp_path / "file").exists()


@pytest.mark.usefixtures("gallery_file")
def test_a_setting_that_cannot_be(oneglance: Run) -> None:
    assert "setting collection: " in oneglance("list", "--collection", "../x", fails=True)[0]
    assert "setting gallery: " in oneglance("list", "--gallery", "", fails=True)[0]


def test_a_database_that_is_not_reachable_is_named_without_its_password(oneglance: Run) -> None:
    url = "postgresql://me:secret@127.0.0.1:1/db"
    (line,) = oneglance("list", "--gallery", url, fails=True)
    assert "127.0.0.1" in line
    assert "secret" not in line


def test_an_interruption_is_told(
    oneglance: Run,
    gallery_file: Path | str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(_: Gallery) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Gallery, "verify", interrupted)
    assert cli.main(["gallery", "verify"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_every_command_is_in_the_readme() -> None:
    parser = cli._parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    own = commands.choices["gallery"]
    names = next(a for a in own._actions if isinstance(a, argparse._SubParsersAction)).choices
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert [name for name in names if f"oneglance gallery {name}" not in readme] == []


def test_a_real_process_on_a_gallery_that_a_service_could_have(
    gallery_file: Path | str, oneglance: Run
) -> None:
    command = [sys.executable, "-m", "service.cli", "gallery", "list", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [json.loads(line)["id"] for line in ended.stdout.splitlines()] == ["ann", "bob", "old"]
