"""Re-keying: other rows for the same people, while they are searched; in a file and PostgreSQL."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    GallerySecretError,
    ReembeddingConflictError,
    SwitchedMeanwhileError,
)
from index.gallery import Gallery
from index.one_to_one import compare
from index.protection.secrets import GallerySecrets
from index.reembedding import Reembedding, drop_former, job_under_way, roll_back, way_back
from index.rekeying import Rekeying, check_can_rekey, secrets_in_use
from index.writes import rekeying as writes
from tests.conftest import GalleryOpener
from tests.protected import (
    FACES,
    SIZE,
    answers,
    assert_same_answers,
    enrol_all,
    faces,
    rekey,
    stored_rows,
)

PEOPLE = faces(60)
PROBES = (PEOPLE[::3] + faces(20, seed=1) * np.float32(0.7)).astype(np.float32)
NEXT = EmbeddingContract(id="test:next", size=3, d_max=2.0)

Opener = Callable[..., Gallery]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return tmp_path / "g.secret"


@pytest.fixture
def open_it(open_gallery: GalleryOpener, secret: Path) -> Opener:
    """open_it(protects_new=True) -> the Gallery of this test, with `secret` at hand."""

    def opened(*, protects_new: bool = True, **options: Any) -> Gallery:
        secrets = GallerySecrets(secret, protects_new=protects_new)
        gallery: Gallery = open_gallery(FACES, secrets=secrets, **options)
        return gallery

    return opened


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pages of each kind."""
    monkeypatch.setattr(writes, "REKEYED_AT_ONCE", 16)
    monkeypatch.setattr(writes, "REMOVED_AT_ONCE", 25)


@pytest.fixture
def gallery(open_it: Opener) -> Gallery:
    """Protected, with all PEOPLE."""
    made = open_it()
    enrol_all(made, PEOPLE)
    return made


def likeness(before: dict[tuple[str, int], Any], after: dict[tuple[str, int], Any]) -> float:
    """Largest cosine of the same template's rows, without its sign."""
    ids = {key[0]: row for key, row in after.items()}
    return max(abs(float(row @ ids[key[0]])) for key, row in before.items())


def test_answers_and_ids_stay_and_every_row_is_another(gallery: Gallery, open_it: Opener) -> None:
    expected, held = answers(gallery, PROBES), gallery.templates("s3")
    before, contract = stored_rows(gallery), gallery.contract
    result = rekey(gallery)
    assert_same_answers(answers(gallery, PROBES), expected)
    assert gallery.templates("s3") == held
    assert gallery.crop("s3-0") == b"a crop"
    assert (gallery.contract, gallery.template_count) == (contract, len(PEOPLE))
    after = stored_rows(gallery)
    # Of the former ones none is left.
    assert {key[0] for key in after} == {key[0] for key in before}
    assert len(after) == len(before) == len(PEOPLE)
    assert likeness(before, after) < 6 / SIZE**0.5
    # The same secret, another salt.
    assert result.secret_id == result.former_secret_id
    assert result.former_in_use
    gallery.verify()
    gallery.close()
    assert_same_answers(answers(open_it(), PROBES), expected)


def test_a_new_secret_makes_the_former_one_useless(
    gallery: Gallery, open_it: Opener, secret: Path
) -> None:
    expected = answers(gallery, PROBES)
    (former,) = gallery.galleries.protector.secrets.ids()
    result = rekey(gallery, new_secret=True)
    assert (result.former_secret_id, result.former_in_use) == (former, False)
    assert secrets_in_use(gallery) == {result.secret_id} != {former}
    assert gallery.galleries.protector.secrets.ids() == [result.secret_id, former]
    gallery.close()
    # Without the line of the former one, which nothing needs any more.
    kept = next(line for line in secret.read_text().splitlines() if not line.startswith("#"))
    secret.write_text(f"{kept}\n")
    assert_same_answers(answers(open_it(), PROBES), expected)


def test_a_former_secret_is_in_use_as_long_as_another_collection_needs_it(
    gallery: Gallery,
) -> None:
    galleries = gallery.galleries
    Gallery(galleries, *galleries.view("other", FACES))
    assert rekey(gallery, new_secret=True).former_in_use


def test_a_collection_of_before_is_protected_by_it(open_it: Opener, secret: Path) -> None:
    gallery = open_it(protects_new=False)
    enrol_all(gallery, PEOPLE)
    assert not secret.exists()
    expected, before = answers(gallery, PROBES), stored_rows(gallery)
    result = rekey(gallery)
    assert result.former_secret_id is None
    assert secret.exists()
    assert_same_answers(answers(gallery, PROBES), expected)
    assert likeness(before, stored_rows(gallery)) < 6 / SIZE**0.5


