"""Export and import: what comes out is what went in, bit for bit, on both backends."""

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.embedding_contract import EmbeddingContract
from contract.errors import ContractMismatchError, GalleryError
from index.checks import metadata_text
from index.gallery import Gallery
from index.portable import reading
from index.portable.exporting import Exported, export_collection
from index.portable.importing import header_of_file
from index.records import Embeddings
from tests.conftest import CONTRACT, UNIT
from tests.portable import export, file_gallery, imported, outcomes, state_of


def fill(gallery: Gallery) -> None:
    """Three people, one without a template, one with odd numbers in her templates."""
    odd = np.array([[0.0, -0.0, 1e-42, 65_504.0], [1.0, -1.0, 0.1, 3e-5]], dtype=np.float32)
    gallery.enroll(
        odd,
        subject_id="ann",
        name="Änn 🙂",
        external_id="7",
        metadata={"big": 12345678901234567890, "zero": -0.0, "deep": [{"a": [None, True]}]},
        expires_at="2100-01-01T00:00:00Z",
        consent_ref="form 12",
        crops=[b"\x00picture\n", None],
    )
    empty = gallery.enroll(UNIT[:1], subject_id="bob")
    gallery.remove_template(empty.template_ids[0])
    gallery.enroll(UNIT[1:3], name="Cy", crops=[b"c1", b"c2"])
    gallery.enroll(UNIT[3:], subject_id="ann")


def another(gallery: Gallery, collection: str) -> Gallery:
    """Another collection of the same database."""
    return Gallery(gallery.galleries, *gallery.galleries.view(collection, CONTRACT))


def test_a_collection_goes_to_a_file_and_back(gallery: Gallery, tmp_path: Path) -> None:
    fill(gallery)
    told = export(gallery, tmp_path / "x.gallery")
    assert told == Exported(blocks=1, subjects=3, templates=5, kept=0)
    assert stat.S_IMODE((tmp_path / "x.gallery").stat().st_mode) == 0o600
    assert not (tmp_path / "x.gallery.part").exists()
    before = state_of(gallery)
    with file_gallery(tmp_path) as other:
        assert {item.outcome for item in imported(other, tmp_path / "x.gallery")} == {"new"}
        assert state_of(other) == before
        other.verify()
        found = other.search(UNIT[1:2], top_k=1).candidates[0][0]
        assert (found.subject.name, found.similarity) == ("Cy", 1.0)
        export(other, tmp_path / "y.gallery")
    # And back, onto the first backend, into another collection of an emptied database.
    for subject, _ in before:
        gallery.remove_subject(subject.id)
    again = another(gallery, "again")
    imported(again, tmp_path / "y.gallery")
    assert state_of(again) == before
    again.verify()


def test_an_export_says_what_it_is_of(gallery: Gallery, tmp_path: Path) -> None:
    export(gallery, tmp_path / "x")
    header = header_of_file(tmp_path / "x")
    assert header.embedding_contract == CONTRACT
    assert (header.collection_id, header.crops) == ("default", True)
    with file_gallery(tmp_path) as other:
        assert imported(other, tmp_path / "x") == []


def test_crops_can_be_left_out_and_added_later(gallery: Gallery, tmp_path: Path) -> None:
    fill(gallery)
    export(gallery, tmp_path / "with")
    export(gallery, tmp_path / "without", crops=False)
    with file_gallery(tmp_path) as other:
        imported(other, tmp_path / "without")
        assert all(crop is None for _, held in state_of(other) for *_, crop in held)
        items = imported(other, tmp_path / "with")
        assert [(item.outcome, item.templates) for item in items] == [
            ("extended", 0),
            ("unchanged", 0),
            ("extended", 0),
        ]
        assert state_of(other) == state_of(gallery)
        assert {item.outcome for item in imported(other, tmp_path / "without")} == {"unchanged"}


def test_who_has_expired_is_neither_exported_nor_imported(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.enroll(UNIT[:1], subject_id="old", expires_at="2020-01-01T00:00:00Z", crops=[b"x"])
    gallery.enroll(UNIT[:1], subject_id="soon", expires_at="2090-01-01T00:00:00Z", crops=[b"y"])
    gallery.enroll(UNIT[:1], subject_id="old2", expires_at="2020-01-01T00:00:00Z")
    gallery.enroll(UNIT[1:2], subject_id="new")
    assert export(gallery, tmp_path / "x").subjects == 2
    with file_gallery(tmp_path) as other:
        monkeypatch.setattr("index.writes.scope.now", lambda: "2095-01-01T00:00:00.000Z")
        assert outcomes(other, tmp_path / "x") == [("soon", "expired"), ("new", "new")]


def test_an_import_is_taken_once(gallery: Gallery, tmp_path: Path) -> None:
    fill(gallery)
    export(gallery, tmp_path / "x")
    with file_gallery(tmp_path) as other:
        imported(other, tmp_path / "x")
        before, revision = state_of(other), other.revision
        assert {item.outcome for item in imported(other, tmp_path / "x")} == {"unchanged"}
        assert state_of(other) == before
        other.remove_template(before[2][1][0][0])
        items = imported(other, tmp_path / "x")
        assert [(i.outcome, i.templates) for i in items][2] == ("extended", 1)
        other.enroll(UNIT[:1], subject_id="bob")
        assert outcomes(other, tmp_path / "x")[1] == ("bob", "unchanged")
        other.verify()
        assert other.revision > revision


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"name": "Else"}, "name"),
        ({"external_id": None}, "external id"),
        ({"metadata": {"zero": 0.0}}, "metadata"),
        ({"expires_at": None}, "time of expiry"),
        ({"consent_ref": "form 13"}, "consent reference"),
    ],
)
def test_a_subject_that_says_something_else_is_left_as_it_is(
    gallery: Gallery, tmp_path: Path, facts: dict[str, Any], said: str
) -> None:
    fill(gallery)
    export(gallery, tmp_path / "x")
    gallery.update_subject("ann", **facts)
    gallery.remove_template(gallery.templates("ann")[0].id)
    before = state_of(gallery)
    items = imported(gallery, tmp_path / "x")
    assert [item.outcome for item in items] == ["conflict", "unchanged", "unchanged"]
    assert said in (items[0].detail or "")
    assert state_of(gallery) == before
    gallery.verify()


