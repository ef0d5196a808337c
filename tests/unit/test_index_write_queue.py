"""Group commit: who shares a transaction, who is refused alone, what is shown in which order."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from contract.errors import GalleryFullError, GalleryUnavailableError, SubjectConflictError
from index.gallery import Gallery
from index.records import Enrollment, TemplateBatch
from index.search import Change
from index.write_queue import Shown, WriteQueue
from tests.conftest import CONTRACT, UNIT

LIMIT_S = 10.0


class Recorder:
    """A Database, its one connection, and where changes are shown: all in one diary."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.commit_error: BaseException | None = None
        self.show_error: BaseException | None = None
        self._revision = 0

    @contextmanager
    def writing(self) -> Iterator["Recorder"]:
        self.diary.append("begin")
        before = self._revision
        try:
            yield self
            if self.commit_error:
                raise self.commit_error
        except BaseException:
            self._revision = before
            self.diary.append("roll back")
            raise
        self.diary.append("commit")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        before = self._revision
        try:
            yield
        except BaseException:
            self._revision = before
            self.diary.append("undo one")
            raise

    def erased(self) -> None:
        self.diary.append("erase")

    def write(self, name: str, *, erases: bool = False, error: BaseException | None = None) -> Any:
        """Work for the queue, which enters `name` and gives its revision."""

        def work(connection: "Recorder") -> tuple[int, Shown]:
            assert connection is self
            self._revision += 1
            self.diary.append(name)
            if error:
                raise error
            change = Change(
                removed=np.zeros(0, dtype=np.int64),
                added=TemplateBatch.empty(2),
                revision=self._revision,
            )
            return self._revision, Shown(change=change, erases=erases)

        return work

    def show(self, change: Change) -> None:
        if self.show_error:
            raise self.show_error
        self.diary.append(f"show {change.revision}")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def queue(recorder: Recorder) -> WriteQueue:
    return WriteQueue(recorder)  # type: ignore[arg-type]


def together(queue: WriteQueue, *calls: Callable[[], Any]) -> list[Any]:
    """Make these calls in order while the queue is held up; what each gave or raised."""
    hold, held = threading.Event(), threading.Event()
    answers: list[Any] = [None] * len(calls)

    def holding() -> None:
        held.set()
        assert hold.wait(LIMIT_S)

    def make(place: int, call: Callable[[], Any]) -> None:
        try:
            answers[place] = call()
        except BaseException as error:  # noqa: BLE001 - it is the answer
            answers[place] = error

    threads = [threading.Thread(target=queue.exclusively, args=(holding,))]
    threads[0].start()
    assert held.wait(LIMIT_S)
    for place, call in enumerate(calls):
        threads.append(threading.Thread(target=make, args=(place, call)))
        threads[-1].start()
        deadline = time.monotonic() + LIMIT_S
        while len(queue._waiting) <= place:
            assert time.monotonic() < deadline
            time.sleep(0.001)
    hold.set()
    for thread in threads:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    return answers


def test_a_lone_write_waits_for_nobody(queue: WriteQueue, recorder: Recorder) -> None:
    assert queue.run(recorder.write("a"), recorder.show) == 1
    assert queue.run(recorder.write("b", erases=True), recorder.show) == 2
    assert recorder.diary == [
        "begin", "a", "commit", "show 1",
        "begin", "b", "commit", "show 2", "erase",
    ]  # fmt: skip


def test_writes_that_wait_share_a_transaction_and_what_follows_it(
    queue: WriteQueue, recorder: Recorder
) -> None:
    show_other = lambda change: recorder.diary.append(f"other {change.revision}")  # noqa: E731
    answers = together(
        queue,
        lambda: queue.run(recorder.write("a", erases=True), recorder.show),
        lambda: queue.run(recorder.write("b"), recorder.show),
        lambda: queue.run(recorder.write("c"), show_other),
        lambda: queue.run(recorder.write("d", erases=True), recorder.show),
    )
    assert answers == [1, 2, 3, 4]
    # Shown in the order of their revisions, neighbours that go the same way in one.
    assert recorder.diary == [
        "begin", "a", "b", "c", "d", "commit", "show 2", "other 3", "show 4", "erase",
    ]  # fmt: skip