def test_what_lay_there_unprotected_is_in_no_file_any_more(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with Gallery.open(path, FACES) as gallery:
        enrol_all(gallery, PEOPLE)
    before = path.read_bytes()
    assert all(row.tobytes() in before for row in PEOPLE)
    with Gallery.open(path, FACES) as gallery:
        rekey(gallery)
        # While it is open: its log, too.
        files = [file.read_bytes() for file in tmp_path.iterdir()]
        # Some numbers of a row would do.
        pieces = {row.tobytes()[16 * i : 16 * i + 16] for row in PEOPLE for i in range(8)}
        assert not [piece for piece in pieces for content in files if piece in content]


def test_an_empty_collection_can_be_re_keyed(open_it: Opener) -> None:
    gallery = open_it()
    rekey(gallery)
    enrol_all(gallery, PEOPLE[:2])
    assert answers(gallery, PEOPLE[:1])[0][0][0] == "s0"


def test_whoever_comes_and_goes_meanwhile_is_there_or_gone(gallery: Gallery) -> None:
    new = faces(4, seed=9)
    job = Rekeying.begin(gallery)
    pages = job.rekey()
    next(pages)
    gallery.enroll(new[:1], subject_id="early")
    gallery.remove_subject("s0")  # Made anew already.
    gallery.remove_template("s29-0")  # Not yet.
    gallery.merge_subjects("s1", into="s2")
    for _ in pages:
        pass
    gallery.enroll(new[1:2], subject_id="late")
    gallery.remove_subject("s3")
    gallery.merge_subjects("s4", into="s5")
    expected = answers(gallery, np.concatenate([PROBES, new[:2]]))
    job.switch(gallery)
    gallery.enroll(new[2:3], subject_id="after")
    assert_same_answers(
        [[c for c in one if c[0] != "after"][:4] for one in answers(gallery, both(new), 6)],
        [one[:4] for one in expected],
    )
    for _ in job.clean():
        gallery.verify()
    ids = {key[0] for key in stored_rows(gallery)}
    assert len(ids) == gallery.template_count == len(PEOPLE) - 2 - 1 - 2 + 3
    assert {"s0-0", "s29-0", "s3-1"} & ids == set()
    for name in ("early", "late", "after"):
        row = new[["early", "late", "after"].index(name)]
        assert answers(gallery, row[None])[0][0][0] == name
    gallery.verify()


def both(new: np.ndarray) -> np.ndarray:
    return np.concatenate([PROBES, new[:2]])


@pytest.mark.parametrize("scoring", ["best", "mean"])
def test_means_of_files_are_right_too(tmp_path: Path, scoring: Any) -> None:
    with Gallery.open(
        tmp_path / "m.db", FACES, scoring=scoring, secrets=GallerySecrets(tmp_path / "s")
    ) as gallery:
        enrol_all(gallery, PEOPLE)
        expected = answers(gallery, PROBES)
        job = Rekeying.begin(gallery)
        gallery.enroll(PEOPLE[:1], subject_id="s7", template_ids=["late"])
        gallery.remove_template("late")
        job.switch(gallery)
        for _ in job.clean():
            pass
        assert_same_answers(answers(gallery, PROBES), expected)
        gallery.verify()


def test_searches_and_verifications_under_way_at_the_switch_are_answered(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has read the shortlist, and then finds its rows gone."""
    expected = answers(gallery, PROBES)
    held = compare(gallery, "s3", PROBES[0]).candidate
    assert held is not None
    twin = gallery.twin()
    real, calls = Gallery._truth, []

    def truth(self: Gallery, of: Any, numbers: Any) -> Any:
        if not calls:
            calls.append(of)
            thread = threading.Thread(target=rekey, args=(gallery,))
            thread.start()
            thread.join()
        return real(self, of, numbers)

    monkeypatch.setattr(Gallery, "_truth", truth)
    # The twin is what a request has that began before.
    assert_same_answers(answers(twin, PROBES), expected)
    assert calls
    candidate = compare(twin, "s3", PROBES[0]).candidate
    assert candidate is not None
    assert candidate.similarity == pytest.approx(held.similarity, abs=1e-6)
    twin.enroll(faces(1, seed=3), subject_id="by-the-twin")
    assert answers(gallery, faces(1, seed=3))[0][0][0] == "by-the-twin"
    twin.remove_subject("by-the-twin")
    assert_same_answers(answers(gallery, PROBES), expected)


@pytest.mark.parametrize("done", ["nothing", "a page", "all", "switched", "partly removed"])
def test_after_an_end_in_between_the_same_goes_on(
    gallery: Gallery, open_it: Opener, done: str
) -> None:
    expected, before = answers(gallery, PROBES), stored_rows(gallery)
    job = Rekeying.begin(gallery)
    if done != "nothing":
        pages = job.rekey()
        next(pages)
        if done != "a page":
            list(pages)
    if done in ("switched", "partly removed"):
        job.switch(gallery)
    if done == "partly removed":
        next(job.clean())
    made = len(stored_rows(gallery)) - len(PEOPLE)
    gallery.close()
    again = open_it()
    assert_same_answers(answers(again, PROBES), expected)
    second = Rekeying.begin(again)
    if done == "a page":
        # What was made stays.
        assert made == 16
        assert second.of.protection.label == job.of.protection.label
        assert len(stored_rows(again)) == len(PEOPLE) + made
    list(second.rekey())
    second.switch(again)
    list(second.clean())
    after = stored_rows(again)
    assert len(after) == len(PEOPLE)
    assert likeness(before, after) < 6 / SIZE**0.5
    assert_same_answers(answers(again, PROBES), expected)
    again.verify()


def test_one_of_a_former_secret_gives_way(gallery: Gallery, open_it: Opener, secret: Path) -> None:
    job = Rekeying.begin(gallery)
    list(job.rekey())
    gallery.close()
    again = open_it()
    result = rekey(again, new_secret=True)
    assert secrets_in_use(again) == {result.secret_id}
    assert len(stored_rows(again)) == len(PEOPLE)
    with pytest.raises(ReembeddingConflictError, match="was ended, or begun anew"):
        Rekeying(again, job.of).switch(again)


def test_it_and_a_re_embedding_keep_out_of_each_others_way(gallery: Gallery) -> None:
    job = Reembedding.begin(gallery, NEXT)
    secrets = gallery.galleries.protector.secrets.ids()
    for ask in (check_can_rekey, partial(Rekeying.begin, new_secret=True)):
        with pytest.raises(ReembeddingConflictError, match="is being re-embedded: finish that"):
            ask(gallery)
    # None was made that nobody needs.
    assert gallery.galleries.protector.secrets.ids() == secrets
    job.stage({f"s{i // 2}-{i % 2}": unit(i) for i in range(len(PEOPLE))})
    job.switch()
    with pytest.raises(ReembeddingConflictError, match="--drop-former"):
        Rekeying.begin(gallery)
    drop_former(gallery)
    keying = Rekeying.begin(gallery)
    assert job_under_way(gallery) is None
    with pytest.raises(ReembeddingConflictError, match="is being re-keyed"):
        Reembedding.begin(gallery, FACES)
    keying.switch(gallery)
    # Left to be removed, and nothing to go back to.
    assert way_back(gallery) is None
    with pytest.raises(ReembeddingConflictError, match="no former embeddings"):
        roll_back(gallery)
    list(keying.clean())
    with pytest.raises(ReembeddingConflictError, match="no former embeddings"):
        roll_back(gallery)


def unit(n: int) -> np.ndarray:
    """Some different embeddings of NEXT."""
    return np.array([np.cos(n / 10), np.sin(n / 10), 0], dtype=np.float32)


def test_a_re_embedding_of_a_protected_collection_is_protected(gallery: Gallery) -> None:
    job = Reembedding.begin(gallery, NEXT)
    job.stage({f"s{i // 2}-{i % 2}": unit(i) for i in range(len(PEOPLE))})
    job.switch()
    found = gallery.search(unit(6)[None], top_k=1).candidates[0][0]
    assert (found.subject.id, found.template_id) == ("s3", "s3-0")
    assert found.similarity == pytest.approx(1.0, abs=1e-6)
    with gallery.galleries.database.reading() as c:
        rows = c.execute("SELECT embedding FROM templates WHERE id = 's3-0'")
        stored = [c.unpack([row[0]], size=3)[0] for row in rows if len(row[0]) < 4 * SIZE]
    assert abs(float(stored[0] @ unit(6))) < 0.9999
    assert roll_back(gallery)
    assert answers(gallery, PEOPLE[6:7])[0][0][0] == "s3"


def test_without_a_secret_to_write_nothing_is_changed(
    open_gallery: GalleryOpener, tmp_path: Path
) -> None:
    gallery = open_gallery(FACES, secrets=GallerySecrets(tmp_path, protects_new=False))
    enrol_all(gallery, PEOPLE[:4])
    revision = gallery.revision
    with pytest.raises(GallerySecretError):
        Rekeying.begin(gallery)
    assert gallery.revision == revision


def test_another_replica_hears_of_it(
    postgres_dsn: str, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Gallery.open(postgres_dsn, FACES, secrets=GallerySecrets(secret)) as one,
        Gallery.open(postgres_dsn, FACES, secrets=GallerySecrets(secret)) as other,
    ):
        enrol_all(one, PEOPLE)
        expected = answers(other, PROBES)
        rekey(one)
        for ask in (
            lambda: answers(other, PROBES),
            lambda: compare(other, "s3", PROBES[0]),
            lambda: other.enroll(PEOPLE[:1]),
        ):
            with pytest.raises(SwitchedMeanwhileError):
                ask()
        # As the service does it.
        other.galleries.release(other.number)
        again = Gallery(other.galleries, *other.galleries.view("default", FACES))
        assert_same_answers(answers(again, PROBES), expected)
