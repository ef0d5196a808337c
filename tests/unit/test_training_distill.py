"""A bundle as a teacher: what it says of crops, targets beside a pack, and the commands."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from benchmarks.training_pack import wave_pack
from contract.bundle import load_bundle, sha256_of, write_manifest
from contract.manifest import EmbeddingSpec
from contract.torchscript import torchscript_deprecation_silenced
from tests.conftest import WHOLE_SIDE_PX, BundleMaker
from training.cli import main
from training.config import OptimizerConfig, TrainConfig
from training.data.pack import (
    TARGETS_NAME,
    TEACHER_NAME,
    Pack,
    PackError,
    PackIndex,
    open_pack,
    write_pack,
)
from training.data.sampler import BatchConfig
from training.distill.targets import (
    TeacherError,
    TeacherNote,
    open_targets,
    read_teacher,
    write_targets,
)
from training.distill.teacher import BundleTeacher
from training.losses.config import LossConfig
from training.models.config import ModelConfig
from training.recipes import RECIPES
from training.run import load_run

pytestmark = pytest.mark.usefixtures("one_thread")
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE = 112
NOTE = TeacherNote(name="left-colours", version="2.0.0", license="MIT", flips=False)


# --- a teacher that says little ---


class LeftColours(nn.Module):
    """Mean colours of the left half: of any length, and others than of the mirrored crop."""

    def forward(self, crops_BHW3: Tensor) -> Tensor:
        half = crops_BHW3.shape[2] // 2
        return crops_BHW3[:, :, :half].float().mean(dim=(1, 2))


def said(crops_BHW3: Pixels) -> npt.NDArray[np.float64]:
    """What it says, at length 1."""
    rows = crops_BHW3[:, :, : crops_BHW3.shape[2] // 2].mean(axis=(1, 2))
    unit: npt.NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@pytest.fixture(scope="module")
def left(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with another model in it."""
    folder = tmp_path_factory.mktemp("left")
    buffer = io.BytesIO()
    with torchscript_deprecation_silenced():
        torch.jit.save(torch.jit.script(LeftColours()), buffer)
    (folder / "model.ts").write_bytes(buffer.getvalue())
    changes: dict[str, Any] = {
        "name": NOTE.name, "version": NOTE.version, "license": NOTE.license,
        "files": {"model.ts": sha256_of(buffer.getvalue())},
        "embedding": EmbeddingSpec(size=3, space="none", scale=1.0, d_max=500.0),
        "default_threshold": None,
    }  # fmt: skip
    write_manifest(folder, load_bundle(tiny_bundle).manifest.model_copy(update=changes))
    return folder


@pytest.fixture
def teacher(left: Path) -> BundleTeacher:
    return BundleTeacher(load_bundle(left))


def crops(count: int, side: int = SIDE) -> Pixels:
    return np.random.default_rng(1).integers(1, 256, (count, side, side, 3), dtype=np.uint8)


def make_pack(root: Path, images: Pixels, **changes: Any) -> Pack:
    count = len(images)
    index = PackIndex(
        source="synthetic",
        alignment="five_point_112",
        identities=("one",),
        paths=tuple(f"one/{i}.png" for i in range(count)),
        labels=(0,) * count,
        splits=("train",) * count,
        unused=(),
    )
    write_pack(root, replace(index, **changes), images)
    return open_pack(root)


# --- what it says ---


def test_any_bundle_says_directions_of_length_one(left: Path, teacher: BundleTeacher) -> None:
    images = crops(5)
    found = teacher.embed(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, said(images), atol=1e-6)
    assert teacher.note == NOTE


def test_with_flips_it_says_the_mean_with_the_mirrored_crop(left: Path) -> None:
    images = crops(3)
    images[:, :, :56, 0] //= 8  # little red on the left
    twice = BundleTeacher(load_bundle(left), flips=True)
    total = said(images) + said(images[:, :, ::-1])
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(twice.embed(images), expected, atol=1e-6)
    assert np.abs(expected - said(images)).max() > 0.1
    assert twice.note == replace(NOTE, flips=True)