def test_a_refused_write_is_undone_alone(queue: WriteQueue, recorder: Recorder) -> None:
    refusal = SubjectConflictError("no")
    answers = together(
        queue,
        lambda: queue.run(recorder.write("a"), recorder.show),
        lambda: queue.run(recorder.write("b", error=refusal, erases=True), recorder.show),
        lambda: queue.run(recorder.write("c", error=ValueError("no")), recorder.show),
        lambda: queue.run(recorder.write("d"), recorder.show),
    )
    assert answers[0] == 1
    assert answers[1] is refusal
    assert isinstance(answers[2], ValueError)
    assert answers[3] == 2
    assert recorder.diary == [
        "begin", "a", "b", "undo one", "c", "undo one", "d", "commit", "show 2",
    ]  # fmt: skip


def test_nothing_is_committed_where_all_are_refused(queue: WriteQueue, recorder: Recorder) -> None:
    with pytest.raises(SubjectConflictError):
        queue.run(recorder.write("a", error=SubjectConflictError("no")), recorder.show)
    assert recorder.diary == ["begin", "a", "undo one", "roll back"]
    assert queue.run(recorder.write("b"), recorder.show) == 1


@pytest.mark.parametrize("where", ["statement", "commit"])
def test_a_storage_error_refuses_all_of_a_transaction(
    queue: WriteQueue, recorder: Recorder, where: str
) -> None:
    full = GalleryFullError("no room")
    recorder.commit_error = full if where == "commit" else None
    answers = together(
        queue,
        lambda: queue.run(recorder.write("a", erases=True), recorder.show),
        lambda: queue.run(recorder.write("b", error=ValueError("no")), recorder.show),
        lambda: queue.run(
            recorder.write("c", error=full if where == "statement" else None), recorder.show
        ),
    )
    assert answers[0] is full
    assert isinstance(answers[1], ValueError)
    assert answers[2] is full
    assert not {"commit", "erase"} & set(recorder.diary)
    assert not any(entry.startswith("show") for entry in recorder.diary)
    # And the next one is not spoilt by it.
    recorder.commit_error = None
    assert queue.run(recorder.write("d"), recorder.show) == 1


def test_what_may_be_committed_but_is_not_shown_stops_everything(
    queue: WriteQueue, recorder: Recorder
) -> None:
    recorder.show_error = MemoryError()
    answers = together(
        queue,
        lambda: queue.run(recorder.write("a"), recorder.show),
        lambda: queue.run(recorder.write("b"), recorder.show),
    )
    assert sorted(type(answer).__name__ for answer in answers) == [
        "GalleryUnavailableError",
        "MemoryError",
    ]
    recorder.show_error = None
    diary = list(recorder.diary)
    for call in (
        lambda: queue.run(recorder.write("c"), recorder.show),
        queue.check_usable,
        lambda: queue.exclusively(lambda: None),
    ):
        with pytest.raises(GalleryUnavailableError, match="open the gallery anew"):
            call()
    assert recorder.diary == diary


def test_a_write_that_wants_to_be_alone_shares_its_transaction_with_nobody(
    queue: WriteQueue, recorder: Recorder
) -> None:
    answers = together(
        queue,
        lambda: queue.run(recorder.write("a"), recorder.show),
        lambda: queue.run(recorder.write("b"), recorder.show, alone=True),
        lambda: queue.run(recorder.write("c"), recorder.show, alone=True),
        lambda: queue.run(recorder.write("d"), recorder.show),
        lambda: queue.run(recorder.write("e"), recorder.show),
    )
    assert answers == [1, 2, 3, 4, 5]
    assert recorder.diary == [
        "begin", "a", "commit", "show 1",
        "begin", "b", "commit", "show 2",
        "begin", "c", "commit", "show 3",
        "begin", "d", "e", "commit", "show 5",
    ]  # fmt: skip


def test_closing_finishes_what_is_under_way_once_and_refuses_the_rest(
    queue: WriteQueue, recorder: Recorder
) -> None:
    answers = together(
        queue,
        lambda: queue.run(recorder.write("a"), recorder.show),
        lambda: queue.run(recorder.write("b"), recorder.show),
    )
    assert answers == [1, 2]
    for _ in range(2):
        queue.close(lambda: recorder.diary.append("closed"))
    assert recorder.diary.count("closed") == 1
    with pytest.raises(GalleryUnavailableError, match="is closed"):
        queue.run(recorder.write("c"), recorder.show)
    assert recorder.diary[-1] == "closed"


