"""The protocol of Labeled Faces in the Wild: its list of pairs, its folds and what is no photo."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from training.data.pack import Pack, PackError, PackIndex
from training.evaluation.lfw import Pair, evaluate_lfw, person_key, read_pairs
from training.evaluation.roc import EqualError, TarAtFar

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
        splits=("test",) * len(paths), paths=tuple(paths), unused=(),
        labels=tuple(PEOPLE.index(p.split("/")[1]) for p in paths),
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
    assert result.equal_error == EqualError(0.0, 1.0)
    assert result.tar_at_far is None  # four non-mated pairs cannot show a FAR of 1e-3


def test_tar_at_far_and_eer_count_photos_without_a_face_as_non_matches(tmp_path: Path) -> None:
    """Bo_0002 is in one of four mated pairs: no threshold accepts it."""
    result = lfw_result(lfw_pack(tmp_path, missing=("Bo_0002",)))
    assert result.curve.tmr_T.max() == 0.75
    assert (result.curve.mated, result.curve.nonmated) == (4, 4)
    assert result.equal_error == EqualError(0.125, 1.0)


@pytest.mark.parametrize(
    ("alike", "found"), [(3, TarAtFar(1.0, 1.0)), (4, TarAtFar(0.0, math.inf))]
)
def test_with_enough_pairs_tar_at_far_is_stated(
    tmp_path: Path, alike: int, found: TarAtFar
) -> None:
    """3,000 non-mated pairs, some as similar as the mated ones: three are allowed, four are not."""
    people = ["Ada_Byron\t1\t2\n"] * 3_000
    others = ["Ada_Byron\t1\tBo\t1\n"] * alike + ["Ada_Byron\t1\tCy\t1\n"] * (3_000 - alike)
    folds = [*people[:1_500], *others[:1_500], *people[1_500:], *others[1_500:]]
    pack = lfw_pack(tmp_path, "2\t1500\n" + "".join(folds))
    embeddings = perfect_embeddings(pack)
    embeddings[2] = embeddings[0]  # Bo's first photo looks as Ada does
    assert lfw_result(pack, embeddings=embeddings).tar_at_far == found


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


def test_where_nobody_knows_who_was_trained_on_nothing_is_said_of_it(tmp_path: Path) -> None:
    pack = lfw_pack(tmp_path)
    result = evaluate_lfw(pack, perfect_embeddings(pack), d_max=2.0, trained_identities=None)
    assert (result.shared_people, result.disjoint) == (None, None)
    assert result.accuracy == lfw_result(pack).accuracy


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
