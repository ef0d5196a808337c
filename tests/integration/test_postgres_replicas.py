"""Several replicas on one PostgreSQL: what one has done is what all others answer from then on."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks import kill_postgres
from benchmarks.postgres_server import PostgresServer
from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    CollectionNotFoundError,
    ContractMismatchError,
    GalleryUnavailableError,
    SubjectConflictError,
    SubjectNotFoundError,
)
from index import postgres_hnsw
from index.galleries import Galleries
from index.gallery import Gallery
from index.postgres import PostgresDatabase
from index.protection.secrets import GallerySecrets
from index.records import Embeddings
from index.reembedding import Reembedding, roll_back

CONTRACT = EmbeddingContract(id="test:a", size=16, d_max=2.0)
OTHER = EmbeddingContract(id="test:b", size=24, d_max=2.0)

ReplicaMaker = Callable[[], Gallery]


@pytest.fixture
def replica(postgres_dsn: str) -> Iterator[ReplicaMaker]:
    """replica() -> Gallery of one more replica on the database of this test."""
    opened: list[Gallery] = []

    def make() -> Gallery:
        opened.append(Gallery.open(postgres_dsn, CONTRACT))
        return opened[-1]

    yield make
    for gallery in opened:
        gallery.close()


def unit_rows(count: int, seed: int, size: int = 16) -> Embeddings:
    rows = np.random.default_rng(seed).standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def found(gallery: Gallery, probe_1D: Embeddings) -> list[tuple[str, float]]:
    (candidates,) = gallery.search(probe_1D, top_k=3).candidates
    return [(candidate.subject.id, candidate.similarity) for candidate in candidates]


def test_what_one_replica_wrote_all_others_answer_at_once(replica: ReplicaMaker) -> None:
    first, second = replica(), replica()
    for number in range(20):
        writer, reader = (first, second) if number % 2 else (second, first)
        rows = unit_rows(2, number)
        done = writer.enroll(rows, subject_id=f"s{number}", name="Ann")
        assert found(reader, rows[1:])[0] == (f"s{number}", 1.0)
        assert reader.revision == reader.search(rows, top_k=1).revision == done.revision
        assert reader.subject(f"s{number}").name == "Ann"
        writer.update_subject(f"s{number}", name="Bea")
        assert reader.search(rows, top_k=1).candidates[0][0].subject.name == "Bea"
        assert writer.remove_subject(f"s{number}") == done.revision + 2 == reader.revision
        assert found(reader, rows[:1]) == []
        with pytest.raises(SubjectNotFoundError):
            reader.subject(f"s{number}")
    assert first.subject_count == second.subject_count == 0


def test_who_was_removed_is_not_found_while_others_search(replica: ReplicaMaker) -> None:
    writer, readers = replica(), [replica(), replica()]
    rows = unit_rows(60, seed=1)
    for number, row in enumerate(rows):
        writer.enroll(row[None], subject_id=f"s{number}")
    removed: set[str] = set()
    stop = threading.Event()

    def search(reader: Gallery) -> int:
        searches = 0
        while not stop.is_set():
            gone = set(removed)  # Acknowledged before the search was asked for.
            answers = reader.search(rows[::20], top_k=5).candidates
            assert not gone & {c.subject.id for candidates in answers for c in candidates}
            searches += 1
        return searches

    with ThreadPoolExecutor(len(readers)) as pool:
        running = [pool.submit(search, reader) for reader in readers]
        try:
            for number in range(60):
                time.sleep(0.01)
                writer.remove_subject(f"s{number}")
                removed.add(f"s{number}")
        finally:
            stop.set()
        assert min(one.result() for one in running) > 3


def test_replicas_that_write_at_once_count_one_revision(replica: ReplicaMaker) -> None:
    replicas = [replica() for _ in range(3)]

    def write(job: int) -> list[int]:
        gallery = replicas[job % 3]
        revisions = []
        for number in range(12):
            subject_id = f"w{job}-{number}"
            revisions.append(gallery.enroll(unit_rows(1, job), subject_id=subject_id).revision)
            if number % 3 == 0:
                revisions.append(gallery.remove_subject(subject_id))
        return revisions

    with ThreadPoolExecutor(6) as pool:
        of_each = list(pool.map(write, range(6)))
    # Upwards for each caller, and each number given out once, without gaps.
    assert all(revisions == sorted(revisions) for revisions in of_each)
    assert sorted(r for revisions in of_each for r in revisions) == list(range(1, 6 * 16 + 1))
    for gallery in replicas:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (96, 48, 48)
        gallery.verify()


def test_replicas_that_open_at_once_make_one_collection(
    replica: ReplicaMaker, postgres_dsn: str
) -> None:
    with ThreadPoolExecutor(5) as pool:
        opened = list(pool.map(lambda _: replica(), range(5)))
    assert len({gallery.number for gallery in opened}) == 1
    with pytest.raises(ContractMismatchError):
        Gallery.open(postgres_dsn, OTHER)


def test_one_external_id_is_one_subject_whoever_was_first(replica: ReplicaMaker) -> None:
    replicas = [replica() for _ in range(4)]
    barrier = threading.Barrier(4)

    def enrol(gallery: Gallery) -> str:
        barrier.wait()
        return gallery.enroll(unit_rows(1, 1), external_id="card-1").subject.id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(enrol, replicas))) == 1
    assert replicas[0].subject_count == 1
    with pytest.raises(SubjectConflictError):
        replicas[1].enroll(unit_rows(1, 1), subject_id="other", external_id="card-1")


def test_a_replica_notices_that_another_switched_the_bundle(replica: ReplicaMaker) -> None:
    first, second = replica(), replica()
    (template_id,) = first.enroll(unit_rows(1, 1), subject_id="ann").template_ids
    job = Reembedding.begin(first, OTHER)
    new = unit_rows(1, 2, size=24)
    job.stage({template_id: new[0]})
    assert found(second, unit_rows(1, 1)) == [("ann", 1.0)]
    job.switch()
    assert found(first, new) == [("ann", 1.0)]
    for call in (
        lambda: second.search(unit_rows(1, 1), top_k=1),
        lambda: second.enroll(unit_rows(1, 1), subject_id="bob"),
    ):
        with pytest.raises(ContractMismatchError) as caught:
            call()
        assert caught.value.gallery_contract_id == OTHER.id
    roll_back(first)
    assert found(first, unit_rows(1, 1)) == found(second, unit_rows(1, 1)) == [("ann", 1.0)]


def test_a_replica_notices_that_another_removed_the_collection(replica: ReplicaMaker) -> None:
    first, second = replica(), replica()
    first.enroll(unit_rows(1, 1), subject_id="ann")
    first.galleries.remove_collection(first.collection_id)
    for call in (
        lambda: second.search(unit_rows(1, 1), top_k=1),
        lambda: second.enroll(unit_rows(1, 1), subject_id="bob"),
        lambda: second.subject("ann"),
    ):
        with pytest.raises(CollectionNotFoundError):
            call()


def test_a_large_collection_is_searched_by_its_index_and_forgets_at_once(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_hnsw, "_LOOK_EVERY_S", 0.0)

    def opened() -> Gallery:
        database = PostgresDatabase.open(postgres_dsn, hnsw_from_templates=100)
        galleries = Galleries(
            database,
            tier="auto",
            scoring="best",
            secrets=GallerySecrets(Path("no.secret"), protects_new=False),
        )
        return Gallery(galleries, *galleries.view("default", CONTRACT))

    rows = unit_rows(300, seed=5)
    with opened() as first, opened() as second:
        for number in range(100):
            first.enroll(rows[3 * number : 3 * number + 3], subject_id=f"s{number}")
        database = first.galleries.database
        assert isinstance(database, PostgresDatabase)
        database.settle()
        first.enroll(unit_rows(1, 6), subject_id="last")
        database.settle()
        with database.reading() as c:
            valid = c.execute(
                "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(?)",
                (postgres_hnsw.index_name(first.number, 1),),
            )
        assert valid == [(True,)]
        for number in range(0, 100, 9):
            probe = rows[3 * number : 3 * number + 1]
            assert found(second, probe)[0] == (f"s{number}", 1.0)
            first.remove_subject(f"s{number}")
            assert f"s{number}" not in [subject_id for subject_id, _ in found(second, probe)]
            first.enroll(probe, subject_id=f"again{number}")
            assert found(second, probe)[0] == (f"again{number}", 1.0)


def test_a_server_that_is_killed_loses_nothing_that_was_acknowledged() -> None:
    findings, acknowledged, waits = kill_postgres.run(rounds=2, seed=0, in_memory=True)
    assert not findings.bad(), findings
    assert acknowledged > 0
    assert max(waits) < kill_postgres.RECOVERY_LIMIT_S


def test_the_proof_sees_acknowledgements_before_the_disk() -> None:
    findings, _, _ = kill_postgres.run(rounds=9, seed=0, asynchronous=True, in_memory=True)
    # What is undone is an enrolment (lost) or a removal (returned), as it falls.
    assert findings.lost + findings.returned
    assert findings.bad()


def test_a_gallery_goes_on_over_the_loss_of_its_connections(
    replica: ReplicaMaker, postgres_server: PostgresServer
) -> None:
    gallery = replica()
    gallery.enroll(unit_rows(1, 1), subject_id="ann")
    postgres_server.stop()
    try:
        for call in (
            lambda: gallery.search(unit_rows(1, 1), top_k=1),
            lambda: gallery.enroll(unit_rows(1, 1), subject_id="bob"),
            lambda: gallery.remove_subject("ann"),
        ):
            with pytest.raises(GalleryUnavailableError, match="cannot be reached"):
                call()
    finally:
        postgres_server.start()
    assert found(gallery, unit_rows(1, 1)) == [("ann", 1.0)]
    assert gallery.enroll(unit_rows(1, 2), subject_id="bob").revision == 2
