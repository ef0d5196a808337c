"""A protected gallery answers as an unprotected one does, and its database tells nobody."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.errors import GallerySecretError, TemplateExistsError
from index.calibrating import search_itself
from index.gallery import Gallery
from index.one_template import compare_with_template
from index.one_to_one import compare
from index.own_subject import find_own, similarity_to_own
from index.portable.exporting import export_collection
from index.portable.importing import import_file
from index.protection.secrets import GallerySecrets
from index.subject_access import subject_access
from tests.conftest import GalleryOpener
from tests.protected import (
    FACES,
    NOISE,
    SIZE,
    answers,
    assert_same_answers,
    enrol_all,
    faces,
    stored_rows,
)

PEOPLE = faces(60)
PROBES = (PEOPLE[::3] + faces(20, seed=1) * np.float32(0.7)).astype(np.float32)

Opener = Callable[..., Gallery]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "apart" / "g.secret"


@pytest.fixture
def open_protected(open_gallery: GalleryOpener, secret: Path) -> Opener:
    """open_protected(...) -> the Gallery of this test, its templates turned by `secret`."""

    def open_it(**options: Any) -> Gallery:
        given = {"secrets": GallerySecrets(secret), **options}
        gallery: Gallery = open_gallery(FACES, **given)
        return gallery

    return open_it


@pytest.fixture
def protected(open_protected: Opener) -> Gallery:
    """With all PEOPLE."""
    gallery = open_protected()
    enrol_all(gallery, PEOPLE)
    return gallery


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Gallery]:
    """The same people, unprotected, in a file of its own."""
    with Gallery.open(tmp_path / "plain.db", FACES) as gallery:
        enrol_all(gallery, PEOPLE)
        yield gallery


def test_searches_answer_as_without(protected: Gallery, plain: Gallery) -> None:
    assert_same_answers(answers(protected, PROBES), answers(plain, PROBES))
    assert_same_answers(answers(protected, PEOPLE), answers(plain, PEOPLE))
    protected.verify()


@pytest.mark.parametrize("tier", ["flat", "rabitq", "hnsw"])
def test_so_does_a_file_opened_anew_by_every_tier_and_scoring(
    tmp_path: Path, secret: Path, tier: Any
) -> None:
    for scoring in ("best", "mean"):
        both = []
        for name, protects in (("a", True), ("b", False)):
            path = tmp_path / f"{name}-{scoring}.db"
            secrets = GallerySecrets(secret, protects_new=protects)
            options: dict[str, Any] = {"tier": tier, "scoring": scoring, "secrets": secrets}
            with Gallery.open(path, FACES, **options) as gallery:
                enrol_all(gallery, PEOPLE)
            with Gallery.open(path, FACES, **options) as gallery:
                both.append(answers(gallery, PROBES))
        assert_same_answers(*both)


def test_verifications_answer_as_without(protected: Gallery, plain: Gallery) -> None:
    for probe in PROBES[:5]:
        with_one, without = (compare(g, "s3", probe).candidate for g in (protected, plain))
        assert with_one is not None
        assert without is not None
        assert with_one.template_id == without.template_id
        assert with_one.similarity == pytest.approx(without.similarity, abs=NOISE)
    with_two, without_two = (
        compare_with_template(g, "s3-1", PROBES).similarities for g in (protected, plain)
    )
    assert with_two == pytest.approx(without_two, abs=NOISE)


def test_photos_are_compared_with_their_own_subject_as_without(
    protected: Gallery, plain: Gallery
) -> None:
    with_one, without = (
        similarity_to_own(g, find_own(g, subject_id="s3", external_id=None), PROBES[:1])
        for g in (protected, plain)
    )
    assert with_one == pytest.approx(without, abs=NOISE)


def test_calibrations_search_as_without_strangers_included(
    protected: Gallery, plain: Gallery
) -> None:
    strangers = faces(9, seed=5)
    with_them, without = (
        search_itself(g, strangers_SD=strangers).searches for g in (protected, plain)
    )
    for name in ("similarity_S", "best_T"):
        np.testing.assert_allclose(
            getattr(with_them, name), getattr(without, name), rtol=0, atol=NOISE
        )


def test_nothing_in_the_database_is_like_what_was_enrolled(protected: Gallery) -> None:
    rows = stored_rows(protected)
    assert len(rows) == len(PEOPLE)
    stored = np.stack([rows[f"s{i // 2}-{i % 2}", key[1]] for i, key in enumerate(rows)])
    # A random direction in D dimensions has a cosine of 0 with standard deviation D ** -0.5.
    cosines = (stored * PEOPLE).sum(axis=1)
    assert np.abs(cosines).max() < 6 / SIZE**0.5
    assert np.linalg.norm(stored, axis=1) == pytest.approx(1.0, abs=NOISE)


def test_without_its_secret_it_is_refused_in_words_and_with_it_opens_again(
    protected: Gallery, open_protected: Opener, secret: Path
) -> None:
    before = answers(protected, PROBES)
    protected.close()
    aside = secret.rename(secret.with_name("aside"))
    with pytest.raises(GallerySecretError, match="'default' was protected by the secret") as lost:
        open_protected()
    assert str(secret) in str(lost.value)
    # Nothing was made in its place, which would look as if all were well.
    assert not secret.exists()
    other = GallerySecrets(secret)
    other.current()
    with pytest.raises(GallerySecretError, match="which is not in the file"):
        open_protected()
    aside.rename(secret)
    assert_same_answers(answers(open_protected(), PROBES), before)


def test_two_collections_of_one_gallery_have_nothing_in_common(
    open_protected: Opener,
) -> None:
    gallery = open_protected()
    galleries = gallery.galleries
    other = Gallery(galleries, *galleries.view("other", FACES))
    gallery.enroll(PEOPLE[:1], template_ids=["a"])
    other.enroll(PEOPLE[:1], template_ids=["b"])
    first, second = stored_rows(gallery).values()
    assert abs(float(first @ second)) < 6 / SIZE**0.5
    assert answers(gallery, PEOPLE[:1])[0][0][2] == pytest.approx(1.0, abs=NOISE)
    assert answers(other, PEOPLE[:1])[0][0][2] == pytest.approx(1.0, abs=NOISE)
    # An id is free once in a database, whatever the secrets.
    with pytest.raises(TemplateExistsError):
        other.enroll(PEOPLE[1:2], template_ids=["a"])
    gallery.remove_template("a")
    assert other.template_count == 1


def test_a_gallery_of_before_goes_on_unprotected(
    open_gallery: GalleryOpener, open_protected: Opener, secret: Path
) -> None:
    before = open_gallery(FACES)
    enrol_all(before, PEOPLE)
    kept = stored_rows(before)
    before.close()
    gallery = open_protected()
    assert {key: row.tobytes() for key, row in stored_rows(gallery).items()} == {
        key: row.tobytes() for key, row in kept.items()
    }
    assert not secret.exists()
    assert answers(gallery, PEOPLE[:1])[0][0] == ("s0", "s0-0", 1.0)


def test_an_export_is_plain_and_imports_anywhere(protected: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "all.oneglance"
    for _ in export_collection(protected, path):
        pass
    # Again into the same one: what is there is known, though it went through float32 twice.
    (same,) = import_file(protected, path)
    assert {result.outcome for result in same.results} == {"unchanged"}
    for name, protects in (("other", True), ("bare", False)):
        secrets = GallerySecrets(tmp_path / f"{name}.secret", protects_new=protects)
        with Gallery.open(tmp_path / f"{name}.db", FACES, secrets=secrets) as new:
            (block,) = import_file(new, path)
            assert {result.outcome for result in block.results} == {"new"}
            assert_same_answers(answers(new, PROBES), answers(protected, PROBES))
            assert new.crop("s3-0") == b"a crop"


def test_whoever_asks_what_is_stored_of_him_is_told_plainly(protected: Gallery) -> None:
    told = subject_access(protected, "s3")
    found = [
        np.frombuffer(base64.b64decode(t["embedding"]), dtype="<f4") for t in told["templates"]
    ]
    np.testing.assert_allclose(np.stack(found), PEOPLE[6:8], rtol=0, atol=NOISE)
    assert "rotation" not in json.dumps(told)
