"""Receipts: all of one arrives, and what is not wholly one is refused in words."""

import base64
import re
import string
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import Candidate, Subject
from index.tables.feedback import Answered
from service.receipt import (
    MAX_CHARS,
    Receipt,
    SearchedGallery,
    contract_digest,
    decoded,
    encoded,
    receipt_for,
)

ID_CHARS = string.ascii_letters + string.digits + "._:@+~-"
NUMBERS = st.integers(0, 2**63 - 1)
IDS = st.text(ID_CHARS, min_size=1, max_size=128)
GALLERIES = st.builds(
    SearchedGallery,
    collection_id=IDS,
    collection_number=NUMBERS,
    contract=st.binary(min_size=8, max_size=8),
    scoring=st.sampled_from(["best", "mean"]),
    subjects=NUMBERS,
    templates=NUMBERS,
    revision=NUMBERS,
)
SCORES = st.floats(0, 1)
ANSWERS: tuple[Answered, ...] = ("match", "unknown", "not_evaluated")


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    scores = sorted(draw(st.lists(SCORES, min_size=1, max_size=2)), reverse=True)
    return Receipt(
        id=draw(st.binary(min_size=16, max_size=16)).hex(),
        at=draw(st.integers(0, 2**34)),
        gallery=draw(GALLERIES),
        answered=draw(st.sampled_from(ANSWERS)),
        best=tuple((draw(IDS), score) for score in scores),
    )


RECEIPT = Receipt(
    id="00ff" * 8,
    at=1_800_000_000,
    gallery=SearchedGallery(
        collection_id="default",
        collection_number=1,
        contract=contract_digest("test:a"),
        scoring="best",
        subjects=3,
        templates=4,
        revision=5,
    ),
    answered="match",
    best=(("ann", 2 / 3), ("bob", 1 / 3)),
)


@given(receipts())
def test_all_of_it_arrives_in_text_that_any_url_or_form_takes(receipt: Receipt) -> None:
    text = encoded(receipt)
    assert decoded(text) == receipt
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert len(text) <= MAX_CHARS


def test_it_is_short() -> None:
    assert len(encoded(RECEIPT)) < 200


@pytest.mark.parametrize("place", range(len(encoded(RECEIPT))))
def test_each_letter_that_is_mistyped_is_noticed(place: int) -> None:
    text = encoded(RECEIPT)
    for letter in {*string.ascii_letters, *string.digits, *"-_ +/=\n.é\0"} - {text[place]}:
        with pytest.raises(ValueError, match="not whole"):
            decoded(text[:place] + letter + text[place + 1 :])
    with pytest.raises(ValueError, match="not whole"):
        decoded(text[:place])
    with pytest.raises(ValueError, match="not whole"):
        decoded(text[:place] + text[place + 1 :])


@given(st.text(max_size=300) | st.text(ID_CHARS, max_size=300))
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="receipt"):
        decoded(text)


def signed(data: bytes) -> str:
    """Bytes as whoever forges a receipt would send them."""
    whole = data + zlib.crc32(data).to_bytes(4, "big")
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-4]


def test_another_version_is_told() -> None:
    data = plain(encoded(RECEIPT))
    with pytest.raises(ValueError, match="version 2, this service reads 1"):
        decoded(signed(b"\x02" + data[1:]))


@given(st.binary(max_size=200))
def test_what_contradicts_itself_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="receipt"):
        decoded(signed(b"\x01" + data))


@given(st.integers(1, 92), st.binary(min_size=1, max_size=9))
def test_made_up_numbers_are_refused_or_possible(place: int, other: bytes) -> None:
    data = plain(encoded(RECEIPT))
    try:
        receipt = decoded(signed(data[:place] + other + data[place + len(other) :]))
    except ValueError:
        return
    scores = [score for _, score in receipt.best]
    assert 1 >= scores[0] >= scores[-1] >= 0
    gallery = receipt.gallery
    numbers = (gallery.collection_number, gallery.subjects, gallery.templates, gallery.revision)
    assert all(0 <= number < 2**63 for number in numbers)


def candidate(name: str, similarity: float) -> Any:
    subject = Subject(
        id=name, name=None, external_id=None, metadata={}, template_count=1, created_at=""
    )
    return Candidate(subject=subject, similarity=similarity, template_id="t")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_has_the_two_best_candidates(count: int) -> None:
    found = tuple(candidate(f"s{n}", 0.9 - n / 10) for n in range(count))
    text = receipt_for(RECEIPT.gallery, found, "unknown")
    assert text is not None
    receipt = decoded(text)
    assert receipt.best == tuple((c.subject.id, c.similarity) for c in found[:2])
    assert (receipt.gallery, receipt.answered) == (RECEIPT.gallery, "unknown")
    assert receipt_for(RECEIPT.gallery, found, "unknown") != text


def test_nobody_has_no_receipt() -> None:
    assert receipt_for(RECEIPT.gallery, (), "unknown") is None
