"""Batches of a pack, in order, whole, and without a thread that outlives them."""

import threading
import time
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.feed import Feed

Indices = npt.NDArray[np.int64]


def images(count: int = 20) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("feed")]


@settings(derandomize=True, database=None, max_examples=50, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 19), max_size=7), max_size=9),
    prefetch=st.integers(0, 12),
)
def test_batches_come_whole_and_in_order(batches: list[list[int]], prefetch: int) -> None:
    plan = [np.array(batch, dtype=np.int64) for batch in batches]
    feed = Feed(images(), plan, prefetch=prefetch)
    assert len(feed) == len(plan)
    for _ in range(2):  # may be iterated again
        found = list(feed)
        assert len(found) == len(plan)
        for tensor, batch in zip(found, batches, strict=True):
            assert tensor.dtype == torch.uint8
            assert tensor.shape == (len(batch), 6, 5, 3)
            for image, index in zip(tensor, batch, strict=True):
                assert np.array_equal(image.numpy(), images()[index])
    assert threads() == []


@pytest.mark.parametrize("mode", ["r", "c", None])
def test_mapped_files_are_read_without_a_warning_and_never_written(
    tmp_path: Path, mode: str | None
) -> None:
    np.save(tmp_path / "images.npy", images())
    mapped = np.load(tmp_path / "images.npy", mmap_mode=mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (batch,) = Feed(mapped, [np.array([3, 3, 0])], prefetch=2)
    batch.zero_()
    assert np.array_equal(np.load(tmp_path / "images.npy"), images())
    assert np.array_equal(mapped, images())


def test_every_batch_is_a_tensor_of_its_own() -> None:
    plan = [np.array([0, 1])] * 5
    kept = []
    for tensor in Feed(images(), plan, prefetch=1):
        kept.append(tensor.clone())
        tensor.fill_(7)
    assert all(np.array_equal(tensor.numpy(), images()[:2]) for tensor in kept)


def test_no_more_is_gathered_ahead_than_was_asked_for() -> None:
    class Counting(list[Indices]):
        asked = 0

        def __iter__(self):  # type: ignore[no-untyped-def]
            for batch in super().__iter__():
                self.asked += 1
                yield batch

    plan = Counting([np.array([i]) for i in range(20)])
    feed = iter(Feed(images(), plan, prefetch=3))
    for taken in range(1, 6):
        next(feed)
        assert plan.asked == taken + 3
    feed.close()  # type: ignore[attr-defined]
    assert threads() == []


def test_leaving_early_drops_what_is_still_to_be_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered = []

    def slowly(feed: Feed, batch: Indices) -> torch.Tensor:
        gathered.append(batch)
        time.sleep(0.02)
        return torch.zeros(1)

    monkeypatch.setattr(Feed, "_gathered", slowly)
    for _ in Feed(images(), [np.array([1])] * 100, prefetch=90):
        break
    assert len(gathered) < 45


@pytest.mark.parametrize("index", [20, -1, 10**12])
def test_an_index_of_no_image_is_refused_where_it_is_reached(index: int) -> None:
    feed = iter(Feed(images(), [np.array([1]), np.array([0, index])], prefetch=4))
    assert next(feed).shape[0] == 1
    with pytest.raises(IndexError, match="of 20"):
        next(feed)
    assert threads() == []


def test_leaving_early_ends_the_thread() -> None:
    feed = Feed(images(), [np.array([1])] * 100, prefetch=8)
    for _ in feed:
        break
    assert threads() == []
    iterator = iter(feed)
    next(iterator)
    assert len(threads()) == 1
    with pytest.raises(KeyboardInterrupt):
        iterator.throw(KeyboardInterrupt)  # type: ignore[attr-defined]  # a generator
    assert threads() == []


def test_a_negative_prefetch_is_refused() -> None:
    with pytest.raises(ValueError, match="prefetch"):
        Feed(images(), [], prefetch=-1)
