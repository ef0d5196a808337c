"""What was removed is in no file any more, while the gallery is still open."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryUnavailableError
from index.gallery import Gallery
from index.reembedding import Reembedding, drop_former
from index.scoring import ScoringName

SIZE = 32
CONTRACT = EmbeddingContract(id="test:a", size=SIZE, d_max=8.0)
NEXT = EmbeddingContract(id="test:next", size=SIZE, d_max=8.0)
SECRETS = np.random.default_rng(7).standard_normal((2, SIZE)).astype(np.float32)
OTHERS = np.random.default_rng(8).standard_normal((40, SIZE)).astype(np.float32)
CROP = np.random.default_rng(9).bytes(20_000)
NAME, NUMBER = "Annabel Secret", "staff-4711-secret"

# What may be left, and the bytes that tell of it.
TRACES = {
    "vector": SECRETS[0].tobytes(),
    "other vector": SECRETS[1].tobytes(),
    # The first page of it, and the last.
    "crop": CROP[:64],
    "crop's end": CROP[-64:],
    "name": NAME.encode(),
    "external id": NUMBER.encode(),
}
HALVES = {"half": SECRETS[0].astype(np.float16).tobytes()}
ALL = set(TRACES)


def traces(folder: Path, of: dict[str, bytes] = TRACES) -> set[str]:
    """Which traces are in any of the files of the gallery."""
    left = [path.read_bytes() for path in folder.iterdir()]
    assert left
    return {what for what, needle in of.items() if any(needle in data for data in left)}


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """The secret subject `ann` amid others."""
    with Gallery.open(tmp_path / "g.db", CONTRACT) as opened:
        enrol_all(opened)
        yield opened


def enrol_all(gallery: Gallery) -> None:
    for n, row in enumerate(OTHERS):
        gallery.enroll(row[None], subject_id=f"s{n}", name=f"Other {n}", crops=[CROP[65:900]])
        if n == len(OTHERS) // 2:
            gallery.enroll(
                SECRETS, subject_id="ann", name=NAME, external_id=NUMBER, crops=[CROP, None]
            )


def remove_both_templates(gallery: Gallery) -> None:
    for template in gallery.templates("ann"):
        gallery.remove_template(template.id)


def expire(gallery: Gallery) -> None:
    gallery.update_subject("ann", expires_at="2020-01-01T00:00:00Z")
    assert gallery.remove_expired() == ("ann",)


def merge(gallery: Gallery) -> None:
    gallery.update_subject("s0", external_id="kept")
    gallery.merge_subjects("ann", into="s0")


def rename(gallery: Gallery) -> None:
    gallery.update_subject("ann", name="A longer name than the one before", external_id=None)


def unname(gallery: Gallery) -> None:
    gallery.update_subject("ann", name=None, external_id="x")


def merge_and_remove(gallery: Gallery) -> None:
    gallery.merge_subjects("ann", into="s0")
    gallery.remove_subject("s0")


@pytest.mark.parametrize(
    ("remove", "left"),
    [
        (lambda gallery: gallery.remove_subject("ann"), set()),
        (lambda gallery: gallery.remove_template(gallery.templates("ann")[0].id),
         {"other vector", "name", "external id"}),
        (remove_both_templates, {"name", "external id"}),
        (expire, set()),
        (merge, ALL - {"name", "external id"}),
        (merge_and_remove, set()),
        (rename, ALL - {"name", "external id"}),
        (unname, ALL - {"name", "external id"}),
    ],
    ids=["subject", "template", "templates", "expired", "merged", "merged and removed", "renamed",
         "unnamed"],
)  # fmt: skip
def test_a_removal_leaves_nothing_in_any_file_of_the_open_gallery(
    gallery: Gallery, tmp_path: Path, remove: Callable[[Gallery], object], left: set[str]
) -> None:
    assert traces(tmp_path) == ALL
    assert (tmp_path / "g.db-wal").stat().st_size > 0
    remove(gallery)
    assert traces(tmp_path) == left
    gallery.verify()
    gallery.close()
    assert traces(tmp_path) == left


def test_a_removed_collection_leaves_nothing(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT, collection="gone") as gallery:
        enrol_all(gallery)
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert traces(tmp_path) == ALL
        gallery.galleries.remove_collection("gone")
        assert traces(tmp_path) == set()


def switched(gallery: Gallery) -> None:
    """Embed everybody anew; of `ann` by a further photo, without the former ones."""
    job = Reembedding.begin(gallery, NEXT)
    job.stage_new("ann", {"a" * 32: OTHERS[0]})
    pending = [template for page in job.pending() for template in page]
    job.stage({t.id: -OTHERS[0] for t in pending if t.subject_id != "ann"})
    job.switch()


def test_embeddings_that_a_switch_has_left_are_gone_when_they_are_dropped(
    gallery: Gallery, tmp_path: Path
) -> None:
    switched(gallery)
    assert traces(tmp_path) == ALL
    drop_former(gallery)
    assert traces(tmp_path) == {"name", "external id"}
    gallery.verify()


def test_embeddings_that_a_second_switch_makes_unreachable_are_gone(
    gallery: Gallery, tmp_path: Path
) -> None:
    switched(gallery)
    job = Reembedding.begin(gallery, EmbeddingContract(id="test:third", size=2, d_max=8.0))
    pending = [template for page in job.pending() for template in page]
    job.stage({template.id: np.ones(2, dtype=np.float32) for template in pending})
    assert traces(tmp_path) == ALL
    job.switch()
    assert traces(tmp_path) == {"name", "external id"}


def test_staged_embeddings_go_with_their_subject_and_when_they_are_abandoned(
    tmp_path: Path,
) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        ids = {
            subject: gallery.enroll(OTHERS[:1], subject_id=subject).template_ids[0]
            for subject in ("ann", "bob")
        }
        job = Reembedding.begin(gallery, NEXT)
        job.stage(dict(zip(ids.values(), SECRETS, strict=True)))
        assert traces(tmp_path) == {"vector", "other vector"}
        gallery.remove_subject("ann")
        assert traces(tmp_path) == {"other vector"}
        job.abandon()
        assert traces(tmp_path) == set()


def test_a_removal_beside_a_long_read_is_erased_by_the_next_write(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.galleries.database._writer.raw.set_busy_timeout(20)  # type: ignore[attr-defined]
    with gallery.galleries.database.reading() as c:
        c.execute("SELECT count(*) FROM subjects")
        gallery.remove_subject("ann")
        # Durable and acknowledged, but the reader may still look at it.
        assert c.execute("SELECT count(*) FROM subjects WHERE id = 'ann'") == [(1,)]
        assert traces(tmp_path) == ALL
        gallery.enroll(OTHERS[:1], subject_id="late")
    gallery.enroll(OTHERS[:1], subject_id="later")
    assert traces(tmp_path) == set()


def test_what_a_killed_process_had_not_erased_is_erased_at_opening(tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    killed.mkdir()
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        enrol_all(gallery)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gallery.galleries.database, "erased", lambda: None)
            gallery.remove_subject("ann")
        for name in ("g.db", "g.db-wal"):
            (killed / name).write_bytes((tmp_path / name).read_bytes())
    assert traces(killed) == ALL
    with Gallery.open(killed / "g.db", CONTRACT) as gallery:
        assert gallery.subject_count == len(OTHERS)
        assert traces(killed) == set()


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every gallery is large enough for a snapshot."""
    monkeypatch.setattr("index.memory_searcher.SNAPSHOT_FROM_ROWS", 1)


