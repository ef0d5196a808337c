"""What the gallery takes from its callers, and how it refuses the rest."""

from typing import Any

import numpy as np
import pytest

from index.checks import (
    check_crops,
    check_embeddings,
    check_subject_id,
    check_text,
    metadata_text,
)
from tests.conftest import UNIT


@pytest.mark.parametrize(
    "embeddings",
    [
        UNIT[0],
        UNIT[:, :3],
        UNIT[None],
        UNIT.astype(np.int64),
        np.array([["a", "b", "c", "d"]]),
        np.array([[0, np.nan, 0, 0]], dtype=np.float32),
        np.array([[0, np.inf, 0, 0]], dtype=np.float32),
        np.array([[0, 1e300, 0, 0]]),
        np.array([[0, 65_536, 0, 0]], dtype=np.float32),
    ],
    ids=["1-d", "size", "3-d", "integers", "text", "nan", "infinite", "overflow", "half"],
)
def test_unusable_embeddings_are_refused(embeddings: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^Embeddings must (be|hold)"):
        check_embeddings(embeddings, size=4, what="Embeddings")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_embeddings_are_copied_as_float32(dtype: Any) -> None:
    given = np.asfortranarray(UNIT * 65_504, dtype=dtype)
    kept = check_embeddings(given, size=4, what="Embeddings")
    given[:] = 7
    assert kept.dtype == np.float32
    assert kept.flags.c_contiguous
    assert np.array_equal(kept, UNIT * 65_504)
    assert check_embeddings(UNIT[:0], size=4, what="Embeddings").shape == (0, 4)


@pytest.mark.parametrize("subject_id", ["a", "7", "Z9._:@+~-", "a" * 128, "0..1"])
def test_ids_that_are_safe_everywhere_are_taken(subject_id: str) -> None:
    assert check_subject_id(subject_id) == subject_id


@pytest.mark.parametrize(
    "subject_id", ["", ".", "..", "a/b", "a b", "ä", "a\n", "-a", "a" * 129, "٣"]
)
def test_other_ids_are_refused(subject_id: str) -> None:
    with pytest.raises(ValueError, match=r"The subject id .* cannot be used"):
        check_subject_id(subject_id)


def test_text_is_plain_and_not_too_long() -> None:
    for text in (None, "a", "名" * 8, "a\u200db", "👩\u200d🔬"):
        assert check_text(text, what="name", max_chars=8) == text
    for text in ("", "a\x00b", "a\nb", "\x7f", "\x85", "\ud800", "n" * 9):
        with pytest.raises(ValueError, match=r"The name .* cannot be used"):
            check_text(text, what="name", max_chars=8)


def test_equal_metadata_has_equal_text() -> None:
    assert metadata_text({"b": [1, None, True], "a": {"ö": 1.5}}) == (
        '{"a":{"ö":1.5},"b":[1,null,true]}'
    )
    assert metadata_text({}) == "{}"
    assert len(metadata_text({"a": "x" * 65_528}).encode()) == 65_536


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {1: "a"},
        {"a": {2: 3}},
        {"a": object()},
        {"a": (1,)},
        {"a": "\ud800"},
        {"a": "x" * 65_529},
        {"a": "€" * 30_000},
    ],
    ids=["nan", "inf", "key", "inner key", "object", "tuple", "surrogate", "long", "long in bytes"],
)
def test_unusable_metadata_is_refused(metadata: Any) -> None:
    with pytest.raises(ValueError, match="The metadata"):
        metadata_text(metadata)


def test_metadata_of_any_depth_is_answered() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="The metadata"):
        metadata_text(deep)


def test_one_crop_or_none_for_each_template() -> None:
    largest = b"x" * 1_048_576
    assert check_crops(None, count=2) == [None, None]
    assert check_crops((largest, None), count=2) == [largest, None]
    for crops in ([b"x"], [b"x"] * 3, []):
        with pytest.raises(ValueError, match="for each of 2 templates"):
            check_crops(crops, count=2)
    for wrong in (b"", largest + b"x"):
        with pytest.raises(ValueError, match="1 to 1048576 bytes"):
            check_crops([wrong], count=1)
