"""A bundle on disk: what is pinned is what is read and run."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from contract.bundle import MANIFEST_NAME, Bundle, load_bundle, sha256_of, write_manifest
from contract.errors import BundleError, BundleFileError, ManifestError
from contract.manifest import EmbeddingSpec, InputSpec, Manifest, ModelFile
from contract.torchscript import load_torchscript, torchscript_deprecation_silenced


class Means(nn.Module):
    """uint8 (B, H, W, 3) to the mean of each channel times a weight; stands for a network."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 0.1]))
        self.dropout = nn.Dropout(0.9)

    def forward(self, images_BHW3: Tensor) -> Tensor:
        pixels = images_BHW3.to(self.weight.dtype)
        return self.dropout(pixels.mean(dim=(1, 2)) * self.weight)


def scripted(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    with torchscript_deprecation_silenced():
        torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


def manifest_for(model: bytes, **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "format_version": 1, "name": "tiny", "version": "0.0.1", "description": "A test.",
        "license": "MIT", "files": {"model.ts": sha256_of(model)},
        "model": ModelFile(file="model.ts", format="torchscript", weights_dtype="float16"),
        "embedding": EmbeddingSpec(size=3, space="l2", scale=1.0, d_max=2.0),
        "input": InputSpec(width=8, height=8, color_order="RGB", alignment="none"),
        "training_data": [], "metrics": [], "default_threshold": None, "calibration": None,
    }  # fmt: skip
    return Manifest(**{**values, **changes})


def written(root: Path, model: bytes, **changes: Any) -> Bundle:
    root.mkdir(exist_ok=True)
    (root / "model.ts").write_bytes(model)
    write_manifest(root, manifest_for(model, **changes))
    return load_bundle(root)


def test_sha256_is_the_published_one() -> None:
    """FIPS 180-2, appendix B.1."""
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(b"abc") == expected


def test_a_written_bundle_is_read_back(tmp_path: Path) -> None:
    bundle = written(tmp_path, b"weights")
    assert bundle.manifest == manifest_for(b"weights")
    assert bundle.read_model() == b"weights"
    assert bundle.sha256 == sha256_of(b"weights")


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        load_bundle(tmp_path)
    with pytest.raises(ManifestError, match="oneglance-train export"):
        load_bundle(tmp_path / "nothing")


def test_a_changed_model_is_refused_with_both_hashes(tmp_path: Path) -> None:
    written(tmp_path, b"weights")
    (tmp_path / "model.ts").write_bytes(b"weightz")
    with pytest.raises(BundleFileError, match=sha256_of(b"weightz")) as caught:
        load_bundle(tmp_path)
    assert sha256_of(b"weights") in str(caught.value)


def test_a_model_changed_after_loading_is_not_run(tmp_path: Path) -> None:
    bundle = written(tmp_path, scripted(Means()))
    (tmp_path / "model.ts").write_bytes(scripted(nn.Identity()))
    with pytest.raises(BundleFileError, match="changed or damaged"):
        load_torchscript(bundle)


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    written(tmp_path, b"weights")
    (tmp_path / "model.ts").unlink()
    with pytest.raises(BundleFileError, match="cannot be read"):
        load_bundle(tmp_path)


def test_every_pinned_file_is_checked_and_not_the_model_alone(tmp_path: Path) -> None:
    notes = {"model.ts": sha256_of(b"weights"), "notes.txt": sha256_of(b"right")}
    (tmp_path / "notes.txt").write_bytes(b"wrong")
    with pytest.raises(BundleFileError, match=r"notes\.txt"):
        written(tmp_path, b"weights", files=notes)


def test_files_that_nobody_pinned_do_no_harm(tmp_path: Path) -> None:
    written(tmp_path, b"weights")
    (tmp_path / "README.md").write_text("hello")
    assert load_bundle(tmp_path).manifest.name == "tiny"


def test_a_manifest_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, b"weights")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_manifest(tmp_path, manifest_for(b"weights", version="9.9.9"))
    assert load_bundle(tmp_path).manifest.version == "0.0.1"


def test_a_manifest_is_never_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, b"weights")
    before = (tmp_path / MANIFEST_NAME).read_text()
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((tmp_path / MANIFEST_NAME).read_text())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_manifest(tmp_path, manifest_for(b"weights", version="9.9.9"))
    assert seen == [before]
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST_NAME, "model.ts"]


# --- TorchScript ---


def test_a_model_stored_as_float16_computes_in_float32(tmp_path: Path) -> None:
    model = load_torchscript(written(tmp_path, scripted(Means().half())))
    images = torch.full((2, 8, 8, 3), 201, dtype=torch.uint8)
    images[:, 0, 0] = 202  # means of 201 + 1/64 do not fit into float16
    found = model(images)
    assert found.dtype == torch.float32
    weights = torch.tensor([1.0, 2.0, 0.1]).half().float()
    assert torch.allclose(found, (201 + 1 / 64) * weights.expand(2, 3), rtol=1e-6)


def test_a_loaded_model_is_in_evaluation_mode(tmp_path: Path) -> None:
    module = Means().train()
    assert not load_torchscript(written(tmp_path, scripted(module))).training


def saved_state() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "model",
    [b"", b"no model at all", b"PK\x03\x04" + bytes(100), scripted(Means())[:-500], saved_state()],
    ids=["empty", "text", "half a zip", "broken off", "a state dict"],
)
def test_bytes_that_are_no_torchscript_are_refused_though_their_hash_is_right(
    tmp_path: Path, model: bytes
) -> None:
    bundle = written(tmp_path, model)
    with pytest.raises(BundleFileError, match=r"model\.ts of bundle tiny is not a TorchScript"):
        load_torchscript(bundle)


def test_every_refusal_is_a_bundle_error() -> None:
    assert issubclass(ManifestError, BundleError)
    assert issubclass(BundleFileError, BundleError)
