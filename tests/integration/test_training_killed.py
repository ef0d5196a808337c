"""kill -9 in the middle of a training, twice; `make proof-resume` does it more often."""

from pathlib import Path

from benchmarks.resume_training import command, differing, killed_until_done
from benchmarks.training_pack import wave_pack
from training.checkpoint import load_checkpoint
from training.cli import main


def test_a_killed_training_ends_with_the_weights_of_one_left_alone(tmp_path: Path) -> None:
    pack, alone, killed = tmp_path / "pack", tmp_path / "alone", tmp_path / "killed"
    wave_pack(pack, identities=20, images_each=20, side_px=32)
    assert main(command(pack, alone, epochs=4)[3:]) == 0
    hits = killed_until_done(command(pack, killed, epochs=4), killed, kills=2)
    assert hits == 2
    assert load_checkpoint(killed)["step"] == load_checkpoint(alone)["step"] > 40
    assert differing(alone, killed) == []


def test_two_runs_that_differ_are_told_apart(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    wave_pack(pack, identities=20, images_each=4, side_px=32)
    for run, more in (("one", []), ("other", ["--set", "seed=1"])):
        assert main([*command(pack, tmp_path / run, epochs=1)[3:], *more]) == 0
    assert "checkpoint.pt: net" in differing(tmp_path / "one", tmp_path / "other")
