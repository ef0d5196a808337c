"""The audit log as a chain: what is in it, what breaks it, and that writers keep it one."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from contract.errors import AuditBrokenError, GalleryError, SubjectNotFoundError
from index.actor import acting
from index.api_keys import add_key, remove_key
from index.audit_chain import NO_SHA256, check_chain
from index.audit_log import audit_page, check_log, log_head, told_entries
from index.database import Connection
from index.galleries import Galleries
from index.gallery import Gallery
from index.tables import collections
from index.tables.api_keys import StoredKey
from index.tables.collections import StoredCollection
from tests.conftest import CONTRACT, UNIT, GalleryOpener

KEY = StoredKey(
    id="k1",
    name="Annabel Secret",
    sha256="0" * 64,
    scopes=("admin",),
    collections=None,
    created_at="2026-01-01T00:00:00.000Z",
    expires_at=None,
)


def told(gallery: Gallery) -> list[dict[str, Any]]:
    return list(told_entries(gallery.galleries))


def collection(beside: Gallery, name: str) -> Gallery:
    return Gallery(beside.galleries, *beside.galleries.view(name, CONTRACT))


def worked_on(gallery: Gallery) -> Gallery:
    """Six entries of five writes, after that of the collection itself."""
    gallery.enroll(UNIT[:2], subject_id="ann", name="Annabel Secret")
    gallery.enroll(UNIT[2:3], subject_id="bob")
    gallery.merge_subjects("bob", into="ann")
    gallery.remove_subject("ann")
    with acting("k0"):
        add_key(gallery.galleries, KEY, check=lambda keys: None)
    return gallery


def canonical(value: Any) -> str:
    """RFC 8785 of what entries are made of, written without the json module."""
    if value is None:
        return "null"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        assert value.isascii()
        assert value.isprintable()
        assert not {'"', "\\"} & set(value)
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    assert isinstance(value, dict)
    pairs = [f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value)]
    return f"{{{','.join(pairs)}}}"


def test_each_entry_has_the_hash_of_its_content_and_of_the_one_before(gallery: Gallery) -> None:
    entries = told(worked_on(gallery))
    assert [entry["action"] for entry in entries] == [
        "create_collection",
        *("enrol", "enrol", "merge", "merged_away", "remove", "create_key"),
    ]
    assert [entry["place"] for entry in entries] == [1, 2, 3, 4, 5, 6, 7]
    before = NO_SHA256
    for entry in entries:
        assert entry["previous_sha256"] == before
        content = {name: value for name, value in entry.items() if name != "sha256"}
        before = hashlib.sha256(canonical(content).encode()).hexdigest()
        assert entry["sha256"] == before
    assert (log_head(gallery.galleries).place, log_head(gallery.galleries).sha256) == (7, before)
    gallery.verify()


def test_an_empty_log_is_a_chain(gallery_location: Path | str) -> None:
    galleries = Galleries.open(gallery_location)
    assert list(told_entries(galleries)) == []
    assert log_head(galleries) == check_chain([]) == check_chain([], noted=NO_SHA256)
    galleries.close()


def test_the_making_of_a_collection_is_its_first_entry(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery()
    with acting("k1"):
        collection(gallery, "staff")
    first, second = told(gallery)
    of = {"action": "create_collection", "revision": 0, "subject_id": None}
    assert first.items() >= {"collection": "default", **of}.items()
    assert second.items() >= {"collection": "staff", **of}.items()
    assert [entry["detail"] for entry in (first, second)] == [
        {"contract_id": CONTRACT.id, "by": None},
        {"contract_id": CONTRACT.id, "by": "k1"},
    ]
    # To open it again makes nothing.
    gallery.close()
    assert told(open_gallery()) == [first, second]


def test_a_collection_that_another_replica_was_faster_with_is_entered_once(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = collections.find_collection
    looks = [None]

    def too_early(c: Connection, collection_id: str) -> StoredCollection | None:
        return looks.pop() if looks else find(c, collection_id)

    monkeypatch.setattr(collections, "find_collection", too_early)
    assert gallery.galleries._create("default", CONTRACT) == gallery.stored()
    assert not looks
    assert [entry["action"] for entry in told(gallery)] == ["create_collection"]


def test_keys_are_in_the_log_by_their_ids_and_by_whom(gallery: Gallery) -> None:
    add_key(gallery.galleries, KEY, check=lambda keys: None)
    with acting("settings"):
        remove_key(gallery.galleries, "k1", check=lambda keys: None)
    made, deleted = told(gallery)[-2:]
    assert (made["collection"], made["revision"], made["subject_id"]) == (None, None, None)
    assert made["detail"] == {
        "key_id": "k1",
        "scopes": ["admin"],
        "collections": None,
        "expires_at": None,
        "by": None,
    }
    assert (deleted["action"], deleted["detail"]) == (
        "delete_key",
        {"key_id": "k1", "by": "settings"},
    )
    assert "Secret" not in json.dumps([made, deleted])


def test_what_is_refused_leaves_no_entry_and_no_gap(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann")
    with pytest.raises(SubjectNotFoundError):
        gallery.remove_subject("nobody")

    def refuse(keys: object) -> None:
        raise GalleryError("no")

    with pytest.raises(GalleryError):
        add_key(gallery.galleries, KEY, check=refuse)
    gallery.remove_subject("ann")
    assert [(entry["place"], entry["action"]) for entry in told(gallery)] == [
        *((1, "create_collection"), (2, "enrol"), (3, "remove"))
    ]
    gallery.verify()


def test_pages_have_every_entry_once(gallery: Gallery) -> None:
    galleries = worked_on(gallery).galleries
    seen, after = [], None
    while True:
        page = audit_page(galleries, limit=4, after=after)
        assert page.head == log_head(galleries)
        seen += [entry.told() for entry in page.entries]
        after = page.next_after
        if after is None:
            break
    assert seen == told(gallery)
    assert audit_page(galleries, limit=len(seen)).next_after is None
    for odd in ("x", "-1", ""):
        with pytest.raises(ValueError, match="after"):
            audit_page(galleries, limit=1, after=odd)


def changed(entries: list[dict[str, Any]], place: int, **values: Any) -> list[dict[str, Any]]:
    return [entry | values if entry["place"] == place else entry for entry in entries]


@pytest.mark.parametrize(
    ("tamper", "place"),
    [
        (lambda e: changed(e, 2, subject_id="eve"), 2),
        (lambda e: changed(e, 2, at="2020-01-01T00:00:00.000Z"), 2),
        (lambda e: changed(e, 5, detail={"templates": 9}), 5),
        (lambda e: changed(e, 6, collection="other"), 6),
        (lambda e: changed(e, 4, sha256="f" * 64), 4),
        (lambda e: changed(e, 1, more="x"), 1),
        (lambda e: e[:2] + e[3:], 3),
        (lambda e: e[1:], 1),
        (lambda e: [e[0], e[2], e[1], *e[3:]], 2),
        (lambda e: [*e[:3], e[2], *e[3:]], 4),
    ],
)
def test_the_first_entry_that_does_not_fit_is_named(
    gallery: Gallery, tamper: Callable[[Any], Any], place: int
) -> None:
    entries = told(worked_on(gallery))
    with pytest.raises(AuditBrokenError) as caught:
        check_chain(tamper(entries))
    assert caught.value.place == place


def test_a_cut_end_shows_by_a_head_that_was_noted(gallery: Gallery) -> None:
    entries = told(worked_on(gallery))
    noted = entries[-1]["sha256"]
    assert check_chain(entries[:4]).place == 4
    with pytest.raises(AuditBrokenError, match="noted"):
        check_chain(entries[:4], noted=noted)
    gallery.enroll(UNIT[:1], subject_id="cy")
    assert check_chain(told(gallery), noted=noted).place == len(entries) + 1


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE audit SET subject_id = 'eve' WHERE place = 2", "entry 2"),
        ("UPDATE audit SET detail = '{' WHERE place = 3", "entry 3: its detail"),
        ("DELETE FROM audit WHERE place = 1", "entry 1"),
        ("DELETE FROM audit WHERE place > 4", "entry 5: 7 entries were made, and 4"),
        (
            "INSERT INTO audit (at, action, detail) VALUES ('2026', 'remove', '{}')",
            "place None",
        ),
    ],
)
def test_verify_finds_what_was_done_to_the_table(
    gallery: Gallery, gallery_location: Path | str, sql: str, words: str
) -> None:
    worked_on(gallery)
    with gallery.galleries.database.writing() as c:
        c.execute(sql)
    with pytest.raises(AuditBrokenError, match=words):
        gallery.verify()


def test_an_entry_can_leave_with_nobody_but_the_subject_does(gallery: Gallery) -> None:
    """Erasure needs no rewriting: nothing of a subject but its id is in the log."""
    worked_on(gallery)
    assert [entry["subject_id"] for entry in told(gallery)] == [
        *(None, "ann", "bob", "ann", "bob", "ann", None)
    ]
    assert "Secret" not in json.dumps(told(gallery))
    gallery.verify()


def test_writers_of_several_collections_keep_one_chain(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery()
    others = [collection(gallery, f"c{n}") for n in range(3)]
    before = log_head(gallery.galleries).place

    def write(to: Gallery) -> None:
        for n in range(6):
            to.enroll(UNIT[:1], subject_id=f"s{n}")

    threads = [threading.Thread(target=write, args=(to,)) for to in [gallery, *others]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert check_chain(told(gallery)).place == before + 24
    gallery.verify()


def test_replicas_keep_one_chain(postgres_dsn: str) -> None:
    """Each of three in a collection of its own and in one of all: commits wait for one another."""
    replicas = [Gallery.open(postgres_dsn, CONTRACT) for _ in range(3)]
    own = [collection(r, f"own{n}") for n, r in enumerate(replicas)]
    before = log_head(replicas[0].galleries).place
    errors: list[BaseException] = []

    def write(to: Gallery, name: str) -> None:
        try:
            for n in range(8):
                to.enroll(UNIT[:1], subject_id=f"{name}{n}")
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            errors.append(error)

    threads = [
        threading.Thread(target=write, args=(to, f"r{n}-"))
        for pair in (replicas, own)
        for n, to in enumerate(pair)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert check_chain(told(replicas[0])).place == before + 48
    replicas[0].verify()
    for replica in replicas:
        replica.close()


def test_what_a_file_of_the_version_before_has_is_chained_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, CONTRACT) as gallery:
        worked_on(gallery)
        before = told(gallery)
    as_version_5(path)
    with Gallery.open(path, CONTRACT) as gallery:
        assert told(gallery) == before
        gallery.verify()
        with gallery.galleries.database.reading() as c:
            assert check_log(c, noted=before[-1]["sha256"]).place == len(before)


def test_entries_that_do_not_say_who_stay_as_they_are(
    open_gallery: GalleryOpener, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as as_before:
        as_before.setattr("index.tables.audit._with_actor", json.dumps)
        gallery = worked_on(open_gallery())
        gallery.close()
    gallery = open_gallery()
    before = told(gallery)
    assert not any("by" in entry["detail"] for entry in before)
    with acting("k1"):
        gallery.enroll(UNIT[:1], subject_id="cy")
    *same, new = told(gallery)
    assert same == before
    assert new["detail"]["by"] == "k1"
    assert check_chain(told(gallery), noted=before[-1]["sha256"]).place == new["place"]
    gallery.verify()


def as_version_5(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(
        """
        BEGIN;
        CREATE TABLE audit_of_5 (
            number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, collection_id TEXT,
            revision INTEGER, action TEXT NOT NULL, subject_id TEXT, detail TEXT NOT NULL
        ) STRICT;
        INSERT INTO audit_of_5 SELECT number, at, collection_id, revision, action, subject_id,
            detail FROM audit;
        DROP TABLE audit;
        DROP TABLE audit_head;
        ALTER TABLE audit_of_5 RENAME TO audit;
        CREATE INDEX audit_of_subject ON audit (collection_id, subject_id);
        PRAGMA user_version = 5;
        COMMIT;
        """
    )
    connection.close()
