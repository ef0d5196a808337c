"""prepare, train, export and evaluate by command: their words, and what bad input gets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.bundle import Bundle
from contract.torchscript import load_torchscript
from tests.unit.training_export.conftest import CARD, embedded, export_arguments, train_arguments
from training.checkpoint import MODEL_NAME
from training.cli import main
from training.data.pack import Pack
from training.export.trained import export_bundle


def test_export_by_hand_and_by_command_are_the_same_bundle(
    root: Path, pack: Pack, bundle: Bundle, tmp_path: Path
) -> None:
    by_hand = export_bundle(root / "run", pack, tmp_path, CARD).bundle
    assert by_hand.manifest.model_copy(update={"files": {}}) == bundle.manifest.model_copy(
        update={"files": {}}
    )
    ours, theirs = (
        embedded(load_torchscript(found), pack.images[:4]) for found in (by_hand, bundle)
    )
    assert np.array_equal(ours, theirs)


def test_the_command_says_how_well_parity_held(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(export_arguments(root, tmp_path / "out")) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{tmp_path / 'out'}: tiny-waves 1.2.3, parity held (an embedding moves")
    assert line.endswith(" on cpu of d_max 3)")


def test_prepare_prints_what_it_could_not_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, height in (("0", 112), ("1", 50)):
        path = tmp_path / "faces" / "a" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((height, 112, 3), np.uint8)).save(path)
    words = ["prepare", str(tmp_path / "faces"), "--out", str(tmp_path / "p"), "--aligned"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "1 images of 1 identities; 1 could not be used" in out
    assert "  a/1.png: has 112 x 50 pixels" in out


def test_train_goes_on_only_when_told_to(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (root / "run" / MODEL_NAME).read_bytes()
    assert main([*train_arguments(root), "--epochs", "2"]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*train_arguments(root), "--epochs", "2", "--resume"]) == 0
    assert (root / "run" / MODEL_NAME).read_bytes() == before


Arguments = Callable[[Path, Path], list[str]]


def evaluate_arguments(bundle: Path, run: Path, pack: Path, *more: str) -> list[str]:
    return ["evaluate", str(bundle), "--run", str(run), "--pack", str(pack), *more]


# What is wrong: the command, and what its one line has to say.
REFUSED: dict[str, tuple[Arguments, str]] = {
    "prepare nothing": (
        lambda r, t: ["prepare", str(t / "no"), "--out", str(t / "o"), "--aligned"], "neither",
    ),
    "prepare an empty folder": (
        lambda r, t: ["prepare", str(t), "--out", str(t / "o"), "--aligned"], "holds no",
    ),
    "teach no pack": (
        lambda r, t: ["teach", str(t), "--teacher", str(r / "bundle")], "not a pack",
    ),
    "teach by no bundle": (
        lambda r, t: ["teach", str(r / "pack"), "--teacher", str(t), "--flips"], "manifest.json",
    ),
    "distill by no bundle": (
        lambda r, t: ["distill", str(r / "pack"), "--teacher", str(t), "--run", str(t / "run"),
                      "--recipe", "tiny", "--set", "loss.c_distill=1"], "manifest.json",
    ),
    "distill without a loss for it": (
        lambda r, t: ["distill", str(r / "pack"), "--teacher", str(r / "bundle"),
                      "--run", str(t / "run"), "--recipe", "tiny"], "no loss.c_distill above 0",
    ),
    "train on no pack": (
        lambda r, t: ["train", str(t), "--run", str(t / "run"), "--recipe", "tiny"], "not a pack",
    ),
    "train without targets": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(t / "run"), "--recipe", "tiny",
                      "--set", "loss.c_distill=1"], "teach",
    ),
    "train into a file": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(r / "pack" / "index.json" / "run"),
                      "--recipe", "tiny"], "Not a directory",
    ),
    "train by a network that there is not": (
        lambda r, t: ["train", str(r / "pack"), "--run", str(t / "run"), "--recipe", "tiny",
                      "--set", "model.pretrained=vggface2"], "no weights 'vggface2' for resnet18",
    ),
    "export no run": (
        lambda r, t: export_arguments(t, t / "out", pack=str(r / "pack")), "train first",
    ),
    "export no pack": (
        lambda r, t: export_arguments(r, t / "out", pack=str(t)), "not a pack",
    ),
    "export a bad name": (
        lambda r, t: export_arguments(r, t / "out", name="Tiny Waves"), "name",
    ),
    "inspect no bundle": (lambda r, t: ["inspect", str(t)], "manifest.json"),
    "evaluate no bundle": (
        lambda r, t: evaluate_arguments(t, r / "run", r / "pack"), "manifest.json",
    ),
    "evaluate on a pack without pairs": (
        lambda r, t: evaluate_arguments(
            r / "bundle", r / "run", r / "pack", "--lfw", str(r / "pack")),
        "pairs.txt",
    ),
    "evaluate without a run": (
        lambda r, t: evaluate_arguments(r / "bundle", t, r / "pack"), "train first",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "word"), REFUSED.values(), ids=list(REFUSED))
def test_bad_input_ends_with_one_and_one_line_of_words(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Arguments, word: str
) -> None:
    capsys.readouterr()
    assert main(arguments(root, tmp_path)) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "it/s" not in line]
    said = [line for line in lines if line.startswith("oneglance-train: ")]
    assert len(said) == 1
    assert lines[-1] == said[0]
    assert word in said[0]


@pytest.mark.parametrize(
    "arguments", [[], ["unknown"], ["train"], ["train", "x", "--run", "y", "--recipe", "z"],
                  ["teach", "x"], ["distill", "x", "--teacher", "y"],
                  ["import", "x"], ["inspect"], ["inspect", "b", "--json", "--markdown"],
                  export_arguments(Path("r"), Path("o"))[:-2 * len(CARD.limits)]],
)  # fmt: skip
def test_unknown_words_are_answered_by_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: oneglance-train" in capsys.readouterr().err