def snapshots_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if ".index-" in path.name]


@pytest.mark.usefixtures("snapshots")
@pytest.mark.parametrize("remove", [lambda g: g.remove_subject("ann"), remove_both_templates,
                                    expire, lambda g: g.remove_template(g.templates("ann")[0].id)],
                         ids=["subject", "templates", "expired", "template"])  # fmt: skip
def test_a_snapshot_is_gone_before_a_removal_returns(
    tmp_path: Path, remove: Callable[[Gallery], object]
) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        enrol_all(gallery)
        assert traces(tmp_path, HALVES) == set()
    assert len(snapshots_in(tmp_path)) == 1
    assert traces(tmp_path, HALVES) == {"half"}
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        # Opening and searching leaves it where it is: it is true.
        assert gallery.search(SECRETS[:1], top_k=1).candidates[0][0].subject.id == "ann"
        assert len(snapshots_in(tmp_path)) == 1
        remove(gallery)
        assert snapshots_in(tmp_path) == []
        assert traces(tmp_path, HALVES | {"vector": TRACES["vector"]}) == set()
    # The next one has it no more.
    assert len(snapshots_in(tmp_path)) == 1
    assert traces(tmp_path, HALVES) == set()
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        gallery.verify()


@pytest.mark.usefixtures("snapshots")
def test_a_snapshot_of_means_is_gone_too(tmp_path: Path) -> None:
    means: ScoringName = "mean"
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring=means) as gallery:
        gallery.enroll(SECRETS[:1], subject_id="ann")
        gallery.enroll(OTHERS, subject_id="bob")
    assert traces(tmp_path, HALVES) == {"half"}
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring=means) as gallery:
        gallery.verify()
        gallery.remove_subject("ann")
        assert traces(tmp_path, HALVES) == set()


