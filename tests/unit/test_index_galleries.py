"""Where a gallery may lie."""

import sys

import pytest

from contract.errors import GalleryError
from index.galleries import is_postgres
from index.gallery import Gallery
from tests.conftest import CONTRACT


def test_a_url_is_told_from_a_path() -> None:
    assert is_postgres("postgresql://host/database")
    assert is_postgres("postgres://host/database")
    assert not is_postgres("postgresql.sqlite3")


def test_without_its_package_postgres_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith(("index.postgres", "psycopg"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(GalleryError, match=r"pip install 'oneglance\[postgres\]'"):
        Gallery.open("postgresql://localhost/gallery", CONTRACT)


def test_a_subjects_mean_is_for_files_only() -> None:
    with pytest.raises(GalleryError, match="set scoring to best"):
        Gallery.open("postgresql://localhost/gallery", CONTRACT, scoring="mean")
