"""Encrypted rows of a gallery file: nothing of them in any file, everything by its key."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contract.errors import GalleryError, GallerySecretError
from index import memory_searcher
from index.gallery import Gallery
from index.portable.exporting import export_collection
from index.portable.importing import import_file
from index.protection.row_cipher import RowCipher
from index.protection.secrets import GallerySecrets
from index.rekeying import Rekeying
from index.subject_access import subject_access
from index.upkeep import rows_to_encrypt
from index.writes import rekeying as writes
from tests.protected import (
    FACES,
    answers,
    assert_same_answers,
    enrol_all,
    faces,
    rekey,
)

PEOPLE = faces(40)
CROP = b"\x89PNG of a face, which nobody else is to see"
Opener = Callable[..., Gallery]


@pytest.fixture
def keys(tmp_path: Path) -> GallerySecrets:
    return GallerySecrets(tmp_path / "keys" / "row.key", setting="row_key")


@pytest.fixture
def open_it(tmp_path: Path, keys: GallerySecrets) -> Opener:
    """open_it() -> the gallery of this test, encrypted but not protected; to be closed by it."""

    def opened(**options: Any) -> Gallery:
        return Gallery.open(tmp_path / "data" / "g.db", FACES, **{"row_keys": keys, **options})

    return opened


def filled(gallery: Gallery) -> None:
    enrol_all(gallery, PEOPLE)
    gallery.enroll(faces(1, seed=7), subject_id="ann", template_ids=["a"], crops=[CROP])


def in_files(folder: Path) -> list[bytes]:
    """What of the embeddings and pictures is in a file of the gallery, as it was given."""
    contents = [path.read_bytes() for path in folder.iterdir()]
    pieces = [row.tobytes()[16 * i : 16 * i + 16] for row in PEOPLE for i in range(8)] + [CROP]
    return [piece for piece in pieces if any(piece in content for content in contents)]


def stored(tmp_path: Path, sql: str) -> list[bytes]:
    connection = apsw.Connection(str(tmp_path / "data" / "g.db"))
    try:
        return [bytes(row[0]) for row in connection.execute(sql)]
    finally:
        connection.close()


def test_the_format_is_the_documented_one(keys: GallerySecrets) -> None:
    cipher = RowCipher(keys)
    sealed = cipher.seal(b"something", "crop")
    key_id = keys.current()
    secret = keys.get(key_id, of="it")
    assert sealed[:6] == b"1GRow\x01"
    assert sealed[6:14].hex() == key_id
    aead = AESGCM(hashlib.sha256(b"oneglance row key 1" + secret).digest())
    assert aead.decrypt(sealed[14:26], sealed[26:], sealed[:14] + b"crop") == b"something"
    assert cipher.open(sealed, "crop") == b"something"
    assert cipher.plain_bytes(len(sealed), sealed[:14]) == len(b"something")
    assert cipher.plain_bytes(9, b"something"[:14]) == 9
    # Never the same twice; an embedding is no picture.
    assert cipher.seal(b"something", "crop") != sealed
    with pytest.raises(GalleryError, match="damaged, or was changed"):
        cipher.open(sealed, "embedding")


def test_no_file_holds_anything_of_it_and_all_answers_are_there(
    open_it: Opener, tmp_path: Path
) -> None:
    with Gallery.open(tmp_path / "plain.db", FACES) as plain:
        filled(plain)
        expected = answers(plain, PEOPLE)
    with open_it() as gallery:
        filled(gallery)
        assert in_files(tmp_path / "data") == []
        assert answers(gallery, PEOPLE) == expected
        assert gallery.crop("a") == CROP
        gallery.verify()
    assert in_files(tmp_path / "data") == []
    with open_it() as gallery:
        assert answers(gallery, PEOPLE) == expected
        assert gallery.crop("a") == CROP
        assert len(subject_access(gallery, "ann")["crops"]) == 1
        gallery.remove_template("a")
        gallery.merge_subjects("s1", into="s2")
        gallery.verify()


def test_exports_and_imports_carry_what_was_given(open_it: Opener, tmp_path: Path) -> None:
    out = tmp_path / "all.oneglance"
    with open_it() as gallery:
        filled(gallery)
        for _ in export_collection(gallery, out):
            pass
        (again,) = import_file(gallery, out)
        assert {result.outcome for result in again.results} == {"unchanged"}
        expected = answers(gallery, PEOPLE)
    with Gallery.open(tmp_path / "other.db", FACES) as other:
        (block,) = import_file(other, out)
        assert {result.outcome for result in block.results} == {"new"}
        assert answers(other, PEOPLE) == expected
        assert other.crop("a") == CROP


def test_without_its_key_nothing_is_read(open_it: Opener, tmp_path: Path) -> None:
    with open_it() as gallery:
        filled(gallery)
    with pytest.raises(GallerySecretError, match="name its file by row_key_file"):
        open_it(row_keys=None)
    other = GallerySecrets(tmp_path / "other.key", setting="row_key")
    with pytest.raises(GallerySecretError, match="row_key_file names another file"):
        open_it(row_keys=other)
    assert not other.path.exists()


@pytest.mark.parametrize("table", ["templates SET embedding", "crops SET image"])
def test_a_changed_row_is_found_out(open_it: Opener, tmp_path: Path, table: str) -> None:
    with open_it() as gallery:
        filled(gallery)
    column = table.split()[-1]
    connection = apsw.Connection(str(tmp_path / "data" / "g.db"))
    (row,) = connection.execute(f"SELECT {column} FROM {table.split()[0]} LIMIT 1").fetchall()
    changed = row[0][:-1] + bytes([row[0][-1] ^ 1])
    connection.execute(f"UPDATE {table} = ? WHERE {column} = ?", (changed, row[0]))
    connection.close()
    with pytest.raises(GalleryError, match="damaged, or was changed"):
        look_at_all(open_it)


def look_at_all(open_it: Opener) -> None:
    with open_it() as gallery:
        for name in ("a", *(f"s{i}-0" for i in range(20))):
            gallery.crop(name)


def test_a_gallery_of_before_is_encrypted_by_re_keying_it(
    open_it: Opener, keys: GallerySecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "RESEALED_AT_ONCE", 6)
    with open_it(row_keys=None) as gallery:
        filled(gallery)
        expected = answers(gallery, PEOPLE)
    assert in_files(tmp_path / "data")
    with open_it() as gallery:
        assert rows_to_encrypt(gallery.galleries) == len(PEOPLE) + 1 + 21
        new = faces(1, seed=8)
        gallery.enroll(new, subject_id="new")
        assert rows_to_encrypt(gallery.galleries) == len(PEOPLE) + 1 + 21
        result = rekey(gallery)
        assert result.row_key_id == keys.current()
        assert rows_to_encrypt(gallery.galleries) == 0
        assert in_files(tmp_path / "data") == []
        assert_same_answers(
            [[c for c in one if c[0] != "new"][:4] for one in answers(gallery, PEOPLE)],
            [[c for c in one if c[0] != "new"][:4] for one in expected],
        )
        assert gallery.crop("a") == CROP
        gallery.verify()


def test_a_new_key_makes_the_former_one_useless(
    open_it: Opener, keys: GallerySecrets, tmp_path: Path
) -> None:
    with open_it() as gallery:
        filled(gallery)
        expected = answers(gallery, PEOPLE)
        (former,) = keys.ids()
        result = rekey(gallery, new_row_key=True)
        newest = keys.current()
        assert result.row_key_id == newest != former
        heads = stored(tmp_path, "SELECT embedding FROM templates UNION SELECT image FROM crops")
        assert {head[6:14].hex() for head in heads} == {newest}
    kept = next(line for line in keys.path.read_text().splitlines() if not line.startswith("#"))
    keys.path.write_text(f"{kept}\n")
    with open_it() as gallery:
        assert_same_answers(answers(gallery, PEOPLE), expected)
        assert gallery.crop("a") == CROP


def test_an_interrupted_one_leaves_nothing_by_the_former_key(
    open_it: Opener, keys: GallerySecrets, tmp_path: Path
) -> None:
    with open_it() as gallery:
        filled(gallery)
        next(Rekeying.begin(gallery).rekey())
    with open_it() as gallery:
        rekey(gallery, new_row_key=True)
        heads = stored(tmp_path, "SELECT embedding FROM templates UNION SELECT image FROM crops")
        assert {head[6:14].hex() for head in heads} == {keys.current()}
        gallery.verify()


def test_no_snapshot_of_an_index_is_left_nor_kept(
    open_it: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_searcher, "SNAPSHOT_FROM_ROWS", 1)
    with open_it(row_keys=None) as gallery:
        filled(gallery)
    assert [*(tmp_path / "data").glob("*.index-*")]
    with open_it() as gallery:
        assert not [*(tmp_path / "data").glob("*.index-*")]
        gallery.enroll(PEOPLE[:1])
    assert not [*(tmp_path / "data").glob("*.index-*")]


def test_without_a_key_there_is_none_to_be_renewed(open_it: Opener) -> None:
    with (
        open_it(row_keys=None) as gallery,
        pytest.raises(GalleryError, match="are not encrypted: name a file"),
    ):
        rekey(gallery, new_row_key=True)


def test_in_postgres_it_is_refused(keys: GallerySecrets) -> None:
    with pytest.raises(GalleryError, match="cannot be encrypted: leave row_key_file"):
        Gallery.open("postgresql://localhost/none", FACES, row_keys=keys)
    assert not keys.path.exists()


def test_it_goes_with_a_rotation(open_it: Opener, tmp_path: Path) -> None:
    secrets = GallerySecrets(tmp_path / "g.secret")
    with open_it(secrets=secrets) as gallery:
        filled(gallery)
        expected = answers(gallery, PEOPLE)
        rekey(gallery, new_secret=True)
        rekey(gallery, new_row_key=True)
        assert_same_answers(answers(gallery, PEOPLE), expected)
    assert in_files(tmp_path / "data") == []