@pytest.mark.usefixtures("snapshots")
def test_the_snapshot_of_a_removed_collection_is_gone(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT, collection="gone") as gallery:
        enrol_all(gallery)
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert traces(tmp_path, HALVES) == {"half"}
        gallery.galleries.remove_collection("gone")
        assert traces(tmp_path, HALVES) == set()


@pytest.mark.usefixtures("snapshots")
def test_the_snapshot_of_what_a_switch_has_left_is_gone_with_it(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        enrol_all(gallery)
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert traces(tmp_path, HALVES) == {"half"}
        switched(gallery)
        assert traces(tmp_path, HALVES) == set()
    with Gallery.open(tmp_path / "g.db", NEXT) as gallery:
        gallery.verify()
        assert gallery.search(OTHERS[:1], top_k=1).candidates[0][0].subject.id == "ann"


@pytest.mark.usefixtures("snapshots")
def test_an_outdated_snapshot_is_neither_believed_nor_kept(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        enrol_all(gallery)
    (snapshot,) = snapshots_in(tmp_path)
    kept = snapshot.read_bytes()
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        gallery.remove_subject("ann")
    snapshot.write_bytes(kept)
    assert traces(tmp_path, HALVES) == {"half"}
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert traces(tmp_path, HALVES) == set()
        gallery.verify()


@pytest.mark.usefixtures("snapshots")
def test_no_snapshot_is_written_of_an_index_that_missed_a_removal(tmp_path: Path) -> None:
    def fail(change: object) -> None:
        raise MemoryError

    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        enrol_all(gallery)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gallery._view.searcher, "show", fail)
            with pytest.raises(MemoryError):
                gallery.remove_subject("ann")
    assert snapshots_in(tmp_path) == []
    assert traces(tmp_path, HALVES) == set()
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert gallery.subject_count == len(OTHERS)
        assert traces(tmp_path) == set()


@pytest.mark.usefixtures("snapshots")
def test_a_write_is_refused_while_the_snapshot_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        enrol_all(gallery)
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:

        def refuse(path: Path, *, missing_ok: bool = False) -> None:
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", refuse)
            with pytest.raises(GalleryUnavailableError, match="outdated snapshot"):
                gallery.remove_subject("ann")
        assert gallery.subject("ann").template_count == 2
        gallery.verify()
        gallery.remove_subject("ann")
        assert traces(tmp_path, HALVES | TRACES) == set()