def test_a_crop_of_which_it_says_nothing_stays_zero(teacher: BundleTeacher, tmp_path: Path) -> None:
    """As a NaN it would count as a row that is not computed yet, whenever one looks."""
    images = crops(3)
    images[1] = 0
    pack = make_pack(tmp_path, images)
    write_targets(pack, teacher)
    targets = open_targets(pack, size=3)
    np.testing.assert_array_equal(targets[1], np.zeros(3))
    np.testing.assert_allclose(np.linalg.norm(targets[[0, 2]], axis=1), 1, rtol=1e-6)


# --- which packs it takes ---

OTHER_INPUT: dict[str, tuple[int, dict[str, Any], str]] = {
    "side": (48, {}, "has images of 48x48, alignment five_point_112; the teacher left-colours "
             "takes 112x112, alignment five_point_112."),
    "alignment": (SIDE, {"alignment": "none"}, "images of 112x112, alignment none; the teacher"),
    "fit": (SIDE, {"alignment": "none", "fit": "crop"}, "alignment none, fit crop; the teacher"),
}  # fmt: skip


@pytest.mark.parametrize(("side", "changes", "words"), OTHER_INPUT.values(), ids=list(OTHER_INPUT))
def test_a_pack_of_another_input_is_refused(
    side: int, changes: dict[str, Any], words: str, teacher: BundleTeacher, tmp_path: Path
) -> None:
    pack = make_pack(tmp_path, crops(1, side), **changes)
    with pytest.raises(PackError) as caught:
        teacher.check(pack)
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_whole_images_must_have_been_fitted_as_the_teachers_are(
    make_bundle: BundleMaker, tmp_path: Path
) -> None:
    teacher, images = BundleTeacher(load_bundle(make_bundle(fit="pad"))), crops(1, WHOLE_SIDE_PX)
    for fit in ("pad", None):  # None: nothing had to be fitted
        teacher.check(make_pack(tmp_path / f"{fit}", images, alignment="none", fit=fit))
    with pytest.raises(PackError, match=r"none, fit stretch; .* takes 40x40, .* none, fit pad\."):
        teacher.check(make_pack(tmp_path / "other", images, alignment="none", fit="stretch"))


def test_a_pack_of_its_input_is_taken(teacher: BundleTeacher, tmp_path: Path) -> None:
    teacher.check(make_pack(tmp_path, crops(1)))


# --- targets ---


def test_targets_are_the_teachers_in_the_packs_order(
    teacher: BundleTeacher, tmp_path: Path
) -> None:
    pack = make_pack(tmp_path, crops(7))
    write_targets(pack, teacher, batch_size=3)
    np.testing.assert_allclose(open_targets(pack, size=3), said(pack.images), atol=1e-6)
    assert read_teacher(pack) == NOTE
    assert json.loads((tmp_path / TEACHER_NAME).read_text()) == {
        "name": "left-colours", "version": "2.0.0", "license": "MIT", "flips": False,
    }  # fmt: skip


def test_targets_go_on_where_they_were_stopped(teacher: BundleTeacher, tmp_path: Path) -> None:
    pack = make_pack(tmp_path, crops(7))
    write_targets(pack, teacher)
    targets = np.load(tmp_path / TARGETS_NAME)
    targets[2] = 0.5  # done before: must stay
    targets[4] = np.nan  # not reached
    np.save(tmp_path / TARGETS_NAME, targets)
    with pytest.raises(TeacherError, match="not complete"):
        open_targets(pack, size=3)
    write_targets(pack, teacher)
    resumed = open_targets(pack, size=3)
    np.testing.assert_array_equal(resumed[2], 0.5)
    np.testing.assert_allclose(resumed[4], said(pack.images[4:5])[0], atol=1e-6)


def test_a_note_without_targets_begins_anew(teacher: BundleTeacher, tmp_path: Path) -> None:
    """Stopped before the first crop, and another teacher then."""
    pack = make_pack(tmp_path, crops(2))
    (tmp_path / TEACHER_NAME).write_text('{"name": "another"}')
    write_targets(pack, teacher)
    assert read_teacher(pack) == NOTE
    assert len(open_targets(pack, size=3)) == 2