def test_many_threads_have_every_write_done_once_and_in_order(
    queue: WriteQueue, recorder: Recorder
) -> None:
    revisions: list[int] = []

    def work() -> None:
        for _ in range(50):
            revisions.append(queue.run(recorder.write("w"), recorder.show))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert sorted(revisions) == list(range(1, 401))
    shown = [int(entry.split()[1]) for entry in recorder.diary if entry.startswith("show")]
    assert shown == sorted(shown)
    assert shown[-1] == 400


def test_a_caller_interrupted_before_its_turn_holds_nobody_up(
    queue: WriteQueue, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches a thread that waits until it may lead: it takes its write back."""

    class Interrupted:
        def __enter__(self) -> None:
            raise KeyboardInterrupt

        def __exit__(self, *error: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(queue, "_lock", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            queue.run(recorder.write("a"), recorder.show)
    assert recorder.diary == []
    assert queue.run(recorder.write("b"), recorder.show) == 1


def test_a_caller_interrupted_behind_another_holds_nobody_up(
    queue: WriteQueue, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt

    hold, held = threading.Event(), threading.Event()
    leader = threading.Thread(
        target=queue.run, args=(slow(recorder.write("a"), held, hold), recorder.show)
    )
    leader.start()
    assert held.wait(LIMIT_S)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.run(recorder.write("b"), recorder.show)
    hold.set()
    leader.join(LIMIT_S)
    assert queue.run(recorder.write("c"), recorder.show) == 2
    assert "b" not in recorder.diary


def slow(work: Any, held: threading.Event, hold: threading.Event) -> Any:
    """The same work, which says that it has begun and waits."""

    def waiting(connection: Any) -> Any:
        held.set()
        assert hold.wait(LIMIT_S)
        return work(connection)

    return waiting


def test_enrolments_at_a_time_share_a_commit_of_the_file(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        statements: list[str] = []
        gallery.galleries.database._writer.raw.trace_v2(  # type: ignore[attr-defined]
            apsw.SQLITE_TRACE_STMT, lambda event: statements.append(event["sql"])
        )
        rows = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
        gallery.enroll(rows[:1], subject_id="s0")
        assert statements.count("COMMIT") == 1
        statements.clear()
        answers = together(
            gallery.galleries.queue,
            *(lambda n=n: gallery.enroll(rows[n : n + 1], subject_id=f"s{n}") for n in range(1, 7)),
            lambda: gallery.enroll(rows[7:], subject_id="s0", name="Other"),
            lambda: gallery.remove_subject("s1"),
        )
        assert statements.count("COMMIT") == 1
        done = [answer for answer in answers if isinstance(answer, Enrollment)]
        assert [(e.subject.id, e.revision) for e in done] == [(f"s{n}", n + 1) for n in range(1, 7)]
        assert isinstance(answers[6], SubjectConflictError)
        assert answers[7] == gallery.revision == 8
        assert [s.id for s in gallery.subjects(limit=9).subjects] == [
            "s0",
            *(f"s{n}" for n in range(2, 7)),
        ]
        found = gallery.search(rows, top_k=1)
        assert found.revision == 8
        assert [c.subject.id for (c,) in found.candidates][2:7] == [f"s{n}" for n in range(2, 7)]
        gallery.verify()
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        assert (gallery.revision, gallery.template_count) == (8, 6)
        gallery.verify()


def test_a_full_disk_refuses_all_that_share_a_commit_of_the_file(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        gallery.enroll(UNIT, subject_id="ann")
        raw = gallery.galleries.database._writer.raw  # type: ignore[attr-defined]
        usual = raw.pragma("max_page_count")
        raw.pragma("max_page_count", raw.pragma("page_count"))
        many = np.ones((2_000, 4), dtype=np.float32)
        answers = together(
            gallery.galleries.queue,
            lambda: gallery.enroll(UNIT[:1], subject_id="bob"),
            lambda: gallery.enroll(many, subject_id="cy"),
            lambda: gallery.enroll(UNIT[1:2], subject_id="di"),
        )
        assert [type(answer) for answer in answers] == [GalleryFullError] * 3
        raw.pragma("max_page_count", usual)
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (1, 1, 4)
        gallery.verify()
        assert gallery.enroll(UNIT[:1], subject_id="bob").revision == 2
