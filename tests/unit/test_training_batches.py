"""Batches of P identities with K images, and the split that keeps identities apart."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.pack import Pack, PackIndex
from training.data.sampler import BatchConfig, epoch_batches, rank_rows
from training.data.split import SplitConfig, split_by_identity, split_by_sample, split_pack

Indices = npt.NDArray[np.int64]

# Identities 0..7 of 1 to 12 images, in no order; identity 3 is missing from the labels.
COUNTS = {0: 1, 1: 2, 2: 12, 4: 5, 5: 3, 6: 4, 7: 9}


def shuffled_labels() -> Indices:
    labels = np.repeat(list(COUNTS), list(COUNTS.values()))
    return np.random.default_rng(0).permutation(labels)


def batches(*, P: int = 4, K: int = 3, seed: int = 0, epoch: int = 0, **more: Any) -> list[Indices]:
    config = BatchConfig(identities=P, images_each=K, **more)
    return epoch_batches(shuffled_labels(), config, seed=seed, epoch=epoch)


def many_batches(**options: Any) -> list[Indices]:
    return [batch for epoch in range(40) for batch in batches(epoch=epoch, **options)]


# --- sampler ---


@pytest.mark.parametrize(("P", "K"), [(2, 2), (4, 3), (7, 5)])
def test_a_batch_is_p_blocks_of_k_images_of_one_identity_each(P: int, K: int) -> None:
    labels = shuffled_labels()
    for batch in many_batches(P=P, K=K):
        assert batch.shape == (P * K,)
        blocks = labels[batch].reshape(P, K)
        assert (blocks == blocks[:, :1]).all()
        assert len(set(blocks[:, 0])) == P


def test_images_repeat_only_where_an_identity_has_too_few() -> None:
    labels, K = shuffled_labels(), 3
    for batch in many_batches(K=K):
        for block in batch.reshape(-1, K):
            times = Counter(block.tolist())
            available = COUNTS[int(labels[block[0]])]
            assert len(times) == min(K, available)
            assert max(times.values()) == -(-K // available)


def test_every_image_is_drawn_sooner_or_later() -> None:
    drawn = set(np.concatenate(many_batches()).tolist())
    assert drawn == set(range(len(shuffled_labels())))


def test_an_epoch_has_as_many_batches_as_the_images_fill() -> None:
    assert len(batches(P=4, K=3)) == sum(COUNTS.values()) // 12
    assert len(batches(P=7, K=12)) == 1


def test_the_plan_follows_from_seed_and_epoch_alone() -> None:
    np.random.seed(1)  # the global state must not matter
    first = batches(seed=3, epoch=5)
    np.random.seed(2)
    assert np.array_equal(first, batches(seed=3, epoch=5))
    assert not np.array_equal(first, batches(seed=3, epoch=6))
    assert not np.array_equal(first, batches(seed=4, epoch=5))
    assert not np.array_equal(batches(seed=5, epoch=3), first)


def test_weight_power_says_how_much_more_often_large_identities_come() -> None:
    labels = shuffled_labels()

    def shares(weight_power: float) -> tuple[float, float]:
        drawn = Counter(
            int(labels[block[0]])
            for batch in many_batches(P=2, K=2, weight_power=weight_power)
            for block in batch.reshape(2, 2)
        )
        return drawn[2] / drawn.total(), drawn[0] / drawn.total()

    large_even, small_even = shares(0.0)
    large_weighted, small_weighted = shares(1.0)
    assert large_even == pytest.approx(1 / 7, abs=0.04)
    assert small_even == pytest.approx(1 / 7, abs=0.04)
    assert large_weighted > 2 * large_even
    assert small_weighted < small_even / 2


def test_fewer_identities_than_a_batch_asks_for_are_refused() -> None:
    with pytest.raises(ValueError, match="asks for 8 identities, the data has 7"):
        batches(P=8)


@pytest.mark.parametrize("shape", [{"identities": 1}, {"images_each": 1}, {"identities": 0}])
def test_a_batch_without_pairs_is_refused(shape: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        BatchConfig(**shape)


@pytest.mark.parametrize("world", [1, 2, 3, 6, 12])
def test_ranks_share_a_batch_in_blocks_and_together_have_all_of_it(world: int) -> None:
    for batch in batches(P=4, K=3):
        parts = [rank_rows(batch, rank, world) for rank in range(world)]
        assert {len(part) for part in parts} == {12 // world}
        assert np.array_equal(np.concatenate(parts), batch)


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"12 images cannot be shared by 5 .*batch\.identities"):
        rank_rows(np.arange(12), 0, 5)


def test_identities_of_one_image_fill_their_block_with_it() -> None:
    labels = np.arange(6)
    config = BatchConfig(identities=3, images_each=4)
    for batch in epoch_batches(labels, config, seed=0, epoch=0):
        blocks = batch.reshape(3, 4)
        assert (blocks == blocks[:, :1]).all()
        assert len(set(blocks[:, 0])) == 3


def test_ten_classes_are_too_few_for_a_batch_of_32() -> None:
    with pytest.raises(ValueError, match="asks for 32 identities, the data has 10"):
        epoch_batches(np.arange(70_000) % 10, BatchConfig(), seed=0, epoch=0)


# --- split ---


def split(
    labels: Indices | None = None, *, share: float = 0.3, min_images: int = 2, seed: int = 0
) -> tuple[Indices, Indices]:
    return split_by_identity(
        shuffled_labels() if labels is None else labels,
        holdout_share=share, min_images=min_images, seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_a_split_covers_all_images_and_shares_no_identity(seed: int, share: float) -> None:
    labels = shuffled_labels()
    train, held_out = split(share=share, seed=seed)
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    assert not set(labels[train]) & set(labels[held_out])
    assert len(train) > 0
    assert len(held_out) > 0
    assert (np.diff(train) > 0).all()
    assert (np.diff(held_out) > 0).all()


@pytest.mark.parametrize("min_images", [2, 4, 9])
def test_identities_of_too_few_images_are_held_out(min_images: int) -> None:
    train, _ = split(min_images=min_images)
    labels = shuffled_labels()
    assert all(COUNTS[int(label)] >= min_images for label in labels[train])


def test_the_share_is_of_the_usable_identities() -> None:
    labels = np.repeat(np.arange(40), 3)
    train, held_out = split(labels, share=0.25)
    assert len(set(labels[held_out])) == 10
    assert len(set(labels[train])) == 30


def test_a_split_follows_from_its_seed() -> None:
    assert np.array_equal(split(seed=1)[0], split(seed=1)[0])
    assert len({tuple(split(seed=seed)[0]) for seed in range(8)}) > 1


@pytest.mark.parametrize("counts", [[5], [5, 1], [1, 1, 1]])
def test_a_split_without_two_usable_identities_is_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="two identities"):
        split(np.repeat(np.arange(len(counts)), counts))


# --- split by sample ---


@settings(derandomize=True, database=None, max_examples=80, deadline=None)
@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=30),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
)
def test_a_split_by_sample_keeps_every_identity_in_training(
    counts: list[int], share: float, seed: int
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if max(counts) < 2:
        with pytest.raises(ValueError, match="two images"):
            split_by_sample(labels, holdout_share=share, seed=seed)
        return
    train, held_out = split_by_sample(labels, holdout_share=share, seed=seed)
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(held_out) > 0).all()
    assert set(labels[train]) == set(labels)
    assert len(held_out) > 0
    kept = np.bincount(labels[held_out], minlength=len(counts))
    for count, out in zip(counts, kept.tolist(), strict=True):
        fewest = max(0, min(int(share * count), count - 1))
        assert fewest <= out <= min(fewest + 1, count - 1)
    again = split_by_sample(labels, holdout_share=share, seed=seed)
    assert np.array_equal(again[0], train)


def test_the_share_of_samples_holds_over_small_identities_and_large_ones() -> None:
    small = np.repeat(np.arange(2000), 3)
    _, held_out = split_by_sample(small, holdout_share=0.05, seed=0)
    assert len(held_out) == pytest.approx(300, rel=0.15)
    large = np.repeat(np.arange(10), 6000)
    _, held_out = split_by_sample(large, holdout_share=0.02, seed=0)
    assert np.bincount(large[held_out]).tolist() == [120] * 10


def test_other_seeds_hold_other_samples_out() -> None:
    labels = np.repeat(np.arange(5), 8)
    kept = {tuple(split_by_sample(labels, holdout_share=0.25, seed=s)[1]) for s in range(6)}
    assert len(kept) == 6


# --- split of a pack ---


def pack_of(labels: Indices, splits: list[str]) -> Pack:
    index = PackIndex(
        source="s", alignment="none", identities=tuple(map(str, range(int(labels.max()) + 1))),
        paths=tuple(map(str, range(len(labels)))), labels=tuple(labels.tolist()),
        splits=tuple(splits), unused=(),  # type: ignore[arg-type]
    )  # fmt: skip
    return Pack(Path("pack"), index, np.zeros((len(labels), 1, 1, 3), dtype=np.uint8))


@pytest.mark.parametrize("by", ["identity", "sample"])
@pytest.mark.parametrize("same_people", [True, False])
def test_test_images_are_neither_trained_nor_validated_on(by: Any, same_people: bool) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, 300)
    test = rng.random(300) < 0.3 if same_people else labels >= 8
    pack = pack_of(labels, ["test" if is_test else "train" for is_test in test])
    config = SplitConfig(by=by, holdout_share=0.25)
    train, held_out = split_pack(pack, config, 3)
    assert sorted([*train, *held_out]) == np.flatnonzero(~test).tolist()
    assert (np.diff(train) > 0).all()
    people = set(labels[train]), set(labels[held_out])
    if by == "identity":
        assert not people[0] & people[1]
    else:
        assert people[0] == set(labels[~test])
    again = split_pack(pack, config, 3)
    assert np.array_equal(again[0], train)
    assert not np.array_equal(split_pack(pack, config, 4)[0], train)


def test_a_pack_without_a_split_of_its_own_is_split_as_its_labels() -> None:
    labels = shuffled_labels()
    pack = pack_of(labels, ["train"] * len(labels))
    config = SplitConfig(by="identity", holdout_share=0.3, min_images=3)
    expected = split_by_identity(labels, holdout_share=0.3, min_images=3, seed=5)
    for found, wanted in zip(split_pack(pack, config, 5), expected, strict=True):
        assert np.array_equal(found, wanted)


def test_a_pack_of_test_images_alone_cannot_be_trained_on() -> None:
    with pytest.raises(ValueError, match="test images only"):
        split_pack(pack_of(np.arange(4) % 2, ["test"] * 4), SplitConfig(), 0)
