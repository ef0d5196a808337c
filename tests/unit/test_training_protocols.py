"""The protocols `paper`, `held-out` and `zero-shot`, each against plain loops."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.data.pack import Pack, PackError, PackIndex
from training.evaluation import embed as embed_module
from training.evaluation.closed_set import (
    class_centres,
    closed_set,
    held_out_accuracy,
    paper_accuracy,
)
from training.evaluation.embed import embed_images
from training.evaluation.open_set import TooFewError
from training.evaluation.roles import imported_roles, roles_of
from training.evaluation.zero_shot import rank_probes

CHECKED = settings(derandomize=True, database=None, max_examples=100, deadline=None)

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


# --- nearest class centre ---


def slow_centres(points: Floats, labels: Labels) -> dict[int, list[float]]:
    members: dict[int, list[list[float]]] = {}
    for point, label in zip(points.tolist(), labels.tolist(), strict=True):
        members.setdefault(label, []).append(point)
    return {
        label: [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        for label, rows in members.items()
    }


def slow_accuracy(centres: dict[int, list[float]], points: Floats, labels: Labels) -> float:
    right = 0
    for point, label in zip(points.tolist(), labels.tolist(), strict=True):
        if label not in centres:
            continue
        own = math.dist(point, centres[label])
        right += all(own < math.dist(point, c) for k, c in centres.items() if k != label)
    return right / len(points)


def drawn(seed: int, count: int, classes: int) -> tuple[Floats, Labels]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 3)), rng.integers(0, classes, count) * 5 - 3


SEEDS = st.integers(0, 2**32 - 1)


@CHECKED
@given(seed=SEEDS, count=st.integers(1, 20), probes=st.integers(1, 20), classes=st.integers(1, 6))
def test_the_nearest_centre_is_found_as_the_loops_find_it(
    seed: int, count: int, probes: int, classes: int
) -> None:
    trained, trained_labels = drawn(seed, count, classes)
    points, labels = drawn(seed + 1, probes, classes + 1)
    found = held_out_accuracy(trained, trained_labels, points, labels)
    assert found == slow_accuracy(slow_centres(trained, trained_labels), points, labels)
    assert paper_accuracy(points, labels) == slow_accuracy(
        slow_centres(points, labels), points, labels
    )


def test_the_centres_are_the_means() -> None:
    points, labels = drawn(0, 40, 5)
    classes, centres = class_centres(points.astype(np.float32), labels)
    slow = slow_centres(points.astype(np.float32).astype(np.float64), labels)
    assert classes.tolist() == sorted(slow)
    assert centres == pytest.approx(np.array([slow[label] for label in sorted(slow)]))


def test_hand_computed_centres_on_a_line() -> None:
    """Trained centres at 1 and 5; probes of class 0 at 2 and 4, of class 1 at 4.5 and 100."""
    trained = np.array([[0.0], [2.0], [5.0]])
    probes = np.array([[2.0], [4.0], [4.5], [100.0]])
    labels = np.array([0, 0, 1, 1])
    assert held_out_accuracy(trained, np.array([0, 0, 1]), probes, labels) == 0.75
    # Their own centres are 3 and 52.25, so that 4.5 is nearer to class 0.
    assert paper_accuracy(probes, labels) == 0.75


def test_a_probe_makes_the_centre_that_it_is_matched_to_in_protocol_paper_only() -> None:
    """Two classes at random: alone in its class, a probe is its own centre."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((50, 4))
    assert paper_accuracy(points, np.arange(50)) == 1.0
    trained = rng.standard_normal((50, 4))
    assert held_out_accuracy(trained, np.arange(50), points, np.arange(50)) < 0.5


def test_a_tie_is_wrong_so_that_a_collapsed_network_knows_nobody() -> None:
    points = np.tile(np.arange(1, 65) / 3, (20, 1)).astype(np.float32)
    labels = np.arange(20) % 4
    assert paper_accuracy(points, labels) == 0
    assert held_out_accuracy(points, labels, points[:3], labels[:3]) == 0


def test_a_probe_of_a_class_without_a_centre_is_wrong() -> None:
    centres, probes = np.array([[0.0], [9.0]]), np.array([[0.0], [0.0], [9.0]])
    assert held_out_accuracy(centres, np.array([1, 3]), probes, np.array([1, 2, 4])) == 1 / 3


