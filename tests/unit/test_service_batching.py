"""Batches across callers: as one by one, bounded, and nobody pays for another but by an error."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from contract.bundle import load_bundle
from contract.errors import CallerGoneError, DeadlineExceededError
from service.batching.embedder import BatchingEmbedder
from service.embedder import Embeddings, Pixels, Precision, TorchScriptEmbedder
from service.options import EmbedderRuntime
from service.served_bundles import batching_on_a_device
from service.settings import SHIPPED_BUNDLE
from service.turn import Turn, taking

WAIT_S = 20.0
SIZE = 3


class Device:
    """Embeds a crop as its first pixel; keeps the sizes of its batches; waits for `gate`."""

    device = "cuda"
    runtime: EmbedderRuntime = "torchscript"
    precision: Precision = "float32"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self._inside = threading.Lock()

    def embed(self, crops_BHW3: Pixels) -> Embeddings:
        assert self._inside.acquire(blocking=False), "two batches at a time"
        try:
            self.batches.append([int(crop[0, 0, 0]) for crop in crops_BHW3])
            self.entered.set()
            assert self.gate.wait(WAIT_S)
            if self.error is not None:
                raise self.error
            return crops_BHW3[:, 0, 0, :].astype(np.float32)
        finally:
            self._inside.release()


def crops(*values: int) -> Pixels:
    return np.stack([np.full((2, 2, SIZE), value, np.uint8) for value in values])


class Story:
    """Callers in threads of their own; each is in line before the next one begins."""

    def __init__(self, *, most: int) -> None:
        self.device = Device()
        self.embedder = BatchingEmbedder(self.device, max_batch_faces=most)
        self._pool = ThreadPoolExecutor(16)

    def ask(self, *values: int, turn: Turn | None = None) -> "Future[Embeddings]":
        def call() -> Embeddings:
            if turn is None:
                return self.embedder.embed(crops(*values))
            with taking(turn):
                return self.embedder.embed(crops(*values))

        waiting = self.embedder._line._waiting
        before, is_first = len(waiting), not self.device.entered.is_set()
        future = self._pool.submit(call)
        if is_first:
            assert self.device.entered.wait(WAIT_S)
        else:
            until(lambda: len(waiting) > before)
        return future

    def go(self) -> None:
        self.device.gate.set()

    def close(self) -> None:
        self.go()
        self._pool.shutdown()


def until(condition: Callable[[], bool]) -> None:
    """Raises AssertionError where it does not come."""
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.001)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("It did not come.")


@pytest.fixture
def story() -> Iterator[Story]:
    made = Story(most=4)
    yield made
    made.close()


def test_who_comes_alone_is_embedded_at_once(story: Story) -> None:
    story.go()
    assert story.embedder.embed(crops(1, 2)).tolist() == [[1] * SIZE, [2] * SIZE]
    assert story.embedder.embed(crops(3)).tolist() == [[3] * SIZE]
    assert story.device.batches == [[1, 2], [3]]
    assert (story.embedder.device, story.embedder.precision) == ("cuda", "float32")


def test_what_waits_at_the_same_moment_is_one_batch_and_each_has_its_own(story: Story) -> None:
    asked = {value: story.ask(value) for value in (1, 2, 3, 4)}
    story.go()
    for value, future in asked.items():
        assert future.result(WAIT_S).tolist() == [[value] * SIZE]
    assert story.device.batches == [[1], [2, 3, 4]]


def test_a_batch_is_bounded_and_in_the_order_of_coming(story: Story) -> None:
    asked = [story.ask(*values) for values in ((1,), (2, 3), (4, 5, 6), (7,))]
    story.go()
    found = [future.result(WAIT_S)[:, 0].tolist() for future in asked]
    assert found == [[1], [2, 3], [4, 5, 6], [7]]
    assert story.device.batches == [[1], [2, 3], [4, 5, 6, 7]]


def test_more_than_a_batch_of_one_caller_lets_others_in_between(story: Story) -> None:
    asked = [story.ask(*range(1, 10)), story.ask(20)]
    story.go()
    assert asked[0].result(WAIT_S)[:, 0].tolist() == [*range(1, 10)]
    assert asked[1].result(WAIT_S)[:, 0].tolist() == [20]
    assert story.device.batches[:2] == [[1, 2, 3, 4], [20]]
    assert [v for b in story.device.batches for v in b if v != 20] == [*range(1, 10)]


def test_nothing_is_embedded_as_nothing(story: Story) -> None:
    story.go()
    assert story.embedder.embed(np.zeros((0, 2, 2, SIZE), np.uint8)).shape == (0, SIZE)


def test_an_error_reaches_all_of_its_batch_and_none_of_the_next(story: Story) -> None:
    asked = [story.ask(value) for value in (1, 2, 3)]
    story.device.error = RuntimeError("no memory")
    story.go()
    for future in asked:
        with pytest.raises(RuntimeError, match="no memory"):
            future.result(WAIT_S)
    story.device.error = None
    assert story.embedder.embed(crops(9)).tolist() == [[9] * SIZE]


def test_who_has_left_or_is_too_late_is_dropped_from_the_line(story: Story) -> None:
    left, late, here = Turn(), Turn(), Turn()
    here.start(WAIT_S)
    asked = [story.ask(1)]
    asked += [story.ask(v, turn=t) for v, t in ((2, left), (3, late), (4, here))]
    left.leave()
    late.expire()
    story.go()
    assert asked[0].result(WAIT_S)[:, 0].tolist() == [1]
    with pytest.raises(CallerGoneError):
        asked[1].result(WAIT_S)
    with pytest.raises(DeadlineExceededError):
        asked[2].result(WAIT_S)
    assert asked[3].result(WAIT_S)[:, 0].tolist() == [4]
    assert story.device.batches == [[1], [4]]


def test_a_line_of_those_who_have_left_keeps_nobody_waiting(story: Story) -> None:
    left = Turn()
    asked = [story.ask(1), story.ask(2, turn=left)]
    left.leave()
    story.go()
    asked[0].result(WAIT_S)
    with pytest.raises(CallerGoneError):
        asked[1].result(WAIT_S)
    assert story.embedder.embed(crops(5)).tolist() == [[5] * SIZE]


def test_many_threads_each_get_their_own(story: Story) -> None:
    story.go()
    values = [*range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda v: story.embedder.embed(crops(v, v + 1)), values))
    assert [rows[:, 0].tolist() for rows in found] == [[v, v + 1] for v in values]
    assert max(map(len, story.device.batches)) <= 4


@pytest.mark.usefixtures("one_thread")
def test_a_crop_is_embedded_alike_alone_and_among_others() -> None:
    """The real network: what a photo is called may not hang on who else asks."""
    plain = TorchScriptEmbedder(load_bundle(SHIPPED_BUNDLE), device="cpu", precision="float32")
    photos = np.random.default_rng(0).integers(0, 256, (9, 112, 112, 3), dtype=np.uint8)
    alone = np.concatenate([plain.embed(photo[None]) for photo in photos])
    together = plain.embed(photos)
    assert np.abs(alone - together).max() < 1e-5
    batching = BatchingEmbedder(plain, max_batch_faces=4)
    with ThreadPoolExecutor(3) as pool:
        pieces = list(pool.map(batching.embed, np.split(photos, 3)))
    assert np.abs(alone - np.concatenate(pieces)).max() < 1e-5


def test_requests_share_batches_on_a_device_and_have_a_core_each_on_the_cpu() -> None:
    device = Device()
    on_device = batching_on_a_device(device, max_batch_faces=8)
    assert isinstance(on_device, BatchingEmbedder)
    device.device = "cpu"
    assert batching_on_a_device(device, max_batch_faces=8) is device
