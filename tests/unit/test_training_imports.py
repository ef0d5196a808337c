"""Training stands alone: it needs neither the online side nor what only a teacher needs."""

import json
import pkgutil
import subprocess
import sys

import training

ONLINE = {"index", "service", "fastapi", "starlette", "uvicorn", "faiss", "apsw"}
TEACHER = {"onnx", "onnxruntime"}


def modules_of(package: object) -> list[str]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")  # type: ignore[attr-defined]
    return sorted(module.name for module in found)


def loaded_by(modules: list[str]) -> set[str]:
    """Top-level packages that a fresh Python has loaded after importing `modules`."""
    script = (
        f"import json, sys\nfor m in {modules!r}: __import__(m)\nprint(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_training_loads_neither_the_online_side_nor_a_teacher() -> None:
    modules = [m for m in modules_of(training) if m != "training.distill.teacher"]
    assert "training.distill.targets" in modules
    assert "training.cli" in modules
    loaded = loaded_by(modules)
    assert "training" in loaded
    assert not loaded & (ONLINE | TEACHER)


def test_the_teacher_loads_nothing_online() -> None:
    loaded = loaded_by(["training.distill.teacher"])
    assert loaded >= TEACHER
    assert not loaded & ONLINE


def test_the_contract_without_a_network_loads_neither_torch_nor_its_users() -> None:
    light = ["similarity", "images", "alignment", "manifest", "bundle", "errors", "detection.base"]
    loaded = loaded_by([f"contract.{name}" for name in light])
    assert "contract" in loaded
    assert not loaded & (ONLINE | TEACHER | {"training", "torch"})
