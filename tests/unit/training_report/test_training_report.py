"""A bundle evaluated by every protocol: what is measured, and what its manifest says of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import training.evaluation.report as report_module
from contract.bundle import Bundle, load_bundle, write_manifest
from contract.calibration.records import Estimate
from contract.manifest import InputSpec, Origin, TrainingData
from tests.html_page import Page
from tests.unit.training_report.conftest import (
    SIDE,
    Blocks,
    Trained,
    crowd,
    known,
    lfw,
    make_pack,
)
from training.cli import main
from training.data.pack import Pack, PackError
from training.evaluation.closed_set import closed_set
from training.evaluation.doubles import Doubles
from training.evaluation.metrics import metrics_of, shown
from training.evaluation.report import evaluate_bundle, write_report
from training.evaluation.report_html import report_page
from training.evaluation.results import Report


def digits(root: Path) -> Pack:
    """Ten classes, all trained on, with a test split: what MNIST is like."""
    rows = [(f"{digit}", split) for digit in range(10) for split in ("train",) * 6 + ("test",) * 4]
    return make_pack(root / "digits", rows)


# --- what is measured, and what is not ---


def test_doubles_are_left_out_of_the_calibration_alone_and_counted_in_words(
    bundle: Bundle, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = crowd(tmp_path)
    trained(pack, known)
    whole = evaluate_bundle(bundle, tmp_path / "run", pack)
    gone = np.flatnonzero([name.startswith("stranger1") for name in pack.index.identities])
    doubles = Doubles(similarity=0.5, pairs=np.stack([gone, gone + 1], axis=1), left_out=gone)
    monkeypatch.setattr(report_module, "find_doubles", lambda *_, **__: doubles)
    report = evaluate_bundle(bundle, tmp_path / "run", pack, without_doubles=True)
    assert report.open_set is not None
    assert whole.open_set is not None
    for some, all_ in zip(report.open_set.searches, whole.open_set.searches, strict=True):
        assert all_.nonmated_subjects - some.nonmated_subjects == len(gone) == 111
    assert report.open_set.calibration is not None
    assert "; 111 of 334 identities left out" in report.open_set.calibration.data
    assert report.ranks is not None


def test_a_calibration_on_other_crops_is_of_the_same_unseen_identities(
    bundle: Bundle, trained: Trained, tmp_path: Path
) -> None:
    pack = crowd(tmp_path)
    trained(pack, known)
    # Other crops: half of the strangers and everybody else, in another order.
    rows = [
        (name, "train")
        for name in (pack.index.identities[label] for label in reversed(pack.index.labels))
        if not (name.startswith("stranger") and int(name[8:]) % 2)
    ]
    other = make_pack(tmp_path / "again" / "crowd", rows)
    report = evaluate_bundle(bundle, tmp_path / "run", pack, calibration_pack=other)
    whole = evaluate_bundle(bundle, tmp_path / "run", pack)
    assert report.open_set is not None
    assert whole.open_set is not None
    # 14 and 160 or 320 people, of whom 10 are enrolled.
    assert report.open_set.searches[0].nonmated_subjects == 164
    assert whole.open_set.searches[0].nonmated_subjects == 324
    assert report.open_set.calibration is not None
    assert report.open_set.calibration.data.endswith("; crops by the detector of others")


def test_other_people_to_calibrate_on_are_refused(
    bundle: Bundle, trained: Trained, tmp_path: Path
) -> None:
    pack = crowd(tmp_path)
    trained(pack, known)
    with pytest.raises(PackError, match=r"digits, and .*crowd: calibrate on a pack of the same"):
        evaluate_bundle(bundle, tmp_path / "run", pack, calibration_pack=digits(tmp_path))


def test_where_doubles_cannot_be_told_there_is_no_calibration_and_that_is_said(
    bundle: Bundle, trained: Trained, tmp_path: Path
) -> None:
    pack = crowd(tmp_path)
    trained(pack, known)
    report = evaluate_bundle(bundle, tmp_path / "run", pack, without_doubles=True)
    assert report.open_set is None
    assert any("14 identities have two images" in line for line in report.unanswered)


def test_ten_digits_have_accuracies_but_nobody_unseen(
    bundle: Bundle, trained: Trained, tmp_path: Path
) -> None:
    pack = digits(tmp_path)
    trained(pack, lambda _, split: split == "train")
    report = evaluate_bundle(bundle, tmp_path / "run", pack)
    assert report.closed_set is not None
    assert (report.closed_set.probes, report.closed_set.classes) == (40, 10)
    assert report.closed_set == closed_set(
        Blocks(), pack, report_module.load_run(tmp_path).trained_paths, progress=False
    )
    assert report.held_out_pairs is not None
    assert (report.held_out_pairs.curve.mated, report.held_out_pairs.curve.nonmated) == (60, 720)
    assert (report.ranks, report.open_set, report.zero_shot_pairs, report.lfw) == (None,) * 4
    assert report.threshold is None
    assert [line.split(":")[0] for line in report.unanswered] == [
        "held-out",  # FAR of 1e-3
        "digits has no identity that was not trained on",
        "LFW was not evaluated",
    ]
    manifest = write_report(bundle, report, "some command").manifest
    assert (manifest.format_version, manifest.calibration) == (2, None)
    assert manifest.default_threshold is None
    assert [m.name for m in manifest.metrics] == [
        "held_out_accuracy", "paper_accuracy", "held_out_eer",
    ]  # fmt: skip
    page = Page(report_page(report, manifest, "some command"))
    assert [title.split(":")[0] for title in page.figures] == [
        "ROC", "Similarities of pairs (1", "The space in two dimensions",
    ]  # fmt: skip


def test_figures_leave_the_format_version_that_has_room_for_them(
    whole: tuple[Report, Bundle],
) -> None:
    """Version 1 has no calibration; 2 lacks facts of 3 that no evaluation knows."""
    report, bundle = whole
    second = write_report(bundle, report, "again").manifest
    assert (second.format_version, second.origin) == (2, None)
    newest = second.replaced(
        format_version=3,
        input=InputSpec(width=SIDE, height=SIDE, color_order="RGB", alignment="none", fit="crop"),
        origin=Origin(loss="none", starting_points=[]),
        limits=["people"],
        metrics=[],
    )
    write_manifest(bundle.root, newest)
    third = write_report(load_bundle(bundle.root), report, "again").manifest
    assert third == newest.replaced(metrics=second.metrics)


def test_a_crowd_has_ranks_a_threshold_and_a_calibration(whole: tuple[Report, Bundle]) -> None:
    report, written = whole
    assert report.closed_set is None
    assert any("split by sample or a test split" in line for line in report.unanswered)
    assert report.ranks is not None
    assert (report.ranks.subjects, report.ranks.probes) == (14, 28)
    assert report.open_set is not None
    assert [s.gallery_subjects for s in report.open_set.searches] == [10, 30, 100]
    manifest = written.manifest
    assert manifest.calibration == report.open_set.calibration
    assert manifest.default_threshold == report.threshold
    assert report.threshold is not None
    # 304 strangers among 30 subjects show one percent, 234 among 100 do not.
    assert (report.threshold.gallery_subjects, report.threshold.searches) == (30, 304)
    assert "FPIR 1.0% among 100 subjects is not supported" in " ".join(report.unanswered)
    assert load_bundle(written.root).manifest == manifest


def test_metrics_are_unique_and_name_protocol_data_and_command(
    whole: tuple[Report, Bundle],
) -> None:
    report, written = whole
    metrics = {m.name: m for m in written.manifest.metrics}
    assert len(metrics) == len(written.manifest.metrics)
    assert list(metrics) == [
        "zero_shot_rank1", "zero_shot_fnir_at_fpir_1e-1_n100", "zero_shot_eer",
        "zero_shot_tar_at_far_1e-3", "lfw_accuracy", "lfw_accuracy_disjoint", "lfw_eer",
        "lfw_failures_to_acquire",
    ]  # fmt: skip
    assert {m.command for m in metrics.values()} == {"some <command>"}
    assert report.ranks is not None
    assert report.lfw is not None
    assert report.zero_shot_pairs is not None
    assert metrics["zero_shot_rank1"].value == report.ranks.rank1.value
    assert metrics["zero_shot_rank1"].protocol.startswith("zero-shot, closed set: 1 image(s)")
    assert "14 subjects in the gallery" in metrics["zero_shot_rank1"].data
    fnir = metrics["zero_shot_fnir_at_fpir_1e-1_n100"]
    assert report.open_set is not None
    assert report.open_set.calibration is not None
    point = report.open_set.calibration.galleries[-1].points[0]
    assert point.fnir is not None
    assert fnir.value == point.fnir.value
    assert "N = 100 subjects, 14 of them mated" in fnir.data
    assert "234 strangers" in fnir.data
    assert f"similarity >= {point.threshold:.4f}" in fnir.protocol
    assert metrics["lfw_accuracy"].value == report.lfw.accuracy.mean
    assert metrics["lfw_eer"].value == report.lfw.equal_error.rate
    assert "1 people of the protocol" in metrics["lfw_accuracy"].data
    assert metrics["zero_shot_eer"].value == report.zero_shot_pairs.equal_error.rate


def test_a_rank_is_stated_with_its_interval(whole: tuple[Report, Bundle]) -> None:
    ranks = whole[0].ranks
    assert ranks is not None
    rank1 = Estimate(value=0.5, low95=0.25, high95=0.75)
    metric = metrics_of(replace(whole[0], ranks=replace(ranks, rank1=rank1)), "c")[0]
    assert (metric.name, metric.value) == ("zero_shot_rank1", 0.5)
    assert "interval by subject 0.2500 to 0.7500" in metric.protocol


def test_figures_of_another_evaluation_do_not_stay(
    whole: tuple[Report, Bundle], trained: Trained, tmp_path: Path
) -> None:
    pack = digits(tmp_path)
    trained(pack, lambda _, split: split == "train")
    again = write_report(whole[1], evaluate_bundle(whole[1], tmp_path, pack), "again")
    assert {m.command for m in again.manifest.metrics} == {"again"}
    assert (again.manifest.default_threshold, again.manifest.calibration) == (None, None)
    assert again.manifest.contract == whole[1].manifest.contract


def test_more_images_may_be_enrolled(bundle: Bundle, trained: Trained, tmp_path: Path) -> None:
    pack = crowd(tmp_path)
    trained(pack, known)
    report = evaluate_bundle(bundle, tmp_path, pack, enrolled=2)
    assert report.ranks is not None
    assert (report.ranks.enrolled, report.ranks.probes) == (2, 14)
    assert report.open_set is not None
    assert report.open_set.calibration is not None
    assert report.open_set.calibration.images_enrolled == 2
    nobody = evaluate_bundle(bundle, tmp_path, pack, enrolled=4)
    assert (nobody.ranks, nobody.open_set) == (None, None)
    said = " ".join(nobody.unanswered)
    assert "Ranks need two identities of more than 4 images" in said
    assert "one of them with 4 images to enrol" in said


def test_an_imported_network_has_everybody_unseen_and_says_that_nobody_knows(
    bundle: Bundle, tmp_path: Path
) -> None:
    report = evaluate_bundle(bundle, None, crowd(tmp_path), lfw(tmp_path))
    assert (report.closed_set, report.held_out_pairs) == (None, None)
    assert "The network was imported" in report.unanswered[0]
    assert report.ranks is not None
    assert report.ranks.subjects == 18  # the four of `known`, too
    assert report.open_set is not None
    assert report.open_set.searches[-1].nonmated_subjects == 4 + 14 + 320 - 100
    manifest = write_report(bundle, report, "c").manifest
    unknown = "the network was imported: whether its authors trained on these people is not known"
    assert manifest.calibration is not None
    assert manifest.calibration.data == f"identities of crowd; {unknown}"
    metrics = {m.name: m for m in manifest.metrics}
    assert "lfw_accuracy_disjoint" not in metrics
    assert metrics["lfw_accuracy"].data == f"LFW View 2, 8 pairs; {unknown}"
    assert unknown in metrics["zero_shot_rank1"].data
    assert f"identities of crowd; {unknown}" in report_page(report, manifest, "c")


def test_a_network_that_was_trained_on_the_pack_does_not_pass_for_imported(
    bundle: Bundle, tmp_path: Path
) -> None:
    pack = crowd(tmp_path)
    data = [TrainingData(name="crowd", terms="none", identities=1, images=1)]
    write_manifest(bundle.root, bundle.manifest.model_copy(update={"training_data": data}))
    with pytest.raises(PackError, match=r"trained on crowd.*name its run"):
        evaluate_bundle(load_bundle(bundle.root), None, pack)


@pytest.mark.parametrize("part", ["pack", "lfw"])
def test_pixels_that_the_bundle_does_not_take_are_refused(
    bundle: Bundle, trained: Trained, tmp_path: Path, part: str
) -> None:
    right = digits(tmp_path)
    trained(right, lambda _, split: split == "train")
    wrong = Pack(right.root, right.index, np.zeros((100, 112, 96, 3), np.uint8))
    packs = (wrong, None) if part == "pack" else (right, wrong)
    with pytest.raises(PackError, match=r"images of 96x112, .* the bundle takes 28x28"):
        evaluate_bundle(bundle, tmp_path, *packs)


def test_an_lfw_pack_without_pairs_is_refused_before_anything_is_embedded(
    bundle: Bundle, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = digits(tmp_path)
    trained(pack, lambda _, split: split == "train")
    monkeypatch.setattr(report_module, "embed_images", lambda *_, **__: pytest.fail("embedded"))
    with pytest.raises(PackError, match=r"pairs\.txt"):
        evaluate_bundle(bundle, tmp_path, pack, pack)


# --- the command ---


def test_the_command_writes_manifest_and_page_and_says_what_it_could_not(
    bundle: Bundle, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = crowd(tmp_path)
    trained(pack, known)
    words = ["evaluate", str(bundle.root), "--run", "some run", "--pack", str(pack.root)]
    page = tmp_path / "report.html"
    assert main([*words, "--seed", "3", "--report", str(page)]) == 0
    out = capsys.readouterr().out
    manifest = load_bundle(bundle.root).manifest
    for metric in manifest.metrics:
        assert f"{metric.name}: {shown(metric)} ({metric.protocol}; {metric.data})" in out
    assert manifest.metrics[0].command == (
        f"oneglance-train evaluate {bundle.root} --run 'some run' --pack {pack.root} --seed 3"
    )
    assert "not measured: LFW was not evaluated" in out
    assert manifest.default_threshold is not None
    assert f"default threshold {manifest.default_threshold.similarity:.4f}" in out
    assert Page(page.read_text(encoding="utf-8")).numbers


def test_the_command_without_a_run_says_what_that_means(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = crowd(tmp_path)
    assert main(["evaluate", str(bundle.root), "--pack", str(pack.root)]) == 0
    assert "counts as imported and every identity of the pack as unseen" in capsys.readouterr().out
    manifest = load_bundle(bundle.root).manifest
    assert manifest.metrics[0].command == (
        f"oneglance-train evaluate {bundle.root} --pack {pack.root}"
    )


@pytest.mark.parametrize("wrong", [["--enrol", "0"], ["--seed", "-1"]])
def test_the_command_refuses_numbers_that_mean_nothing(
    bundle: Bundle, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(bundle.root), "--run", "x", "--pack", "y", *wrong]
    assert main(words) == 1
    assert "at least 1" in capsys.readouterr().err
