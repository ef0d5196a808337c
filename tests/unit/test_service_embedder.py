"""TorchScriptEmbedder: shapes, precision, and when bfloat16 is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.bundle import load_bundle
from contract.errors import OneGlanceError
from contract.similarity import similarity_from_distance
from service import embedder as module
from service.embedder import BF16_TOLERANCE, TorchScriptEmbedder
from service.parity import probe_crops
from tests.conftest import BundleMaker, Face, Pixels, texture


@pytest.fixture(scope="module")
def crops() -> Pixels:
    return np.stack([texture(Face(seed)) for seed in range(4)])


def plain(crops_BHW3: Pixels) -> np.ndarray:
    """What the tiny bundle computes, by numpy alone."""
    blocks = crops_BHW3.astype(np.float64).reshape(len(crops_BHW3), 8, 14, 8, 14, 3)
    grey = blocks.mean(axis=(2, 4, 5)).reshape(len(crops_BHW3), 64)
    grey = grey - grey.mean(axis=1, keepdims=True)
    return np.asarray(grey / np.linalg.norm(grey, axis=1, keepdims=True))


def shift(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(1 - similarity_from_distance(np.linalg.norm(a - b, axis=1), 2.0)))


def test_float32_computes_what_the_model_says(tiny_bundle: Path, crops: Pixels) -> None:
    embedder = TorchScriptEmbedder(load_bundle(tiny_bundle), device="cpu", precision="float32")
    assert (embedder.device, embedder.precision) == ("cpu", "float32")
    found = embedder.embed(crops)
    assert (str(found.dtype), found.shape) == ("float32", (4, 64))
    np.testing.assert_allclose(found, plain(crops), atol=1e-5)
    # One at a time is the same, and a picture that numpy cannot hand over as it is, too.
    for row, crop in zip(found, crops, strict=True):
        np.testing.assert_allclose(embedder.embed(crop[None])[0], row, atol=1e-6)
    np.testing.assert_allclose(
        embedder.embed(crops[:, :, ::-1]), plain(crops[:, :, ::-1]), atol=1e-5
    )


class Device:
    """A lane to another device than the CPU."""

    def embed(
        self, model: Callable[[torch.Tensor], torch.Tensor], crops_BHW3: np.ndarray
    ) -> np.ndarray:
        return np.asarray(model(torch.from_numpy(crops_BHW3)))


@pytest.mark.parametrize(("lane", "pieces"), [(None, [3, 3, 1]), (Device(), [7])])
def test_a_batch_is_computed_in_pieces_on_the_cpu_and_whole_elsewhere(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, lane: Device | None, pieces: list[int]
) -> None:
    monkeypatch.setattr(module, "fastest_piece", lambda embed, manifest: 3)
    crops = np.stack([texture(Face(seed)) for seed in range(7)])
    embedder = TorchScriptEmbedder(load_bundle(tiny_bundle), device="cpu", precision="float32")
    model, seen = embedder._model, []

    def counted(piece_BHW3: torch.Tensor) -> torch.Tensor:
        seen.append(len(piece_BHW3))
        return model(piece_BHW3)

    monkeypatch.setattr(embedder, "_model", counted)
    monkeypatch.setattr(embedder, "_lane", lane)
    found = embedder.embed(crops)
    assert seen == pieces
    np.testing.assert_allclose(found, model(torch.from_numpy(crops)).numpy(), atol=1e-6)
    np.testing.assert_allclose(found, plain(crops), atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_empty_batch_has_no_embeddings_and_asks_no_model(
    tiny_bundle: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = TorchScriptEmbedder(load_bundle(tiny_bundle), precision=precision)  # type: ignore[arg-type]
    monkeypatch.setattr(embedder, "_model", None)
    found = embedder.embed(np.zeros((0, 112, 112, 3), np.uint8))
    assert (str(found.dtype), found.shape) == ("float32", (0, 64))


def test_bfloat16_is_computed_where_it_is_forced(tiny_bundle: Path, crops: Pixels) -> None:
    embedder = TorchScriptEmbedder(load_bundle(tiny_bundle), device="cpu", precision="bfloat16")
    assert embedder.precision == "bfloat16"
    found = embedder.embed(crops)
    assert found.dtype == np.float32
    assert 0 < shift(found, plain(crops)) <= 0.01
    # Every number is one that bfloat16 can hold.
    np.testing.assert_array_equal(torch.from_numpy(found).bfloat16().float().numpy(), found)


def test_auto_takes_bfloat16_where_it_is_fast_and_agrees(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(tiny_bundle)
    for fast, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(module, "bf16_is_fast", lambda _, fast=fast: fast)
        assert TorchScriptEmbedder(bundle, device="cpu").precision == expected


def test_auto_refuses_bfloat16_for_a_model_that_drifts(
    make_bundle: BundleMaker, monkeypatch: pytest.MonkeyPatch, crops: Pixels
) -> None:
    monkeypatch.setattr(module, "bf16_is_fast", lambda _: True)
    drifting = load_bundle(make_bundle(drift=8.0))
    embedder = TorchScriptEmbedder(drifting, device="cpu")
    assert embedder.precision == "float32"
    np.testing.assert_allclose(embedder.embed(crops), plain(crops), atol=1e-3)
    # Forced, it is computed as asked, and is as far off as the tolerance feared.
    forced = TorchScriptEmbedder(drifting, device="cpu", precision="bfloat16")
    assert forced.precision == "bfloat16"
    assert shift(forced.embed(crops), plain(crops)) > BF16_TOLERANCE


def test_float32_does_not_even_try_bfloat16(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "bf16_is_fast", lambda _: True)
    embedder = TorchScriptEmbedder(load_bundle(tiny_bundle), device="cpu", precision="float32")
    assert embedder.precision == "float32"


def test_the_pictures_that_try_bfloat16_are_pictures() -> None:
    probes = probe_crops(112, 112)
    assert (str(probes.dtype), probes.shape) == ("uint8", (16, 112, 112, 3))
    assert probes.std() > 20
    np.testing.assert_array_equal(probes, probe_crops(112, 112))


def test_a_device_that_is_not_there_is_named(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert TorchScriptEmbedder(load_bundle(tiny_bundle)).device == "cpu"
    with pytest.raises(OneGlanceError, match="no CUDA device"):
        TorchScriptEmbedder(load_bundle(tiny_bundle), device="cuda")