def test_names_that_others_have_are_conflicts(gallery: Gallery, tmp_path: Path) -> None:
    fill(gallery)
    gallery.enroll(UNIT[:1], subject_id="zoe", external_id="z")
    export(gallery, tmp_path / "x")
    gallery.merge_subjects("zoe", into="bob")
    items = imported(gallery, tmp_path / "x")
    # bob got her external id and her template.
    assert [(i.subject_id, i.outcome) for i in items if i.outcome != "unchanged"] == [
        ("bob", "conflict"),
        ("zoe", "conflict"),
    ]
    assert "external id 'z' belongs to 'bob'" in (items[3].detail or "")
    gallery.update_subject("bob", external_id=None)
    assert "belongs to another subject" in (imported(gallery, tmp_path / "x")[3].detail or "")
    gallery.verify()


def test_a_template_of_another_collection_is_a_conflict(gallery: Gallery, tmp_path: Path) -> None:
    fill(gallery)
    export(gallery, tmp_path / "x")
    beside = another(gallery, "beside")
    assert [o for _, o in outcomes(beside, tmp_path / "x")] == ["conflict", "new", "conflict"]
    beside.verify()
    gallery.verify()


def test_another_contract_is_refused_at_once(gallery: Gallery, tmp_path: Path) -> None:
    fill(gallery)
    export(gallery, tmp_path / "x")
    for contract, error in (
        (EmbeddingContract(id="test:b", size=4, d_max=2.0), ContractMismatchError),
        (EmbeddingContract(id="test:a", size=4, d_max=2.5), GalleryError),
    ):
        with Gallery.open(tmp_path / f"{contract.d_max}{contract.id}.db", contract) as other:
            with pytest.raises(error):
                imported(other, tmp_path / "x")
            assert other.revision == 0


def test_a_file_that_is_there_is_not_written_over(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a letter")
    with pytest.raises(GalleryError, match="already"):
        export(gallery, tmp_path / "x")
    assert (tmp_path / "x").read_text() == "a letter"
    (tmp_path / "y.part").symlink_to(tmp_path / "x")
    with pytest.raises(GalleryError, match="link"):
        export(gallery, tmp_path / "y")
    running = export_collection(gallery, tmp_path / "z")
    next(running)
    with pytest.raises(GalleryError, match="Another process"):
        export(gallery, tmp_path / "z")
    list(running)


names = st.none() | st.text(
    st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=256
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
numbers = st.floats(-65_504, 65_504, width=32)


@st.composite
def people(draw: st.DrawFn) -> dict[str, Any]:
    embeddings: Embeddings = np.array(
        draw(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=6)),
        dtype=np.float32,
    )
    crops = st.none() | st.binary(min_size=1, max_size=40)
    length = len(embeddings)
    return {
        "embeddings_MD": embeddings,
        "name": draw(names),
        "metadata": draw(st.dictionaries(st.text(max_size=5), json_values, max_size=3)),
        "crops": draw(st.lists(crops, min_size=length, max_size=length)),
        "consent_ref": draw(names.filter(lambda n: n is None or len(n) <= 128)),
    }


def storable(person: dict[str, Any]) -> bool:
    try:
        metadata_text(person["metadata"])
    except ValueError:
        return False
    return True


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(people().filter(storable), max_size=5), st.integers(1, 3))
def test_anybody_survives_the_way(
    tmp_path_factory: pytest.TempPathFactory, crowd: list[dict[str, Any]], page: int
) -> None:
    folder = tmp_path_factory.mktemp("portable")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PAGE_SUBJECTS", page)
        with file_gallery(folder, "a.db") as first, file_gallery(folder, "b.db") as second:
            for person in crowd:
                first.enroll(**person)
            export(first, folder / "x")
            assert all(item.outcome == "new" for item in imported(second, folder / "x"))
            assert state_of(second) == state_of(first)
            assert all(item.outcome == "unchanged" for item in imported(second, folder / "x"))
            second.verify()
