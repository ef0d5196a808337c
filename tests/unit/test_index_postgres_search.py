"""Searches in PostgreSQL against plain loops; the HNSW index: built, used, broken off, dropped."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import psycopg
import pytest

from benchmarks.postgres_server import PostgresServer
from contract.similarity import pairwise_similarity
from index import postgres_hnsw
from index.postgres import PostgresDatabase
from index.postgres_hnsw import index_name
from index.postgres_search import Nearest, nearest
from index.records import Embeddings, StoredTemplate, Subject
from index.tables import collections, subjects, templates
from index.tables.templates import UnderContract

FROM_TEMPLATES = 300


@pytest.fixture(scope="module")
def dsn(postgres_server: PostgresServer) -> str:
    """One database for all tests here: each has collections of its own."""
    return postgres_server.create_database()


@pytest.fixture
def database(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresDatabase]:
    """A replica that looks at every call whether there is an index to build."""
    monkeypatch.setattr(postgres_hnsw, "_LOOK_EVERY_S", 0.0)
    opened = PostgresDatabase.open(dsn, hnsw_from_templates=FROM_TEMPLATES)
    yield opened
    opened.close()


def unit_rows(count: int, size: int, seed: int = 0) -> Embeddings:
    rows = np.random.default_rng(seed).standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def fill(
    database: PostgresDatabase, name: str, rows_ND: Embeddings, *, d_max: float = 2.0
) -> UnderContract:
    """A collection of these templates, every three of them of one subject."""
    with database.writing() as c:
        size = rows_ND.shape[1]
        sql = "INSERT INTO contracts (id, embedding_size, d_max) VALUES (?, ?, ?) RETURNING number"
        contract = c.execute(sql, (name, size, d_max))[0][0]
        made = collections.insert_collection(c, name, contract, "t")
        assert made is not None
        collection = made.number
        of = UnderContract(collection=collection, contract=contract, size=size)
        subject = 0
        for i, row in enumerate(rows_ND):
            if i % 3 == 0:
                ann = Subject(
                    id=f"s{i}",
                    name=None,
                    external_id=None,
                    metadata={},
                    template_count=0,
                    created_at="t",
                )
                subject = subjects.insert_subject(c, collection, ann)
            template = StoredTemplate(
                number=0, subject_number=subject, id=f"{name}-{i}", created_at="t", embedding=row
            )
            templates.insert_template(c, of, template)
        collections.count(c, collection, subjects=-(-len(rows_ND) // 3), templates=len(rows_ND))
    return of


def find(
    database: PostgresDatabase, of: UnderContract, probe_D: Embeddings, rows: int, d_max: float = 2
) -> Nearest:
    with database.reading() as c:
        return nearest(c, of.collection, of.contract, of.size, probe_D, rows, d_max=d_max)


def indexes(dsn: str) -> dict[str, bool]:
    """Names of the HNSW indexes, and whether they are valid."""
    with psycopg.connect(dsn) as c:
        rows = c.execute(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE c.relname LIKE 'templates_hnsw_%'"
        ).fetchall()
    return dict(rows)


@pytest.mark.parametrize(("size", "scale"), [(3, 1.0), (128, 1.0), (513, 1e-3), (64, 1e4)])
def test_an_exact_search_lists_the_nearest_and_bounds_the_rest(
    database: PostgresDatabase, size: int, scale: float
) -> None:
    held = unit_rows(200, size, seed=1) * np.float32(scale)
    held[50:60] = held[40]  # Equals.
    of = fill(database, f"exact-{size}", held, d_max=2 * scale)
    fill(database, f"other-{size}", unit_rows(50, size + 1))
    for probe in (held[40], *unit_rows(5, size, seed=2) * np.float32(scale)):
        truth = pairwise_similarity(probe[None], held, 2 * scale)[0]
        for rows in (1, 7, 199, 200, 1_500):
            found = find(database, of, probe, rows, 2 * scale)
            short = found.shortlist
            assert found.exact
            assert len(short.numbers) == len(set(short.numbers)) == min(rows, 200)
            listed = [np.flatnonzero((held == row).all(axis=1)) for row in found.embeddings]
            assert [truth[i[0]] for i in listed] == short.similarities.tolist()
            assert (np.diff(short.similarities) <= 0).all()
            # Nobody who was left out is more similar than that, and the bound is a close one.
            best = np.sort(truth)[::-1]
            np.testing.assert_allclose(short.similarities, best[:rows], rtol=0, atol=1e-6)
            if rows > 200:
                assert short.left_out == -1
            else:
                left = best[min(rows, 199) :]
                assert left.max() <= short.left_out <= short.similarities[-1] + 1e-4


def test_an_empty_collection_has_no_nearest(database: PostgresDatabase) -> None:
    of = fill(database, "empty", unit_rows(0, 8))
    found = find(database, of, unit_rows(1, 8)[0], 10)
    assert (len(found.shortlist.numbers), found.embeddings.shape) == (0, (0, 8))
    assert found.shortlist.left_out == -1


def test_a_large_collection_gets_an_index_which_is_used(
    database: PostgresDatabase, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = unit_rows(2_500, 64, seed=3)
    of = fill(database, "large", rows)
    small = fill(database, "small", rows[: FROM_TEMPLATES - 1])
    probes = rows[:50] + unit_rows(50, 64, seed=4) * np.float32(0.3)
    exact = [find(database, of, probe, 24) for probe in probes]
    for one in (of, small, of):
        database.ensure_index(one.collection, one.contract, one.size)
        database.settle()
    name = index_name(of.collection, of.contract)
    assert indexes(dsn)[name]
    assert index_name(small.collection, small.contract) not in indexes(dsn)
    assert find(database, small, probes[0], 24).exact

    # The plan of the very statement that is sent.
    plans = []
    usual = psycopg.Connection.execute

    def explained(self, query, *args, **settings):  # type: ignore[no-untyped-def]
        if b"ORDER BY" in query:
            # Let the index look dear, as old statistics may.
            usual(self, b"SET LOCAL random_page_cost = 1000000")
            plan = usual(self, b"EXPLAIN " + query, *args, **settings).fetchall()
            plans.append("\n".join(row[0] for row in plan))
        return usual(self, query, *args, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "execute", explained)
        for _ in range(8):  # Beyond the number of times after which plans are kept.
            assert not find(database, of, probes[0], 24).exact
    assert len(plans) == 8
    assert all(f"Index Scan using {name}" in plan for plan in plans)

    hits = 0
    for probe, slow in zip(probes, exact, strict=True):
        found = find(database, of, probe, 24)
        short = found.shortlist
        assert short.left_out == -1
        assert short.numbers[0] == slow.shortlist.numbers[0]
        hits += len(set(short.numbers.tolist()) & set(slow.shortlist.numbers.tolist()))
        truth = pairwise_similarity(probe[None], found.embeddings, 2.0)[0]
        assert truth.tolist() == short.similarities.tolist()
    assert hits / (24 * len(probes)) > 0.95
    # More than the index keeps in view is looked for exactly.
    everything = find(database, of, probes[0], 5_000)
    assert everything.exact
    assert len(everything.shortlist.numbers) == 2_500


def test_the_index_shows_what_is_committed_and_nothing_else(database: PostgresDatabase) -> None:
    rows = unit_rows(FROM_TEMPLATES + 200, 16, seed=5)
    of = fill(database, "changing", rows)
    database.ensure_index(of.collection, of.contract, of.size)
    database.settle()
    probe = rows[0]
    assert find(database, of, probe, 1).shortlist.similarities.tolist() == [1.0]
    with database.writing() as c:
        # The nearest 300 go, and are not vacuumed: the search has to look on past them.
        near = [int(n) for n in find(database, of, probe, 300).shortlist.numbers]
        c.execute("DELETE FROM templates WHERE number IN (" + "?, " * 299 + "?)", near)
        assert find(database, of, probe, 1).shortlist.numbers[0] == near[0]
    found = find(database, of, probe, 24)
    assert not found.exact
    assert len(found.shortlist.numbers) == 24
    assert not set(near) & set(found.shortlist.numbers.tolist())


def test_a_build_that_was_broken_off_is_done_anew(database: PostgresDatabase, dsn: str) -> None:
    of = fill(database, "broken", unit_rows(FROM_TEMPLATES, 16, seed=6))
    name = index_name(of.collection, of.contract)
    # A build waits for all who may be writing: here for one who holds it up until it is ended.
    with psycopg.connect(dsn) as older:
        older.execute("LOCK TABLE templates IN ROW EXCLUSIVE MODE")
        other = PostgresDatabase.open(dsn, hnsw_from_templates=FROM_TEMPLATES)
        other.ensure_index(of.collection, of.contract, of.size)
        wait_for(lambda: name in indexes(dsn))
        # Only one replica builds.
        database.ensure_index(of.collection, of.contract, of.size)
        database.settle()
        start = time.monotonic()
        other.close()
        assert time.monotonic() - start < 5
        assert indexes(dsn)[name] is False
        assert find(database, of, unit_rows(1, 16)[0], 5).exact
    database.ensure_index(of.collection, of.contract, of.size)
    database.settle()
    assert indexes(dsn)[name] is True


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_index_goes_with_its_collection(database: PostgresDatabase, dsn: str) -> None:
    gone = fill(database, "gone", unit_rows(FROM_TEMPLATES, 16, seed=7))
    stays = fill(database, "stays", unit_rows(FROM_TEMPLATES, 16, seed=8))
    for of in (gone, stays):
        database.ensure_index(of.collection, of.contract, of.size)
        database.settle()
    with database.writing() as c:
        collections.remove_collection(c, gone.collection)
        # What is being built, and what can be gone back to, keeps its index.
        other = collections.insert_collection(c, "next", stays.contract, "t")
        assert other is not None
        collections.set_contracts(
            c, other.number, contract=stays.contract, next_contract=gone.contract, former=None
        )
    database.ensure_index(stays.collection, gone.contract, 16)
    database.settle()
    assert index_name(gone.collection, gone.contract) not in indexes(dsn)
    assert indexes(dsn)[index_name(stays.collection, stays.contract)]


def test_spaces_that_half_precision_cannot_hold_are_searched_exactly(
    database: PostgresDatabase, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = fill(database, "tiny", unit_rows(FROM_TEMPLATES, 16) * np.float32(1e-6), d_max=2e-6)
    monkeypatch.setattr(postgres_hnsw, "HALFVEC_SIZE_MAX", 100)
    long = fill(database, "long", unit_rows(FROM_TEMPLATES, 101))
    for of in (tiny, long):
        database.ensure_index(of.collection, of.contract, of.size)
        database.settle()
        assert index_name(of.collection, of.contract) not in indexes(dsn)


def test_a_failed_build_is_told_in_the_log_and_changes_nothing(
    database: PostgresDatabase,
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    of = fill(database, "failing", unit_rows(FROM_TEMPLATES, 16))
    monkeypatch.setattr(postgres_hnsw, "_M", 1_000)  # More than pgvector takes.
    with caplog.at_level(logging.WARNING):
        database.ensure_index(of.collection, of.contract, of.size)
        database.settle()
    assert "could not be built" in caplog.text
    assert find(database, of, unit_rows(1, 16)[0], 5).exact


def test_replicas_that_want_an_index_at_once_build_one(
    database: PostgresDatabase, dsn: str
) -> None:
    of = fill(database, "both", unit_rows(FROM_TEMPLATES, 16))
    replicas = [PostgresDatabase.open(dsn, hnsw_from_templates=FROM_TEMPLATES) for _ in range(3)]
    threads = [
        threading.Thread(target=r.ensure_index, args=(of.collection, of.contract, of.size))
        for r in replicas
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for replica in replicas:
        replica.settle()
        replica.close()
    assert indexes(dsn)[index_name(of.collection, of.contract)]