@pytest.mark.parametrize(("trained", "probes"), [(0, 3), (3, 0)])
def test_no_probes_and_no_centres_have_no_accuracy(trained: int, probes: int) -> None:
    points = np.ones((3, 2))
    labels = np.arange(3)
    with pytest.raises(ValueError, match="needs probes"):
        held_out_accuracy(points[:trained], labels[:trained], points[:probes], labels[:probes])


def test_an_embedding_that_is_no_number_is_refused() -> None:
    points = np.array([[0.0], [math.nan]])
    with pytest.raises(ValueError, match="not finite"):
        paper_accuracy(points, np.array([0, 1]))


# --- roles of a pack's images ---


def pack_of(images: list[tuple[str, str]], root: Path = Path("data/mine")) -> Pack:
    """One image for each (identity, split), called <identity>/<number>; its pixels are its row."""
    names = sorted({name for name, _ in images})
    index = PackIndex(
        source="mine",
        alignment="none",
        identities=tuple(names),
        paths=tuple(f"{name}/{i}" for i, (name, _) in enumerate(images)),
        labels=tuple(names.index(name) for name, _ in images),
        splits=tuple(split for _, split in images),
        unused=(),
    )
    pixels = np.arange(len(images), dtype=np.uint8)[:, None, None, None]
    return Pack(root, index, np.broadcast_to(pixels, (len(images), 8, 8, 3)))


def paths(pack: Pack, *rows: int) -> set[str]:
    return {pack.index.paths[row] for row in rows}


def test_probes_are_of_the_test_split_where_there_is_one() -> None:
    pack = pack_of([("a", "train"), ("a", "train"), ("a", "test"), ("b", "test"), ("c", "train")])
    roles = roles_of(pack, paths(pack, 0))
    assert roles.trained.tolist() == [0]
    assert roles.probes.tolist() == [2]  # 1 was kept for validation
    assert roles.probes_data == "test split of mine"
    assert roles.unseen.tolist() == [3, 4]  # one identity of the test split is too few alone


def test_without_a_test_split_probes_are_what_validation_kept() -> None:
    pack = pack_of([("a", "train"), ("a", "train"), ("b", "train"), ("b", "train")])
    roles = roles_of(pack, paths(pack, 0, 2))
    assert roles.probes.tolist() == [1, 3]
    assert "validation" in roles.probes_data
    assert roles.unseen.tolist() == []


def test_unseen_identities_of_the_test_split_go_before_those_of_the_other() -> None:
    pack = pack_of(
        [("a", "train"), ("b", "train"), ("c", "test"), ("d", "test"), ("c", "test"), ("a", "test")]
    )
    roles = roles_of(pack, paths(pack, 0))
    assert roles.unseen.tolist() == [2, 3, 4]
    assert "test split" in roles.unseen_data
    assert roles.probes.tolist() == [5]


def test_a_split_by_identity_has_no_probes_and_says_so() -> None:
    pack = pack_of([("a", "train"), ("a", "train"), ("b", "train")])
    roles = roles_of(pack, paths(pack, 0, 1))
    assert not len(roles.probes)
    assert "split by sample or a test split" in roles.no_probes
    assert roles.unseen.tolist() == [2]
    assert "held out of training" in roles.unseen_data


@pytest.mark.parametrize("trained", [{"a/0", "z/9"}, set()], ids=["another", "none"])
def test_another_pack_than_the_run_was_trained_on_is_refused(trained: set[str]) -> None:
    """Else identities that the run knows would pass for unseen."""
    with pytest.raises(PackError, match="not the pack that the run was trained on"):
        roles_of(pack_of([("a", "train"), ("b", "train")]), trained)


def test_an_imported_network_has_seen_nobody_of_either_split() -> None:
    pack = pack_of([("a", "train"), ("a", "test"), ("b", "train")])
    roles = imported_roles(pack, {"yours"})
    assert roles.imported
    assert (roles.trained.tolist(), roles.probes.tolist()) == ([], [])
    assert roles.unseen.tolist() == [0, 1, 2]
    with pytest.raises(PackError, match="trained on mine"):
        imported_roles(pack, {"yours", "mine"})


# --- both closed-set protocols of a model and a pack ---


def by_row(places: dict[int, list[float]]) -> Any:
    """A network that knows each image by its pixel."""

    def embed(images_BHW3: Tensor) -> Tensor:
        assert images_BHW3.dtype == torch.uint8
        return torch.tensor([places[int(image[0, 0, 0])] for image in images_BHW3])

    return embed


