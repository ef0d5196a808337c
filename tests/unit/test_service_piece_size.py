"""How many crops at once: the faster of two ways, in time that a stand-in takes by its clock."""

from pathlib import Path

import numpy as np
import pytest

from contract.bundle import load_bundle
from service import piece_size
from service.parity import Embeddings, Pixels


@pytest.mark.parametrize(
    ("of_a_call_s", "of_a_crop_s", "expected"),
    [(0.0, 1.0, 1), (0.5, 1.0, 8), (1.0, 0.01, 8)],
    ids=["equal: one by one", "calls cost", "crops cost nearly nothing"],
)
@pytest.mark.parametrize("spilled_s", [0.0, 3.0])
def test_the_way_that_takes_less_of_the_processor_is_chosen(
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    of_a_call_s: float,
    of_a_crop_s: float,
    expected: int,
    spilled_s: float,
) -> None:
    """spilled_s: what each crop of a piece of several costs more, as where a cache is too small."""
    clock = 0.0

    def embed(crops_BHW3: Pixels) -> Embeddings:
        nonlocal clock
        count = len(crops_BHW3)
        clock += of_a_call_s + count * (of_a_crop_s + (spilled_s if count > 1 else 0))
        return np.zeros((count, 4), dtype=np.float32)

    monkeypatch.setattr("service.piece_size.time.thread_time", lambda: clock)
    found = piece_size.fastest_piece(embed, load_bundle(tiny_bundle).manifest)
    assert found == (1 if spilled_s else expected)


def test_a_disturbed_round_does_not_decide(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, whole = 0.0, 0

    def embed(crops_BHW3: Pixels) -> Embeddings:
        nonlocal clock, whole
        whole += len(crops_BHW3) == piece_size.MOST_AT_ONCE
        clock += 100.0 if whole == 2 else 1.0  # The first one warms up.
        return np.zeros((len(crops_BHW3), 4), dtype=np.float32)

    monkeypatch.setattr("service.piece_size.time.thread_time", lambda: clock)
    manifest = load_bundle(tiny_bundle).manifest
    assert piece_size.fastest_piece(embed, manifest) == piece_size.MOST_AT_ONCE
