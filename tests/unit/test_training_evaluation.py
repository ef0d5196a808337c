"""Verification, LFW's protocol and the default threshold, each against brute force."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.pack import Pack, PackError, PackIndex
from training.evaluation.lfw import Pair, evaluate_lfw, person_key, read_pairs
from training.evaluation.strangers import default_threshold, nonmated_maxima
from training.evaluation.verification import (
    accuracy_at,
    best_threshold,
    folded_accuracy,
    pair_auc,
)

CHECKED = settings(derandomize=True, database=None, max_examples=100, deadline=None)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# A grid makes ties, floats make none.
SCORES = st.one_of(st.integers(0, 4).map(lambda n: n / 4), st.floats(0, 1))
SCORED_PAIRS = st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=12)


def columns(pairs: list[tuple[float, bool]]) -> tuple[Floats, Bools]:
    return np.array([score for score, _ in pairs]), np.array([mated for _, mated in pairs])


# --- verification ---


def slow_accuracy(threshold: float, pairs: list[tuple[float, bool]]) -> float:
    right = [not math.isnan(s) and (s >= threshold) == mated for s, mated in pairs]
    return sum(right) / len(right)


def best_slow_accuracy(pairs: list[tuple[float, bool]]) -> float:
    """Every threshold that decides differently: each score, and one above them all."""
    return max(slow_accuracy(t, pairs) for t in [*(score for score, _ in pairs), 2.0])


@CHECKED
@given(SCORED_PAIRS)
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[float, bool]]) -> None:
    scores, mated = columns(pairs)
    threshold = best_threshold(scores, mated)
    assert accuracy_at(threshold, scores, mated) == pytest.approx(best_slow_accuracy(pairs))


def test_the_best_threshold_lies_midway_between_the_scores() -> None:
    assert best_threshold(*columns([(0.2, False), (0.6, True)])) == pytest.approx(0.4)


def test_scores_of_the_next_float_can_be_told_apart() -> None:
    """Midway between neighbouring floats is one of them, and must be the upper one."""
    for low in (0.5, np.nextafter(0.5, 1)):
        pairs = [(float(low), False), (float(np.nextafter(low, 1)), True)]
        assert accuracy_at(best_threshold(*columns(pairs)), *columns(pairs)) == 1


def test_a_score_that_is_none_is_wrong_for_mated_and_for_nonmated_pairs() -> None:
    scores, mated = columns([(0.9, True), (0.1, False), (math.nan, True), (math.nan, False)])
    assert accuracy_at(0.5, scores, mated) == 0.5
    assert accuracy_at(best_threshold(scores, mated), scores, mated) == 0.5


def test_pairs_without_any_score_have_no_threshold() -> None:
    for scores in (np.array([]), np.array([math.nan])):
        with pytest.raises(ValueError, match="pairs with a score"):
            best_threshold(scores, np.ones(len(scores), dtype=bool))


@CHECKED
@given(st.lists(st.tuples(SCORES, st.booleans(), st.integers(0, 2)), min_size=6, max_size=20))
def test_each_fold_is_judged_at_the_best_threshold_of_the_others(
    rows: list[tuple[float, bool, int]],
) -> None:
    rows = [(0.1, False, 0), (0.9, True, 1), *rows]  # two folds at the least
    scores, mated = columns([(score, is_mated) for score, is_mated, _ in rows])
    folds = np.array([fold for _, _, fold in rows])
    accuracies = []
    for fold in sorted(set(folds.tolist())):
        threshold = best_threshold(scores[folds != fold], mated[folds != fold])
        own = [(score, is_mated) for score, is_mated, its in rows if its == fold]
        accuracies.append(slow_accuracy(threshold, own))
    found = folded_accuracy(scores, mated, folds)
    mean = sum(accuracies) / len(accuracies)
    variance = sum((a - mean) ** 2 for a in accuracies) / (len(accuracies) - 1)
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(math.sqrt(variance / len(accuracies)))
    assert found.pairs == len(rows)


def test_a_fold_never_helps_to_choose_its_own_threshold() -> None:
    """Fold 1 alone would be perfect at 0.8; the others put its threshold at 0.5."""
    fold_1 = [(0.7, False), (0.9, True)]
    others = [(0.1, False), (0.9, True)] * 5
    scores, mated = columns(fold_1 + others)
    folds = np.array([1] * 2 + [2, 2, 2, 2, 2, 3, 3, 3, 3, 3])
    assert folded_accuracy(scores, mated, folds).mean == pytest.approx((0.5 + 1 + 1) / 3)


@pytest.mark.parametrize("folds", [[], [3, 3]])
def test_one_fold_has_no_others_to_be_judged_by(folds: list[int]) -> None:
    scores, mated = columns([(0.1, False), (0.9, True)][: len(folds)])
    with pytest.raises(ValueError, match="two of them"):
        folded_accuracy(scores, mated, np.array(folds, dtype=np.int64))


def slow_auc(points: Floats, labels: list[int]) -> float:
    count = len(points)
    pairs = [(i, j) for i in range(count) for j in range(i)]
    mated = [math.dist(points[i], points[j]) for i, j in pairs if labels[i] == labels[j]]
    other = [math.dist(points[i], points[j]) for i, j in pairs if labels[i] != labels[j]]
    wins = [1.0 if m < o else 0.5 if m == o else 0.0 for m in mated for o in other]
    return sum(wins) / len(wins)


@CHECKED
@given(
    labels=st.lists(st.integers(0, 3), min_size=3, max_size=10).filter(
        lambda labels: 1 < len(set(labels)) < len(labels)
    ),
    seed=st.integers(0, 2**32 - 1),
    grid=st.booleans(),
)
def test_pair_auc_equals_the_loops_and_counts_ties_half(
    labels: list[int], seed: int, grid: bool
) -> None:
    """Whole numbers: many ties, and distances that float32 computes exactly."""
    rng = np.random.default_rng(seed)
    points = (
        rng.integers(-1, 2, (len(labels), 2))
        if grid
        else rng.permutation(1000)[: len(labels), None]
    )
    found = pair_auc(points.astype(np.float64), np.array(labels))
    assert found == pytest.approx(slow_auc(points.astype(np.float64), labels), abs=1e-12)


def test_embeddings_that_fell_together_tell_nobody_apart() -> None:
    assert pair_auc(np.ones((6, 4)), np.array([0, 0, 1, 1, 2, 2])) == 0.5


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_pair_auc_needs_pairs_of_both_kinds(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="Both mated and non-mated"):
        pair_auc(np.eye(3), np.array(labels))


# --- LFW ---

# Two folds of two mated and two non-mated pairs.
PAIRS_TXT = (
    "2\t2\n"
    "Ada_Byron\t1\t2\nBo\t1\t2\n"
    "Ada_Byron\t1\tBo\t1\nAda_Byron\t2\tCy\t1\n"
    "Cy\t1\t2\nDi\t1\t2\n"
    "Cy\t2\tDi\t2\nBo\t2\tDi\t1\n"
)
PEOPLE = ["Ada_Byron", "Bo", "Cy", "Di"]


def lfw_pack(root: Path, pairs: str = PAIRS_TXT, *, missing: tuple[str, ...] = ()) -> Pack:
    """Two photos of each person, `<name>/<name>_000<number>.jpg`, without pixels."""
    (root / "pairs.txt").write_text(pairs, encoding="utf-8")
    paths = [f"lfw/{name}/{name}_{n:04}.jpg" for name in PEOPLE for n in (1, 2)]
    paths = [path for path in paths if Path(path).stem not in missing]
    index = PackIndex(
        source="lfw", alignment="five_point_112", identities=tuple(f"lfw/{n}" for n in PEOPLE),
        paths=tuple(paths), labels=tuple(PEOPLE.index(p.split("/")[1]) for p in paths), unused=(),
    )  # fmt: skip
    return Pack(root, index, np.zeros((len(paths), 112, 112, 3), dtype=np.uint8))


def perfect_embeddings(pack: Pack) -> npt.NDArray[np.float32]:
    return np.eye(len(PEOPLE), dtype=np.float32)[pack.labels]


def test_pairs_are_read_with_their_folds(tmp_path: Path) -> None:
    pairs = read_pairs(lfw_pack(tmp_path).root / "pairs.txt")
    assert len(pairs) == 8
    assert pairs[0] == Pair(first=("Ada_Byron", 1), second=("Ada_Byron", 2), fold=0)
    assert pairs[3] == Pair(first=("Ada_Byron", 2), second=("Cy", 1), fold=0)
    assert [pair.mated for pair in pairs] == [True, True, False, False] * 2
    assert [pair.fold for pair in pairs] == [0] * 4 + [1] * 4


@pytest.mark.parametrize(
    "text",
    ["", "hello", "2\t2\nAda\t1\n", "2\t2\nAda\tone\t2\n", PAIRS_TXT + "Bo\t1\t2\n",
     "1\t2\nBo\t1\t2\n",
     "0\t0\nBo\t1\t2\n", "0\t0\n"],
    ids=["empty", "text", "two fields", "no number", "one too many", "too few", "no folds", "none"],
)  # fmt: skip
def test_another_file_is_no_list_of_pairs(tmp_path: Path, text: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(PackError, match=r"pairs\.txt"):
        read_pairs(tmp_path / "pairs.txt")


def test_a_missing_list_of_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"pairs\.txt"):
        read_pairs(tmp_path / "pairs.txt")


def lfw_result(pack: Pack, *, trained: set[str] | None = None, **changes: Any) -> Any:
    embeddings = changes.get("embeddings", perfect_embeddings(pack))
    return evaluate_lfw(pack, embeddings, d_max=2.0, trained_identities=trained or set())


def test_embeddings_that_tell_people_apart_are_always_right(tmp_path: Path) -> None:
    result = lfw_result(lfw_pack(tmp_path))
    assert (result.accuracy.mean, result.accuracy.pairs) == (1.0, 8)
    assert (result.disjoint.mean, result.disjoint.pairs) == (1.0, 8)
    assert (result.failures_to_acquire, result.shared_people) == (0, 0)


def test_a_photo_without_a_face_makes_its_pairs_errors(tmp_path: Path) -> None:
    """Bo_0002 is in one pair of each fold."""
    result = lfw_result(lfw_pack(tmp_path, missing=("Bo_0002",)))
    assert result.failures_to_acquire == 1
    assert result.accuracy.mean == pytest.approx(0.75)
    assert result.accuracy.pairs == 8


def test_people_of_the_training_data_are_left_out_of_the_disjoint_pairs(tmp_path: Path) -> None:
    """Without Ada: of fold 0 the pair of Bo, of fold 1 all four."""
    pack = lfw_pack(tmp_path)
    embeddings = perfect_embeddings(pack)
    embeddings[0] = -embeddings[0]  # Ada's first photo is far from her second, and from all
    result = lfw_result(pack, trained={"adabyron", "someone"}, embeddings=embeddings)
    assert result.shared_people == 1
    assert result.disjoint.pairs == 5
    assert result.disjoint.mean == 1
    assert result.accuracy.mean < 1


def test_the_similarity_of_a_pair_is_the_one_of_the_product(tmp_path: Path) -> None:
    """Scaling embeddings and d_max alike changes nothing; distances beyond d_max all count 0."""
    pack = lfw_pack(tmp_path)
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((8, 3)).astype(np.float32)
    first = evaluate_lfw(pack, embeddings, d_max=20.0, trained_identities=set())
    again = evaluate_lfw(pack, embeddings * 4, d_max=80.0, trained_identities=set())
    assert first == again
    far = evaluate_lfw(pack, embeddings * 1e6, d_max=1.0, trained_identities=set())
    assert far.accuracy.mean == 0.5


def test_one_person_has_one_key_in_every_spelling() -> None:
    spellings = ["pubfig/Lucy_Liu", "lucy liu", "lfw/Lucy-Liu", "Lucy_Liu_2"]
    assert {person_key(s) for s in spellings} == {"lucyliu"}
    assert person_key("x/Zoë") == "zoë"


# --- default threshold ---


def strangers(identities: int = 30, images_each: int = 3, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.permutation(identities) * 7, images_each)
    points = rng.standard_normal((len(labels), 6))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), labels


def slow_maxima(embeddings: Any, labels: Any, *, gallery_subjects: int, draws: int) -> list[float]:
    """The same draws, one search at a time."""
    rng = np.random.default_rng(5)
    maxima = []
    for _ in range(draws):
        images = [np.flatnonzero(labels == label) for label in sorted(set(labels.tolist()))]
        picks = rng.integers(0, [len(rows) for rows in images])
        order = rng.permutation([rows[pick] for rows, pick in zip(images, picks, strict=True)])
        gallery, probes = order[:gallery_subjects], order[gallery_subjects:]
        for probe in probes:
            distances = [
                math.dist(embeddings[probe].tolist(), embeddings[g].tolist()) for g in gallery
            ]
            maxima.append(1 - min(distances) / 2)
    return maxima


@pytest.mark.parametrize("gallery_subjects", [1, 10, 29])
def test_nonmated_maxima_equal_one_search_after_the_other(gallery_subjects: int) -> None:
    embeddings, labels = strangers()
    found = nonmated_maxima(
        embeddings, labels, gallery_subjects=gallery_subjects, draws=3, seed=5, d_max=2.0
    )
    slow = slow_maxima(embeddings, labels, gallery_subjects=gallery_subjects, draws=3)
    assert found == pytest.approx(slow, abs=1e-7)


def test_no_search_finds_its_own_identity() -> None:
    """Images of one identity are equal and of two are opposite or at right angles."""
    labels = np.repeat(np.arange(8), 5)
    points = np.vstack([np.eye(4), -np.eye(4)]).astype(np.float32)[labels]
    maxima = nonmated_maxima(points, labels, gallery_subjects=4, draws=20, seed=0, d_max=2.0)
    assert len(maxima) == 20 * 4
    assert maxima.max() <= 1 - math.sqrt(2) / 2 + 1e-9


@CHECKED
@given(
    seed=st.integers(0, 2**32 - 1),
    fpir=st.sampled_from([0.0, 0.01, 0.1, 0.5]),
    identities=st.integers(6, 30),
)
def test_the_default_threshold_keeps_its_promise_and_none_lower_does(
    seed: int, fpir: float, identities: int
) -> None:
    embeddings, labels = strangers(identities, seed=seed)
    found = default_threshold(
        embeddings, labels, d_max=2.0, fpir=fpir, gallery_subjects=5, data="made up"
    )
    maxima = nonmated_maxima(embeddings, labels, gallery_subjects=5, draws=10, seed=0, d_max=2.0)
    accepted = float((maxima >= found.similarity).mean())
    assert accepted <= fpir
    assert found.fpir == accepted
    refused = maxima[maxima < found.similarity].max()
    assert float((maxima >= refused).mean()) > fpir
    assert (found.gallery_subjects, found.searches) == (5, identities - 5)


def test_strangers_need_more_identities_than_the_gallery_has() -> None:
    embeddings, labels = strangers(10)
    with pytest.raises(ValueError, match="10 identities cannot give 10 subjects"):
        nonmated_maxima(embeddings, labels, gallery_subjects=10, draws=1, seed=0, d_max=2.0)


def test_a_model_that_sends_everyone_to_one_point_is_honest_about_it() -> None:
    embeddings, labels = strangers(10)
    found = default_threshold(
        np.ones_like(embeddings), labels, d_max=2.0, gallery_subjects=5, data="made up"
    )
    assert (found.similarity, found.fpir) == (1.0, 1.0)
