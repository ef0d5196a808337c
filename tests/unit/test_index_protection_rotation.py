"""The rotation of a secret: what docs/protection.md says, computed by hand, and orthogonal."""

import hashlib
import math

import numpy as np
import pytest

from index.protection.protection import PLAIN, Protection
from index.protection.rotation import rotation

SECRET, SALT = bytes(range(32)), bytes(range(100, 116))


def by_hand(secret: bytes, salt: bytes, size: int) -> list[list[float]]:
    """The construction in plain Python: Gram and Schmidt in place of Householder."""
    text = b"oneglance rotation-1" + secret + salt + size.to_bytes(4, "big")
    stream = hashlib.shake_256(text).digest(16 * size * size)

    def number(place: int) -> float:
        word = int.from_bytes(stream[8 * place : 8 * place + 8], "little")
        return ((word >> 11) + 0.5) / 2.0**53

    def normal(place: int) -> float:
        first, second = number(2 * place), number(2 * place + 1)
        return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)

    columns = [[normal(row * size + column) for row in range(size)] for column in range(size)]
    done: list[list[float]] = []
    for column in columns:
        rest = column
        for _ in range(2):
            for before in done:
                along = sum(x * y for x, y in zip(rest, before, strict=True))
                rest = [x - along * y for x, y in zip(rest, before, strict=True)]
        length = math.sqrt(sum(x * x for x in rest))
        done.append([x / length for x in rest])
    return [[done[column][row] for column in range(size)] for row in range(size)]


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_it_is_the_documented_construction(size: int) -> None:
    np.testing.assert_allclose(
        rotation(SECRET, SALT, size), by_hand(SECRET, SALT, size), rtol=0, atol=1e-12
    )


def test_it_stays_what_galleries_were_written_by() -> None:
    # Never to be changed: whoever changes the construction takes another name for it.
    np.testing.assert_allclose(
        rotation(SECRET, SALT, 2),
        [[-0.6964736756847862, 0.7175823430646292], [-0.7175823430646292, -0.6964736756847862]],
        rtol=0,
        atol=1e-12,
    )


def test_every_part_of_the_seed_counts() -> None:
    first = rotation(SECRET, SALT, 8)
    for secret, salt, size in (
        (SECRET[:-1] + b"\0", SALT, 8),
        (SECRET, SALT[:-1] + b"\0", 8),
        (SECRET, SALT, 9),
    ):
        assert np.abs(rotation(secret, salt, size)[:8, :8] - first).max() > 0.1


@pytest.mark.parametrize(("secret", "salt"), [(SECRET[1:], SALT), (SECRET, SALT + b"1")])
def test_a_secret_of_another_length_is_refused(secret: bytes, salt: bytes) -> None:
    with pytest.raises(ValueError, match="A secret has 32 bytes, a salt 16"):
        rotation(secret, salt, 4)


def test_distances_and_the_way_back_are_kept_to_a_rounding() -> None:
    rows = np.random.default_rng(0).standard_normal((40, 128)).astype(np.float32)
    made = Protection("x", rotation(SECRET, SALT, 128))
    stored = made.protect(rows)
    before = np.linalg.norm(rows[:, None].astype(float) - rows[None], axis=2)
    after = np.linalg.norm(stored[:, None].astype(float) - stored[None], axis=2)
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-6)
    np.testing.assert_allclose(made.plain(stored), rows, rtol=0, atol=2e-6)
    # And no number of it is what it was.
    assert np.median(np.abs(stored - rows)) > 0.3


def test_a_row_alone_is_turned_to_the_same_bits_as_among_others() -> None:
    rows = np.random.default_rng(0).standard_normal((33, 128)).astype(np.float32)
    made = Protection("x", rotation(SECRET, SALT, 128))
    alone = [made.protect(row[None]).tobytes() for row in rows]
    assert b"".join(alone) == made.protect(rows).tobytes()


def test_the_same_embedding_is_known_again_and_a_like_one_is_not() -> None:
    row = np.random.default_rng(0).standard_normal(128).astype(np.float32)
    made = Protection("x", rotation(SECRET, SALT, 128))
    (stored,) = made.protect(row[None])
    (back,) = made.plain(stored[None])
    assert made.same(stored, row)
    assert made.same(stored, back)
    assert not made.same(stored, row * np.float32(1.0001))
    assert PLAIN.same(row, row.copy())
    assert not PLAIN.same(row, np.nextafter(row, np.float32(9)))


def test_an_embedding_too_long_for_any_index_is_refused() -> None:
    made = Protection("x", rotation(SECRET, SALT, 4))
    with pytest.raises(ValueError, match="may be up to 65504 long"):
        made.protect(np.full((1, 4), 65_504, dtype=np.float32) * made_signs())


def made_signs() -> np.ndarray:
    """Of a row of the matrix: all its parts add up."""
    return np.sign(rotation(SECRET, SALT, 4)[0]).astype(np.float32)


def test_the_matrix_is_in_no_text() -> None:
    made = Protection("label", rotation(SECRET, SALT, 2))
    assert repr(made) == "Protection(label='label')"
    assert made == Protection("label")
