"""Several collections in one database; in a file and in PostgreSQL."""

from pathlib import Path

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    CollectionNotFoundError,
    ContractMismatchError,
    GalleryError,
    SubjectNotFoundError,
)
from index.galleries import Galleries
from index.gallery import Gallery
from tests.conftest import CONTRACT, UNIT, GalleryOpener

OTHER = EmbeddingContract(id="test:other", size=2, d_max=4.0)
PLANE = np.eye(2, dtype=np.float32)


def test_collections_know_nothing_of_each_other(gallery_location: Path | str) -> None:
    galleries = Galleries.open(gallery_location)
    people = Gallery(galleries, *galleries.view("people", CONTRACT))
    things = Gallery(galleries, *galleries.view("things", OTHER))
    ann = people.enroll(UNIT[:1], subject_id="same", external_id="7", name="Ann", crops=[b"c"])
    things.enroll(PLANE, subject_id="same", external_id="7", name="Lamp")
    assert (people.subject("same").name, things.subject("same").name) == ("Ann", "Lamp")
    assert (people.contract, things.contract) == (CONTRACT, OTHER)
    assert (people.revision, people.template_count) == (1, 1)
    assert (things.revision, things.template_count) == (1, 2)
    assert things.crop(ann.template_ids[0]) is None
    assert [s.name for s in things.subjects(limit=9).subjects] == ["Lamp"]
    (found,) = things.search(PLANE[:1], top_k=9).candidates
    assert [candidate.subject.name for candidate in found] == ["Lamp"]
    people.remove_subject("same")
    assert things.subject("same").template_count == 2
    assert [(c.id, c.revision, c.subject_count) for c in galleries.collections()] == [
        ("people", 2, 0),
        ("things", 1, 1),
    ]
    people.verify()
    things.verify()
    galleries.close()


def test_a_collection_is_removed_with_all_that_is_in_it(gallery_location: Path | str) -> None:
    with Gallery.open(gallery_location, CONTRACT, collection="gone") as gallery:
        gallery.enroll(UNIT, subject_id="ann", crops=[b"c"] * 4)
    with Gallery.open(gallery_location, CONTRACT) as gallery:
        gallery.enroll(UNIT[:1], subject_id="bob")
        gallery.galleries.remove_collection("gone")
        with pytest.raises(CollectionNotFoundError, match="'gone'"):
            gallery.galleries.remove_collection("gone")
        assert [c.id for c in gallery.galleries.collections()] == ["default"]
        assert gallery.subject("bob").template_count == 1
        for table, rows in (("subjects", 1), ("templates", 1), ("crops", 0)):
            sql = f"SELECT count(*) FROM {table}"
            assert gallery.read(lambda scope, sql=sql: scope.c.execute(sql)) == [(rows,)]
        gallery.verify()
    with pytest.raises(CollectionNotFoundError, match="'gone'"):
        Gallery.open(gallery_location, collection="gone")
    with Gallery.open(gallery_location, CONTRACT, collection="gone") as gallery:
        assert (gallery.revision, gallery.subject_count) == (0, 0)
        with pytest.raises(SubjectNotFoundError):
            gallery.subject("ann")


def test_another_contract_is_refused_and_the_gallery_stays_as_it_was(
    open_gallery: GalleryOpener,
) -> None:
    with open_gallery() as gallery:
        gallery.enroll(UNIT[:1], subject_id="ann")
    with pytest.raises(ContractMismatchError) as caught:
        open_gallery(EmbeddingContract(id="test:b", size=4, d_max=2.0))
    assert caught.value.gallery_contract_id == "test:a"
    assert caught.value.bundle_contract_id == "test:b"
    for liar in ({"size": 5, "d_max": 2.0}, {"size": 4, "d_max": 3.0}):
        with pytest.raises(GalleryError, match="embedding size 4"):
            open_gallery(EmbeddingContract(id="test:a", **liar))
    with open_gallery() as gallery:
        assert gallery.subject("ann").template_count == 1


def test_a_contract_that_contradicts_itself_makes_no_collection(
    open_gallery: GalleryOpener,
) -> None:
    open_gallery().close()
    with pytest.raises(GalleryError, match="one of them is wrong"):
        open_gallery(EmbeddingContract(id="test:a", size=5, d_max=2.0), collection="new")
    with open_gallery() as gallery:
        assert [c.id for c in gallery.galleries.collections()] == ["default"]


def test_a_collection_that_is_not_there_needs_a_contract(open_gallery: GalleryOpener) -> None:
    with pytest.raises(CollectionNotFoundError, match="'default'"):
        open_gallery(None)
    with pytest.raises(ValueError, match="cannot be used"):
        open_gallery(collection="no/path")
    open_gallery().close()
    assert open_gallery(None).contract == CONTRACT


def test_means_are_not_for_postgresql() -> None:
    with pytest.raises(GalleryError, match="scoring"):
        Gallery.open("postgresql://nowhere", CONTRACT, scoring="mean")


def test_a_collection_is_open_only_once(gallery: Gallery) -> None:
    with pytest.raises(GalleryError, match="open already"):
        gallery.galleries.view("default", CONTRACT)
