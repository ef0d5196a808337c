"""API keys in the database, on both backends."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from contract.errors import (
    KeyExistsError,
    KeyNotFoundError,
    LastAdminKeyError,
    TooManyKeysError,
)
from index import api_keys
from index.api_keys import add_key, remove_key, stored_keys
from index.galleries import Galleries
from index.gallery import Gallery
from index.portable.exporting import export_collection
from index.tables.api_keys import StoredKey
from tests.conftest import GalleryOpener


def key(
    id: str, *, collections: tuple[str, ...] | None = None, expires_at: str | None = None
) -> StoredKey:
    return StoredKey(
        id=id,
        name=f"Nina's ☎ {id}",
        sha256=id[0] * 64,
        scopes=("identify", "enroll"),
        collections=collections,
        created_at="2026-01-02T03:04:05.000Z",
        expires_at=expires_at,
    )


A, B = key("a"), key("b", collections=("staff", "guests"), expires_at="2030-01-02T03:04:05.000Z")


def willing(_: Sequence[StoredKey]) -> None:
    """Takes any keys."""


def refuse(_: Sequence[StoredKey]) -> None:
    raise LastAdminKeyError


@pytest.fixture
def galleries(gallery: Gallery) -> Galleries:
    return gallery.galleries


def test_a_key_is_kept_as_it_is_also_by_whoever_opens_the_gallery_next(
    open_gallery: GalleryOpener,
) -> None:
    first = open_gallery()
    assert stored_keys(first.galleries) == []
    assert add_key(first.galleries, A, check=willing) == [A]
    assert add_key(first.galleries, B, check=willing) == [A, B]
    first.close()
    second = open_gallery()
    assert stored_keys(second.galleries) == [A, B]
    assert remove_key(second.galleries, "a", check=willing) == [B]
    assert stored_keys(second.galleries) == [B]
    second.verify()


def test_what_the_check_refuses_is_not_done(galleries: Galleries) -> None:
    with pytest.raises(LastAdminKeyError):
        add_key(galleries, A, check=refuse)
    assert stored_keys(galleries) == []
    add_key(galleries, A, check=willing)
    with pytest.raises(LastAdminKeyError):
        remove_key(galleries, "a", check=refuse)
    assert stored_keys(galleries) == [A]


def test_the_check_sees_what_there_would_be(galleries: Galleries) -> None:
    seen: list[list[StoredKey]] = []
    add_key(galleries, A, check=lambda keys: seen.append(list(keys)))
    add_key(galleries, B, check=lambda keys: seen.append(list(keys)))
    remove_key(galleries, "a", check=lambda keys: seen.append(list(keys)))
    assert seen == [[A], [A, B], [B]]


def test_an_id_is_given_once(galleries: Galleries) -> None:
    add_key(galleries, A, check=willing)
    with pytest.raises(KeyExistsError, match="'a'"):
        add_key(galleries, A, check=willing)
    assert stored_keys(galleries) == [A]


@pytest.mark.parametrize("unknown", ["", "b", "a\0", "\ud800", "x" * 5000])
def test_a_key_that_is_not_there_cannot_be_removed(galleries: Galleries, unknown: str) -> None:
    add_key(galleries, A, check=willing)
    with pytest.raises(KeyNotFoundError):
        remove_key(galleries, unknown, check=willing)
    assert stored_keys(galleries) == [A]


def test_there_are_only_so_many(galleries: Galleries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "KEYS_MAX", 1)
    add_key(galleries, A, check=willing)
    with pytest.raises(TooManyKeysError):
        add_key(galleries, B, check=willing)
    assert stored_keys(galleries) == [A]


def test_an_export_has_no_keys_in_it(gallery: Gallery, tmp_path: Path) -> None:
    add_key(gallery.galleries, A, check=willing)
    path = tmp_path / "out.gallery"
    list(export_collection(gallery, path, crops=True))
    data = path.read_bytes()
    assert A.sha256.encode() not in data
    assert b"Nina" not in data
