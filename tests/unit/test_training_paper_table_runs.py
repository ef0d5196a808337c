"""The paper's table at work: one command a column, killed and resumed, several workers."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.alignment import TEMPLATE
from training.cli import main
from training.data.pack import Pack, PackIndex, open_pack, write_pack
from training.data.sources.cifar10 import CLASSES
from training.paper_table.columns import COLUMNS
from training.paper_table.job import is_done, trained_record
from training.paper_table.plan import Run, planned
from training.paper_table.record import Record, read_records
from training.trainer import Trainer, fingerprint

TINY = (
    "epochs=2", "model.width=8", "model.stem_stride=4", "batch.identities=4",
    "batch.images_each=2", "model.embedding_size=8", "optimizer.ema_decay=0",
)  # fmt: skip
CLOSED = (*TINY[:2], "model.stem_stride=2", *TINY[3:], "split.holdout_share=0.2")


def pictures(identities: int, images_each: int, side_px: int) -> np.ndarray:
    """A colour an identity, with noise."""
    rng = np.random.default_rng(0)
    colours = rng.integers(30, 220, (identities, 1, 1, 1, 3))
    noise = rng.integers(-30, 30, (identities, images_each, side_px, side_px, 3))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Eight classes, eight images each, two of these in the test split."""
    root = tmp_path_factory.mktemp("pack")
    paths = tuple(f"{i}/{j}.png" for i in range(8) for j in range(8))
    index = PackIndex(
        source="colours", alignment="none", identities=tuple(map(str, range(8))), paths=paths,
        labels=tuple(i for i in range(8) for _ in range(8)),
        splits=tuple("test" if j > 5 else "train" for _ in range(8) for j in range(8)),
        unused=(),
    )  # fmt: skip
    write_pack(root, index, pictures(8, 8, 28).reshape(64, 28, 28, 3))
    return open_pack(root)


def run_of(variant: str = "exp-centre-class", changed: Sequence[str] = CLOSED) -> Run:
    (run,) = planned(columns=["mnist"], rows=[variant], seeds=[3], changed=changed)
    return run


def untimed(record: Record) -> Record:
    """Without what no two runs share."""
    epochs = tuple(replace(epoch, core_s=0, wall_s=0) for epoch in record.epochs)
    return replace(record, core_s=0, wall_s=0, epochs=epochs)


class KilledError(BaseException):
    """What comes instead of a kill, as unexpected."""