@pytest.mark.parametrize(
    "changes", [{"name": "another"}, {"version": "2.0.1"}, {"license": "BSD"}, {"flips": True}],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_targets_of_another_teacher_are_left_alone(
    changes: dict[str, Any], teacher: BundleTeacher, tmp_path: Path
) -> None:
    pack = make_pack(tmp_path, crops(2))
    write_targets(pack, teacher)
    targets = np.load(tmp_path / TARGETS_NAME)
    targets[1] = np.nan
    np.save(tmp_path / TARGETS_NAME, targets)
    before = (tmp_path / TARGETS_NAME).read_bytes()
    teacher.note = replace(NOTE, **changes)
    with pytest.raises(TeacherError, match=r"targets\.npy holds targets of .*remove it to replace"):
        write_targets(pack, teacher)
    assert (tmp_path / TARGETS_NAME).read_bytes() == before
    assert read_teacher(pack) == NOTE


@pytest.mark.parametrize("note", [None, "", "{}", '{"name": "left-colours"}'])
def test_targets_of_nobody_are_not_gone_on_with(
    note: str | None, teacher: BundleTeacher, tmp_path: Path
) -> None:
    pack = make_pack(tmp_path, crops(2))
    write_targets(pack, teacher)
    (tmp_path / TEACHER_NAME).unlink()
    if note is not None:
        (tmp_path / TEACHER_NAME).write_text(note)
    with pytest.raises(TeacherError, match=r"teacher\.json does not say whose .* remove both"):
        write_targets(pack, teacher)


def test_a_pack_that_is_made_anew_has_no_teacher(teacher: BundleTeacher, tmp_path: Path) -> None:
    write_targets(make_pack(tmp_path, crops(2)), teacher)
    pack = make_pack(tmp_path, crops(3))
    assert not (tmp_path / TARGETS_NAME).exists()
    with pytest.raises(TeacherError, match="does not say"):
        read_teacher(pack)


def test_missing_or_misfitting_targets_say_what_to_run(
    teacher: BundleTeacher, tmp_path: Path
) -> None:
    pack = make_pack(tmp_path, crops(2))
    with pytest.raises(TeacherError, match="oneglance-train teach"):
        open_targets(pack, size=3)
    write_targets(pack, teacher)
    with pytest.raises(TeacherError, match=r"has shape \(2, 3\), not \(2, 128\)"):
        open_targets(pack, size=128)


# --- the commands ---


def tiny(*, epochs: int = 2) -> TrainConfig:
    return TrainConfig(
        name="tiny",
        epochs=epochs,
        precision="float32",
        model=ModelConfig(embedding_size=64, width=8, stem_stride=4, dropout=0.0),
        loss=LossConfig(c_distill=5.0),
        batch=BatchConfig(identities=4, images_each=2),
        optimizer=OptimizerConfig(learning_rate=1e-2),
    )


@pytest.fixture
def waves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack of 9 identities, and the recipe above by its name."""
    monkeypatch.setitem(RECIPES, "tiny", tiny)
    wave_pack(tmp_path / "waves", identities=9, images_each=3, side_px=SIDE)
    return tmp_path / "waves"


def words_of(pack: Path, teacher: Path, run: Path, *more: str) -> list[str]:
    words = ["distill", str(pack), "--teacher", str(teacher), "--run", str(run)]
    return [*words, "--recipe", "tiny", "--threads", "1", "--no-tensorboard", *more]


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line in which a command says what is wrong."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("oneglance-train: ")
    return line


def test_teach_says_whose_targets_the_pack_has_now(
    waves: Path, left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["teach", str(waves), "--teacher", str(left)]
    assert main([*words, "--flips"]) == 0
    assert capsys.readouterr().out == f"{waves}: targets by left-colours 2.0.0\n"
    pack = open_pack(waves)
    assert read_teacher(pack) == replace(NOTE, flips=True)
    total = said(pack.images) + said(pack.images[:, :, ::-1])
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(open_targets(pack, size=3), expected, atol=1e-6)
    assert main([*words, "--flips"]) == 0  # goes on, with nothing left to do
    capsys.readouterr()
    assert main(words) == 1
    assert "flips=False" in only_line(capsys)


def test_distill_teaches_and_trains_in_one(
    waves: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(words_of(waves, tiny_bundle, run, "--set", "seed=3", "--epochs", "3")) == 0
    said_by_it = capsys.readouterr().out.splitlines()
    assert said_by_it[0] == f"{waves}: targets by tiny 1.2.3"
    assert said_by_it[-1] == f"{run}: trained tiny, 3 epochs"
    pack = open_pack(waves)
    # The tiny bundle: the picture in 8 x 8 grey blocks, mean removed.
    grey = pack.images.reshape(27, 8, 14, 8, 14, 3).mean(axis=(2, 4, 5)).reshape(27, 64)
    grey -= grey.mean(axis=1, keepdims=True)
    expected = grey / np.linalg.norm(grey, axis=1, keepdims=True)
    np.testing.assert_allclose(open_targets(pack, size=64), expected, atol=1e-4)
    assert load_run(run).config == replace(tiny(epochs=3), seed=3)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [entry["distill"] for entry in log if "distill" in entry]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


def test_stopped_distillation_goes_on_by_the_same_words_and_resume(
    waves: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(words_of(waves, tiny_bundle, run, "--epochs", "1")) == 0
    targets = (waves / TARGETS_NAME).read_bytes()
    capsys.readouterr()
    assert main(words_of(waves, tiny_bundle, run, "--epochs", "2")) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(words_of(waves, tiny_bundle, run, "--epochs", "2", "--resume")) == 0
    assert capsys.readouterr().out.endswith("trained tiny, 2 epochs\n")
    assert (waves / TARGETS_NAME).read_bytes() == targets


def test_a_recipe_without_a_teachers_loss_is_refused_before_anything_is_taught(
    waves: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(waves, tiny_bundle, tmp_path / "run", "--set", "loss.c_distill=0")
    assert main(words) == 1
    line = only_line(capsys)
    assert "The recipe tiny has no loss.c_distill above 0" in line
    assert "--set loss.c_distill=5" in line
    assert not (waves / TARGETS_NAME).exists()
    assert not (tmp_path / "run").exists()


def test_what_cannot_teach_is_one_line(
    waves: Path, make_bundle: BundleMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make_bundle(fit="pad")
    broken = tmp_path / "broken"
    shutil.copytree(whole, broken)
    (broken / "model.ts").write_bytes(b"other bytes")
    for bundle, word in (
        (tmp_path, "manifest.json"), (broken, "model.ts"), (whole, "the teacher tiny takes 40x40"),
    ):  # fmt: skip
        assert main(words_of(waves, bundle, tmp_path / "run")) == 1
        assert word in only_line(capsys)
        assert not (waves / TARGETS_NAME).exists()
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("size", "--set model.embedding_size=64"), ("run", "add --resume"), ("ranks", "torchrun")],
)
def test_what_training_would_refuse_is_refused_before_anything_is_taught(
    trouble: str, words: str, waves: Path, tiny_bundle: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run = tmp_path / "run"
    if trouble == "run":
        run.mkdir()
        (run / "checkpoint.pt").write_bytes(b"")
    if trouble == "ranks":
        monkeypatch.setenv("RANK", "0")
    more = ["--set", "model.embedding_size=32"] if trouble == "size" else []
    assert main(words_of(waves, tiny_bundle, run, *more)) == 1
    assert words in only_line(capsys)
    assert not (waves / TARGETS_NAME).exists()


def test_distill_takes_dlibs_resnet_unless_told_otherwise(
    waves: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["distill", str(waves), "--teacher", str(tiny_bundle), "--run", str(tmp_path / "run")]
    assert main([*words, "--set", "loss.c_distill=0"]) == 1
    assert "The recipe faces-resnet has no" in only_line(capsys)