def test_closed_set_takes_centres_of_the_trained_and_probes_of_the_others() -> None:
    images = [("a", "train"), ("a", "train"), ("b", "train"), ("a", "test"), ("b", "test")]
    pack = pack_of([*images, ("b", "test"), ("c", "test")])
    places = {0: [0.0], 1: [-99.0], 2: [10.0], 3: [1.0], 4: [5.2], 5: [20.0], 6: [0.0]}
    result = closed_set(by_row(places), pack, paths(pack, 0, 2), progress=False)
    # Centres 0 and 10 of the trained (1 was not); probes 1, 5.2 and 20 are all right.
    assert result.held_out == 1
    # Centres of the probes are 1 and 12.6: 5.2 is nearer to 1.
    assert result.paper == pytest.approx(2 / 3)
    assert (result.probes, result.classes, result.data) == (3, 2, "test split of mine")


def test_closed_set_without_probes_says_why() -> None:
    pack = pack_of([("a", "train"), ("b", "train")])
    with pytest.raises(ValueError, match="the protocols paper and held-out need"):
        closed_set(by_row({}), pack, paths(pack, 0), progress=False)


def test_rows_are_embedded_in_their_order_and_batches() -> None:
    pack = pack_of([("a", "train")] * 7)
    model = by_row({i: [float(i)] for i in range(7)})
    rows = np.array([6, 0, 3, 3, 1])
    found = embed_images(model, pack.images, rows=rows, batch_size=2, progress=False)
    assert found[:, 0].tolist() == [6, 0, 3, 3, 1]
    everything = embed_images(model, pack.images, batch_size=3, progress=False)
    assert everything[:, 0].tolist() == list(range(7))
    with pytest.raises(ValueError, match="no images to embed"):
        embed_images(model, pack.images, rows=rows[:0], progress=False)


# On `meta` nothing is computed: it stands for a device that is not the CPU.
@pytest.mark.parametrize(("device", "pieces"), [("cpu", [3, 3, 2, 3, 1]), ("meta", [8, 4])])
def test_batches_are_cut_in_pieces_on_the_cpu_alone(
    monkeypatch: pytest.MonkeyPatch, device: str, pieces: list[int]
) -> None:
    monkeypatch.setattr(embed_module, "CPU_IMAGES_AT_ONCE", 3)
    seen = []

    def model(images_BHW3: Tensor) -> Tensor:
        assert images_BHW3.device.type == device
        seen.append(len(images_BHW3))
        return torch.zeros(len(images_BHW3), 2)

    pack = pack_of([("a", "train")] * 12)
    found = embed_images(model, pack.images, batch_size=8, device=device, progress=False)
    assert seen == pieces
    assert found.shape == (12, 2)


# --- zero-shot ranks ---


def test_ranks_of_clear_clusters_are_first() -> None:
    labels = np.repeat(np.arange(6), 4)
    points = np.eye(6, dtype=np.float32)[labels]
    result = rank_probes(points, labels, d_max=2.0, draws=3, data="x")
    assert (result.rank1.value, result.rank1.low95, result.rank1.high95) == (1, 1, 1)
    assert result.cmc_R.tolist() == [1.0] * 6
    assert (result.subjects, result.enrolled, result.probes, result.draws) == (6, 1, 18, 3)


def test_identities_without_an_image_to_spare_are_not_in_the_gallery() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3])
    points = np.eye(4, dtype=np.float32)[labels]
    assert rank_probes(points, labels, d_max=2.0, data="x").subjects == 3
    assert rank_probes(points, labels, d_max=2.0, data="x", enrolled=2).subjects == 2
    with pytest.raises(TooFewError, match=r"more than 3 images .* there are 0"):
        rank_probes(points, labels, d_max=2.0, data="x", enrolled=3)


def test_a_collapsed_network_ranks_nobody_first() -> None:
    labels = np.repeat(np.arange(5), 3)
    points = np.tile(np.arange(1, 9) / 3, (15, 1)).astype(np.float32)
    result = rank_probes(points, labels, d_max=2.0, data="x")
    assert result.rank1.value == 0
    assert result.cmc_R.tolist() == [0, 0, 0, 0, 1]


def test_more_enrolled_images_find_more() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 8)
    points = rng.standard_normal((40, 24))[labels] + rng.standard_normal((320, 24))
    one, five = (rank_probes(points, labels, d_max=20.0, data="x", enrolled=m) for m in (1, 5))
    assert one.rank1.value < five.rank1.value - 0.1
    assert one.rank1.value == one.cmc_R[0] < one.cmc_R[1]
    assert one.rank1.low95 < one.rank1.value < one.rank1.high95