def test_a_run_that_was_killed_ends_as_one_that_was_not(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained_record(run_of(), pack, tmp_path / "whole", device="cpu")
    validate = Trainer._validate

    def killed(self: Trainer, epoch: int) -> None:
        validate(self, epoch)
        if epoch == 2:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_validate", killed)
        with pytest.raises(KilledError):
            trained_record(run_of(), pack, tmp_path / "cut", device="cpu")
    resumed = trained_record(run_of(), pack, tmp_path / "cut", device="cpu")
    assert [epoch.epoch for epoch in whole.epochs] == [0, 1, 2]
    assert untimed(resumed) == untimed(whole)
    assert {"held_out", "paper", "classes", "probes"} == set(whole.figures)
    assert (whole.figures["classes"], whole.figures["probes"]) == (8, 16)


def test_two_numbers_leave_points_to_draw(pack: Pack, tmp_path: Path) -> None:
    run = run_of("exp", (*CLOSED, "model.embedding_size=2", "epochs=1"))
    record = trained_record(run, pack, tmp_path / "run", device="cpu")
    assert len(record.points) == 16
    assert all(abs(np.hypot(x, y) - 1) < 1e-3 for x, y, _ in record.points)


def test_a_run_of_another_pack_is_not_done(pack: Pack, tmp_path: Path) -> None:
    run = run_of("std", (*CLOSED, "epochs=1"))
    words = [
        "paper-table", str(pack.root), "--column", "mnist", "--out", str(tmp_path), "--rows",
        "std", "--seeds", "3", *(w for s in run.changed for w in ("--set", s)),
    ]  # fmt: skip
    assert main(words) == 0
    assert is_done(run, fingerprint(pack), tmp_path / "runs")
    assert not is_done(run, "another", tmp_path / "runs")
    assert not is_done(run_of("std"), fingerprint(pack), tmp_path / "runs")
    assert not list((tmp_path / "work").rglob("*.pt"))


def test_workers_share_a_column(pack: Pack, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    changed = [w for s in (*CLOSED, "epochs=1") for w in ("--set", s)]
    words = [
        "paper-table", str(pack.root), "--column", "mnist", "--out", str(tmp_path), "--rows",
        "exp", "--seeds", "0", "1", *changed,
    ]  # fmt: skip
    assert main([*words, "--workers", "2"]) == 0
    begun = [line for line in capfd.readouterr().out.splitlines() if line.endswith(": begins")]
    assert sorted(begun) == ["mnist/exp-0: begins", "mnist/exp-1: begins"]
    assert len(read_records(tmp_path / "runs")) == 2
    assert main(words) == 0
    assert "begins" not in capfd.readouterr().out


def test_workers_end_with_the_command_that_is_killed(pack: Pack, tmp_path: Path) -> None:
    changed = [w for s in (*CLOSED, "epochs=100000") for w in ("--set", s)]
    words = [
        sys.executable, "-m", "training.cli", "paper-table", str(pack.root), "--column", "mnist",
        "--out", str(tmp_path), "--rows", "exp", "--seeds", "0", "1", "--workers", "2", *changed,
    ]  # fmt: skip
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as command:
        assert command.stdout is not None
        for _ in range(2):
            assert command.stdout.readline().endswith(b": begins\n")
        workers = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        assert len([worker for worker in workers if is_running(worker)]) >= 2
        command.kill()
        command.wait()
    until = time.monotonic() + 20
    while any(map(is_running, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    left = [worker for worker in workers if is_running(worker)]
    for worker in left:
        os.kill(int(worker), signal.SIGKILL)
    assert not left


def is_running(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


# --- VGGFace2 ---


def vggface2_stand_in(root: Path, *, identities: int, images_each: int) -> Path:
    """Made-up photos in the owners' layout: {train,test}/n000001/0001_01.jpg and bb_landmark/."""
    crops = pictures(identities, images_each, 160)
    points = [f"P{i}{axis}" for i in range(1, 6) for axis in "XY"]
    marks = (TEMPLATE + 20).round(2).ravel().tolist()
    (root / "bb_landmark").mkdir(parents=True)
    for split, some in (
        ("train", range(identities - 4)),
        ("test", range(identities - 4, identities)),
    ):
        names = [(i, j, f"n{i:06}/{j:04}_01") for i in some for j in range(images_each)]
        for i, j, name in names:
            path = root / split / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(crops[i, j]).save(path)
        for what, heads, row in (
            ("landmark", points, marks),
            ("bb", list("XYWH"), [20, 20, 112, 112]),
        ):
            table = root / "bb_landmark" / f"loose_{what}_{split}.csv"
            with table.open("w", newline="") as file:
                rows = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
                rows.writerow(["NAME_ID", *heads])
                rows.writerows([name, *row] for _, _, name in names)
    return root


def test_one_command_trains_the_column_from_vggface2s_own_layout(tmp_path: Path) -> None:
    source = vggface2_stand_in(tmp_path / "VGG-Face2", identities=12, images_each=4)
    out = tmp_path / "out"
    words = [
        "paper-table", str(source), "--column", "vggface2", "--out", str(out), "--rows",
        "exp-centre-class", "std", "--seeds", "0", *(w for s in TINY for w in ("--set", s)),
    ]  # fmt: skip
    assert main(words) == 0
    page = (out / "paper_table.md").read_text()
    records = read_records(out / "runs")
    assert [record.variant for record in records] == ["exp-centre-class", "std"]
    for record in records:
        # Four people of its test split are the gallery, three other photos each the probes.
        assert (record.figures["gallery"], record.figures["probes"]) == (4, 12)
        rank1 = f"{100 * record.figures['rank1']:.2f} (n = 1)"
        title = {"std": "L_std", "exp-centre-class": "L_exp + L_center + L_class"}
        paper = 100 * COLUMNS["vggface2"].paper[record.variant]
        line = next(x for x in page.splitlines() if x.startswith(f"| {title[record.variant]} |"))
        assert rank1 in line
        assert line.endswith(f"| {paper:.1f} |")


@pytest.mark.parametrize(("column", "side_px"), [("cifar10-jpeg", 96), ("mnist", 32)])
def test_images_are_enlarged_where_the_columns_network_takes_larger_ones(
    column: str, side_px: int, tmp_path: Path
) -> None:
    for split in ("train", "test"):
        for name, image in zip(CLASSES, pictures(len(CLASSES), 1, 32)[:, 0], strict=True):
            file = tmp_path / "source" / split / name / "0.jpg"
            file.parent.mkdir(parents=True)
            Image.fromarray(image).save(file)
    out = tmp_path / "out"
    words = ["paper-table", str(tmp_path / "source"), "--column", column, "--out", str(out)]
    assert main([*words, "--minutes", "1e-9"]) == 0
    images = open_pack(out / "pack").images
    assert images.shape == (2 * len(CLASSES), side_px, side_px, 3)
    assert "not run" in (out / "paper_table.md").read_text()


def test_a_wrong_setting_is_told_before_anything_is_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["paper-table", str(tmp_path), "--column", "mnist", "--out", str(tmp_path / "out")]
    for more, told in (
        (["--set", "epochz=1"], "epochz"),
        (["--workers", "0"], "--workers"),
        (["--minutes", "0"], "--minutes"),
        (["--rows", "x"], "no row 'x'"),
    ):
        assert main([*words, *more]) == 1
        assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
