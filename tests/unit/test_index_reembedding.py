"""Re-embedding: stage, switch, roll back, drop; in a file and in PostgreSQL."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    ContractMismatchError,
    GalleryError,
    MissingTemplatesError,
    ReembeddingEndedError,
    SubjectNotFoundError,
    SwitchedMeanwhileError,
    TemplateNotFoundError,
)
from index.gallery import Gallery
from index.reembedding import PendingTemplate, Reembedding, drop_former, roll_back, way_back
from index.scoring import ScoringName
from tests.conftest import CONTRACT, UNIT, GalleryOpener

NEXT = EmbeddingContract(id="test:next", size=2, d_max=2.0)
THIRD = EmbeddingContract(id="test:third", size=3, d_max=2.0)


def turned(n: int) -> np.ndarray:
    """The n-th of some different embeddings of NEXT, float32 (2,)."""
    return np.array([np.cos(n / 10), np.sin(n / 10)], dtype=np.float32)


def stage_all(job: Reembedding, embed: Callable[[int], np.ndarray] = turned) -> list[str]:
    """Stage every pending template by its place in the order; their ids."""
    pending = [template for page in job.pending() for template in page]
    job.stage({template.id: embed(n) for n, template in enumerate(pending)})
    return [template.id for template in pending]


def found(gallery: Gallery, probe: np.ndarray) -> list[tuple[str, str]]:
    (candidates,) = gallery.search(probe[None], top_k=9).candidates
    return [(c.subject.id, c.template_id) for c in candidates]


def enrolled(gallery: Gallery) -> dict[str, tuple[str, ...]]:
    """Ann with two templates and Bob with one, by their template ids."""
    ann = gallery.enroll(UNIT[:2], subject_id="ann", name="Ann", crops=[b"1", None])
    bob = gallery.enroll(UNIT[2:3], subject_id="bob", external_id="7", crops=[b"3"])
    return {"ann": ann.template_ids, "bob": bob.template_ids}


def test_a_switch_keeps_names_and_ids_and_searches_the_new_embeddings(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    pending = [template for page in job.pending() for template in page]
    assert [(t.id, t.subject_id, t.crop) for t in pending] == [
        (ids["ann"][0], "ann", b"1"),
        (ids["ann"][1], "ann", None),
        (ids["bob"][0], "bob", b"3"),
    ]
    progress = job.progress()
    assert (progress.searched, progress.staged, progress.missing) == (3, 0, 3)
    assert progress.subjects_without == ("ann", "bob")
    held = gallery.templates("ann")
    assert stage_all(job) == [t.id for t in pending]
    assert list(job.pending()) == []
    progress = job.progress()
    assert (progress.staged, progress.missing, progress.subjects_without) == (3, 0, ())
    # Until the switch nothing that anybody sees has changed.
    assert gallery.contract == CONTRACT
    assert found(gallery, UNIT[2])[0] == ("bob", ids["bob"][0])
    assert gallery.subject("ann").template_count == 2
    gallery.verify()
    revision = gallery.revision
    assert job.switch() == revision + 1 == gallery.revision
    assert gallery.contract == NEXT
    assert found(gallery, turned(2)) == [("bob", ids["bob"][0]), ("ann", ids["ann"][1])]
    assert gallery.subject("ann").name == "Ann"
    assert gallery.templates("ann") == held
    assert gallery.crop(ids["ann"][0]) == b"1"
    with pytest.raises(ValueError, match="Probes"):
        gallery.search(UNIT, top_k=1)
    with pytest.raises(ValueError, match="Embeddings"):
        gallery.enroll(UNIT)
    assert gallery.enroll(turned(9)[None], subject_id="ann").subject.template_count == 3
    gallery.verify()


def test_a_switched_gallery_is_reopened_under_its_new_contract(open_gallery: GalleryOpener) -> None:
    with open_gallery() as gallery:
        ids = enrolled(gallery)
        job = Reembedding.begin(gallery, NEXT)
        stage_all(job)
        job.switch()
    with pytest.raises(ContractMismatchError):
        open_gallery(CONTRACT)
    with open_gallery(NEXT) as gallery:
        assert found(gallery, turned(0))[0] == ("ann", ids["ann"][0])
        gallery.verify()


def test_a_reembedding_goes_on_after_an_interruption(open_gallery: GalleryOpener) -> None:
    with open_gallery() as gallery:
        ids = enrolled(gallery)
        Reembedding.begin(gallery, NEXT).stage({ids["ann"][1]: turned(1)})
    with open_gallery() as gallery:
        gallery.enroll(UNIT[3:], subject_id="cy")
        job = Reembedding.begin(gallery, NEXT)
        assert job.progress().staged == 1
        pending = [template.subject_id for page in job.pending() for template in page]
        assert pending == ["ann", "bob", "cy"]
        # Staged twice is staged once: the first stays.
        job.stage({ids["ann"][1]: turned(7)})
        stage_all(job)
        job.switch()
        assert found(gallery, turned(1))[0] == ("ann", ids["ann"][1])
        gallery.verify()


def test_pages_of_pending_templates_bring_each_once(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.reembedding._PAGE_TEMPLATES", 2)
    ids = [gallery.enroll(UNIT[:1]).template_ids[0] for _ in range(5)]
    job = Reembedding.begin(gallery, NEXT)
    seen = []
    for page in job.pending():
        seen += [template.id for template in page]
        job.stage({page[0].id: turned(0)})
    assert seen == ids
    assert [t.id for page in job.pending() for t in page] == [ids[1], ids[3]]


def test_what_is_removed_meanwhile_is_gone_after_the_switch(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    cy = gallery.enroll(UNIT[3:], subject_id="cy").template_ids
    job = Reembedding.begin(gallery, NEXT)
    stage_all(job)
    gallery.remove_subject("bob")
    gallery.remove_template(ids["ann"][0])
    gallery.merge_subjects("cy", into="ann")
    job.stage({ids["bob"][0]: turned(5)})
    job.switch()
    assert found(gallery, turned(3)) == [("ann", cy[0])]
    assert {template.id for template in gallery.templates("ann")} == {ids["ann"][1], cy[0]}
    gallery.verify()


def test_a_subject_without_new_templates_stops_the_switch_unless_allowed(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    job.stage({ids["ann"][0]: turned(0)})
    revision = gallery.revision
    with pytest.raises(GalleryError, match=r"1 subjects have no template.*'bob'"):
        job.switch()
    assert (gallery.revision, gallery.contract) == (revision, CONTRACT)
    assert found(gallery, UNIT[2])[0][0] == "bob"
    job.switch(allow_missing=True)
    assert gallery.subject("bob").template_count == 0
    assert (gallery.subject_count, gallery.template_count) == (2, 1)
    assert found(gallery, turned(0)) == [("ann", ids["ann"][0])]
    gallery.verify()


def test_new_photos_are_staged_under_new_ids(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    for _ in range(2):
        job.stage_new("ann", {"a" * 32: turned(0), "b" * 32: turned(1)})
    with pytest.raises(SubjectNotFoundError, match="'nobody'"):
        job.stage_new("nobody", {"c" * 32: turned(2)})
    job.stage({ids["bob"][0]: turned(3)})
    job.switch()
    assert [template.id for template in gallery.templates("ann")] == ["a" * 32, "b" * 32]
    with pytest.raises(TemplateNotFoundError):
        gallery.remove_template(ids["ann"][0])
    assert gallery.crop(ids["ann"][0]) is None
    gallery.verify()


def test_wrong_embeddings_are_not_staged(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    for wrong in (UNIT[0], turned(0) * np.float32(np.nan)):
        with pytest.raises(ValueError, match="Embeddings"):
            job.stage({ids["ann"][0]: wrong})
    assert job.progress().staged == 0


def test_rolling_back_searches_the_former_embeddings_again(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    stage_all(job)
    job.switch()
    late = gallery.enroll(turned(9)[None], subject_id="late").template_ids
    gallery.remove_subject("bob")
    revision = gallery.revision
    assert roll_back(gallery) == revision + 1 == gallery.revision
    assert gallery.contract == CONTRACT
    assert found(gallery, UNIT[0]) == [("ann", ids["ann"][0])]
    assert gallery.subject("late").template_count == 0
    gallery.verify()
    with pytest.raises(GalleryError, match="no former embeddings"):
        roll_back(gallery)
    # Going forward again needs nothing to be embedded anew.
    job = Reembedding.begin(gallery, NEXT)
    assert list(job.pending()) == []
    job.switch()
    assert found(gallery, turned(9))[0] == ("late", late[0])
    gallery.verify()


def test_dropping_the_former_embeddings_closes_the_way_back(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    job.stage_new("ann", {"a" * 32: turned(0)})
    job.stage({ids["bob"][0]: turned(1)})
    job.switch()
    drop_former(gallery)
    with pytest.raises(GalleryError, match="no former embeddings"):
        roll_back(gallery)
    for table, rows in (("templates", 2), ("crops", 1)):
        sql = f"SELECT count(*) FROM {table}"
        assert gallery.read(lambda scope, sql=sql: scope.c.execute(sql)) == [(rows,)]
    assert gallery.crop(ids["bob"][0]) == b"3"
    gallery.verify()


def test_an_abandoned_reembedding_leaves_nothing(gallery: Gallery) -> None:
    enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    stage_all(job)
    job.abandon()
    sql = "SELECT count(*) FROM templates"
    assert gallery.read(lambda scope: scope.c.execute(sql)) == [(3,)]
    with pytest.raises(ContractMismatchError):
        job.stage({})
    with pytest.raises(GalleryError, match="have no template for the new bundle"):
        job.switch()
    with pytest.raises(ContractMismatchError):
        job.switch(allow_missing=True)
    assert gallery.contract == CONTRACT
    assert Reembedding.begin(gallery, THIRD).progress().missing == 3
    gallery.verify()


def test_one_reembedding_at_a_time_and_none_to_where_it_is_or_was(gallery: Gallery) -> None:
    enrolled(gallery)
    with pytest.raises(GalleryError, match="nothing to re-embed"):
        Reembedding.begin(gallery, CONTRACT)
    job = Reembedding.begin(gallery, NEXT)
    with pytest.raises(GalleryError, match="another bundle"):
        Reembedding.begin(gallery, THIRD)
    stage_all(job)
    job.switch()
    with pytest.raises(GalleryError, match="roll back to it"):
        Reembedding.begin(gallery, CONTRACT)
    third = Reembedding.begin(gallery, THIRD)
    with pytest.raises(GalleryError, match="finish that, or abandon it"):
        roll_back(gallery)
    # A second switch keeps one step back and not two.
    stage_all(third, lambda n: np.eye(3, dtype=np.float32)[n])
    third.switch()
    sql = "SELECT count(*) FROM templates"
    assert gallery.read(lambda scope: scope.c.execute(sql)) == [(6,)]
    roll_back(gallery)
    assert gallery.contract == NEXT
    gallery.verify()


def test_a_contract_that_contradicts_itself_is_not_begun(gallery: Gallery) -> None:
    enrolled(gallery)
    Reembedding.begin(gallery, NEXT).abandon()
    with pytest.raises(GalleryError, match="one of them is wrong"):
        Reembedding.begin(gallery, EmbeddingContract(id=NEXT.id, size=3, d_max=2.0))


def test_writes_that_wait_beside_a_switch_are_all_right_afterwards(gallery: Gallery) -> None:
    """They would share its transaction, if the switch were not alone in one."""
    ids = enrolled(gallery)
    cy = gallery.enroll(UNIT[3:], subject_id="cy").template_ids
    job = Reembedding.begin(gallery, NEXT)
    stage_all(job)
    hold, held, faults = threading.Event(), threading.Event(), []

    def wait() -> None:
        held.set()
        assert hold.wait(10)

    def call(write: Callable[[], object]) -> None:
        try:
            write()
        except GalleryError as error:
            faults.append(error)

    threads = [threading.Thread(target=gallery.galleries.queue.exclusively, args=(wait,))]
    threads[0].start()
    assert held.wait(10)
    for n, write in enumerate(
        (
            lambda: gallery.remove_subject("ann"),
            job.switch,
            lambda: gallery.remove_subject("bob"),
            lambda: gallery.enroll(UNIT[:1]),
        )
    ):
        threads.append(threading.Thread(target=call, args=(write,)))
        threads[-1].start()
        while len(gallery.galleries.queue._waiting) <= n:
            threads[-1].join(0.001)
    hold.set()
    for thread in threads:
        thread.join()
    # Only the enrolment was made for what is no longer searched.
    assert [type(fault) for fault in faults] == [SwitchedMeanwhileError]
    assert found(gallery, turned(3)) == [("cy", cy[0])]
    gallery.verify()
    roll_back(gallery)
    assert found(gallery, UNIT[3]) == [("cy", cy[0])]
    assert ids["ann"] != cy
    gallery.verify()


def by_crop(pending: Sequence[PendingTemplate]) -> dict[str, np.ndarray]:
    """Embeddings of NEXT by the number that a picture says, of those that have such a picture."""
    return {t.id: turned(int(t.crop)) for t in pending if t.crop and t.crop.isdigit()}


def test_who_came_in_is_embedded_inside_of_the_switch(gallery: Gallery) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann", crops=[b"1"])
    job = Reembedding.begin(gallery, NEXT)
    stage_all(job)
    late = gallery.enroll(UNIT[1:3], subject_id="bob", crops=[b"5", b"no number"]).template_ids
    bare = gallery.enroll(UNIT[3:], subject_id="cy").template_ids
    asked = [template.id for page in job.pending(with_crop=True) for template in page]
    assert asked == list(late)
    revision = gallery.revision
    with pytest.raises(MissingTemplatesError) as missing:
        job.switch(embed=by_crop)
    assert (missing.value.templates, missing.value.subjects) == (2, ("cy",))
    # Refused, it has staged nobody either.
    assert (gallery.revision, job.progress().staged) == (revision, 1)
    job.switch(embed=by_crop, allow_missing=True)
    assert found(gallery, turned(5))[0] == ("bob", late[0])
    assert gallery.subject("cy").template_count == 0
    gallery.verify()
    assert bare != late


def test_every_template_counts_where_the_late_are_embedded(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    job.stage({ids["ann"][1]: turned(1), ids["bob"][0]: turned(2)})
    with pytest.raises(MissingTemplatesError, match="1 templates are missing"):
        job.switch(embed=lambda pending: {})
    job.switch()


def test_who_came_in_since_the_switch_is_embedded_inside_of_the_way_back(gallery: Gallery) -> None:
    ids = enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    assert way_back(gallery) is None
    stage_all(job)
    job.switch()
    late = gallery.enroll(turned(9)[None], subject_id="late", crops=[b"3"]).template_ids
    back = way_back(gallery)
    assert back is not None
    assert (back.contract, back.count(), back.progress().missing) == (CONTRACT, 3, 1)
    with pytest.raises(MissingTemplatesError, match="'late'"):
        roll_back(gallery, allow_missing=False)
    roll_back(
        gallery,
        allow_missing=False,
        embed=lambda pending: {t.id: UNIT[int(t.crop or b"")] for t in pending},
    )
    assert found(gallery, UNIT[3])[0] == ("late", late[0])
    assert found(gallery, UNIT[2])[0] == ("bob", ids["bob"][0])
    gallery.verify()


def test_a_twin_stays_where_it_was_and_writes_no_longer(gallery: Gallery) -> None:
    """Also after the way back, when it is of the contract that is searched again."""
    ids = enrolled(gallery)
    twin = gallery.twin()
    job = Reembedding.begin(gallery, NEXT)
    stage_all(job)
    for change in (job.switch, lambda: roll_back(gallery)):
        change()
        assert twin.contract == CONTRACT
        for write in (
            lambda: twin.enroll(UNIT[3:], subject_id="cy"),
            lambda: twin.remove_subject("ann"),
        ):
            with pytest.raises(SwitchedMeanwhileError):
                write()
    assert found(twin, UNIT[2])[0] == ("bob", ids["bob"][0])
    gallery.enroll(UNIT[3:], subject_id="cy")
    assert found(gallery, UNIT[3])[0][0] == "cy"
    gallery.verify()


def test_going_back_to_what_is_no_longer_there_is_refused(gallery: Gallery) -> None:
    enrolled(gallery)
    job = Reembedding.begin(gallery, NEXT)
    stage_all(job)
    job.switch()
    back = way_back(gallery)
    assert back is not None
    drop_former(gallery)
    with pytest.raises(ReembeddingEndedError):
        back.stage({})


@pytest.mark.parametrize("scoring", ["best", "mean"])
def test_a_file_of_either_scoring_can_be_switched_and_rolled_back(
    tmp_path_factory: pytest.TempPathFactory, scoring: ScoringName
) -> None:
    path = tmp_path_factory.mktemp("gallery") / "g.db"
    with Gallery.open(path, CONTRACT, scoring=scoring) as gallery:
        enrolled(gallery)
        before = gallery.search(UNIT, top_k=9).candidates
        job = Reembedding.begin(gallery, NEXT)
        stage_all(job)
        job.switch()
        gallery.verify()
        assert [s for s, _ in found(gallery, turned(2))] == ["bob", "ann"]
        roll_back(gallery)
        gallery.verify()
        assert gallery.search(UNIT, top_k=9).candidates == before
