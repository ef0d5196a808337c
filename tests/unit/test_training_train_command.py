"""oneglance-train train: what the command line adds to the trainer."""

from pathlib import Path

import pytest

from benchmarks.training_pack import wave_pack
from training.checkpoint import load_checkpoint
from training.cli import main
from training.run_log import TENSORBOARD_NAME
from training.trainer import Trainer

SMALL = [
    "--threads", "1", "--set", "model.side_px=32", "--set", "model.width=8",
    "--set", "batch.identities=4", "--set", "batch.images_each=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pack")
    wave_pack(folder, identities=12, images_each=4, side_px=32)
    return str(folder)


def test_a_run_leaves_what_tensorboard_shows_unless_told_not_to(pack: str, tmp_path: Path) -> None:
    for run, words in (("with", []), ("without", ["--no-tensorboard"])):
        assert (
            main(["train", pack, "--run", str(tmp_path / run), "--epochs", "1", *SMALL, *words])
            == 0
        )
    assert list((tmp_path / "with" / TENSORBOARD_NAME).rglob("sprite.png"))
    assert not (tmp_path / "without" / TENSORBOARD_NAME).exists()


def test_settings_reach_the_run(pack: str, tmp_path: Path) -> None:
    words = ["--no-tensorboard", "--set", "seed=5", "--set", "loss.metric=standard"]
    assert main(["train", pack, "--run", str(tmp_path), "--epochs", "1", *SMALL, *words]) == 0
    config = load_checkpoint(tmp_path)["config"]
    assert (config["epochs"], config["seed"], config["loss"]["metric"]) == (1, 5, "standard")


def test_a_wrong_setting_is_one_line_in_words(
    pack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", pack, "--run", str(run), "--set", "loss.margin=1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "'loss.margin' is no field" in line
    assert "standard.…" in line
    assert not run.exists()


def test_ctrl_c_says_how_to_go_on(
    pack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: Trainer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupted)
    assert main(["train", pack, "--run", str(tmp_path), *SMALL]) == 130
    assert "--resume goes on" in capsys.readouterr().out
