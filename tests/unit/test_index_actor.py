"""Who asked: the same in every thread that works for a request, and nobody anywhere else."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from index.actor import acting, actor, as_present_actor
from index.audit_log import told_entries
from index.clock import now
from index.database import Connection
from index.gallery import Gallery
from index.records import Subject
from index.tables import audit
from index.write_queue import Shown
from index.writes.restoring import ToRestore, restore
from tests.conftest import UNIT
from tests.unit.test_index_write_queue import together


def test_nobody_asks_until_it_is_said_and_afterwards() -> None:
    assert actor() is None
    with acting("a"):
        assert actor() == "a"
        with acting(None):
            assert actor() is None
        with pytest.raises(RuntimeError), acting("b"):
            raise RuntimeError
        assert actor() == "a"
    assert actor() is None


def test_a_call_goes_on_behalf_of_who_asked_in_another_thread_and_later() -> None:
    with acting("a"):
        for_a = as_present_actor(lambda n: (n, actor()))
    for_nobody = as_present_actor(actor)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(for_a, 1).result() == (1, "a")
        assert pool.submit(actor).result() is None
    with acting("b"):
        assert for_a(n=2) == (2, "a")
        assert for_nobody() is None
        assert actor() == "b"


def test_who_leads_a_commit_does_not_lend_its_name_to_the_others(gallery: Gallery) -> None:
    """One thread does the work of all, one after the other in one transaction."""
    workers = set()

    def ask(key_id: str | None, action: str, error: Exception | None = None) -> None:
        def work(c: Connection) -> tuple[None, Shown]:
            workers.add(threading.get_ident())
            audit.log_service(c, action, at=now())
            if error:
                raise error
            return None, Shown()

        with acting(key_id):
            gallery.galleries.queue.run(work, lambda change: None)

    together(
        gallery.galleries.queue,
        lambda: ask("first", "a"),
        lambda: ask("second", "b"),
        lambda: ask("third", "refused", ValueError("no")),
        lambda: ask(None, "c"),
        lambda: ask("first", "d"),
    )
    assert len(workers) == 1
    entries = list(told_entries(gallery.galleries))[-4:]
    assert [(entry["action"], entry["detail"]) for entry in entries] == [
        ("a", {"by": "first"}),
        ("b", {"by": "second"}),
        ("c", {"by": None}),
        ("d", {"by": "first"}),
    ]
    gallery.verify()


def test_a_file_is_restored_by_who_asked_for_it(gallery: Gallery) -> None:
    """Many entries are made at a time there."""
    wishes = [
        ToRestore(
            subject=Subject(
                id=f"s{n}",
                name=None,
                external_id=None,
                metadata={},
                template_count=1,
                created_at=now(),
            ),
            template_ids=[f"t{n}"],
            created_at=[now()],
            embeddings=UNIT[n : n + 1],
            crops=[None],
        )
        for n in range(3)
    ]
    with acting("a"):
        gallery.write(lambda scope: restore(scope, wishes))
    entries = list(told_entries(gallery.galleries))[-3:]
    assert [(e["subject_id"], e["detail"]) for e in entries] == [
        (f"s{n}", {"template_ids": [f"t{n}"], "by": "a"}) for n in range(3)
    ]
