"""A bundle evaluated by every protocol: its manifest, and one page that fetches nothing."""

import io
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import training.evaluation.calibration as calibration_module
import training.evaluation.report as report_module
from contract.bundle import Bundle, load_bundle, sha256_of, write_manifest
from contract.calibration.records import Estimate
from contract.manifest import EmbeddingSpec, InputSpec, Manifest, ModelFile, Origin, TrainingData
from contract.torchscript import torchscript_deprecation_silenced
from training.cli import main
from training.data.pack import PAIRS_NAME, Pack, PackError, PackIndex, write_pack
from training.evaluation.calibration import open_set
from training.evaluation.closed_set import closed_set
from training.evaluation.doubles import Doubles
from training.evaluation.figures import space_figure
from training.evaluation.metrics import metrics_of, power_of_ten, shown
from training.evaluation.report import evaluate_bundle, write_report
from training.evaluation.report_html import drawings, report_page
from training.evaluation.results import Report
from training.evaluation.space_view import POINTS_MOST, space_view

SIDE = 28
HOSTILE = '<script>alert("x")</script>&$x^2_1$'


class Blocks(torch.nn.Module):
    """4 x 4 blocks of grey, mean removed, of length 1."""

    def forward(self, images_BHW3: torch.Tensor) -> torch.Tensor:
        grey = images_BHW3.permute(0, 3, 1, 2).float().mean(dim=1, keepdim=True)
        flat = torch.nn.functional.adaptive_avg_pool2d(grey, (4, 4)).flatten(1)
        return torch.nn.functional.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)


@pytest.fixture(scope="module")
def model_bytes() -> bytes:
    buffer = io.BytesIO()
    with torchscript_deprecation_silenced():
        torch.jit.save(torch.jit.script(Blocks()), buffer)
    return buffer.getvalue()


@pytest.fixture
def bundle(tmp_path: Path, model_bytes: bytes) -> Bundle:
    """A bundle of format version 1 for 28 x 28 pixels without alignment."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "model.ts").write_bytes(model_bytes)
    manifest = Manifest(
        format_version=1, name="tiny", version="1.2.3", description="grey <blocks>",
        license="none",
        model=ModelFile(file="model.ts", format="torchscript", weights_dtype="float32"),
        files={"model.ts": sha256_of(model_bytes)},
        embedding=EmbeddingSpec(size=16, space="l2", scale=1.0, d_max=2.0),
        input=InputSpec(width=SIDE, height=SIDE, color_order="RGB", alignment="none"),
        training_data=[TrainingData(name="nothing", terms="none", identities=1, images=1)],
        metrics=[], default_threshold=None, calibration=None,
    )  # fmt: skip
    write_manifest(folder, manifest)
    return load_bundle(folder)


def textures(labels: list[int], *, noise: float = 25.0) -> Any:
    """uint8 (N, 28, 28, 3): coarse random squares for each label, and noise for each image."""
    out = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    for i, label in enumerate(labels):
        coarse = np.random.default_rng(label).integers(40, 216, (4, 4, 1))
        pixels = np.kron(coarse, np.ones((7, 7, 3)))
        mottled = np.kron(np.random.default_rng(10_000 + i).normal(0, noise, (4, 4, 1)),
                          np.ones((7, 7, 3)))  # fmt: skip
        out[i] = np.clip(pixels + mottled, 0, 255)
    return out


Rows = list[tuple[str, str]]


def make_pack(root: Path, rows: Rows, name: Callable[[str, int], str] | None = None) -> Pack:
    """An image for each (identity, split), called <identity>/<number> or as `name` has it."""
    names = sorted({identity for identity, _ in rows})
    labels = [names.index(identity) for identity, _ in rows]
    index = PackIndex(
        source=root.name,
        alignment="none",
        identities=tuple(names),
        paths=tuple(
            name(identity, i) if name else f"{identity}/{i}" for i, (identity, _) in enumerate(rows)
        ),
        labels=tuple(labels),
        splits=tuple(split for _, split in rows),
        unused=(),
    )
    write_pack(root, index, textures(labels))
    return report_pack(root)


def report_pack(root: Path) -> Pack:
    from training.data.pack import open_pack

    return open_pack(root)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[[Pack, Callable[[str, str], bool]], None]:
    """trained(pack, chosen): the run learned from the images of chosen (identity, split)."""

    def set_to(pack: Pack, chosen: Callable[[str, str], bool]) -> None:
        index = pack.index
        paths = frozenset(
            path
            for path, label, split in zip(index.paths, index.labels, index.splits, strict=True)
            if chosen(index.identities[label], split)
        )
        monkeypatch.setattr(
            report_module, "load_run", lambda run: SimpleNamespace(trained_paths=paths)
        )

    return set_to


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws and replicates; the defaults are of the figures, not of the code."""
    monkeypatch.setattr(calibration_module, "DRAWS", 2)
    monkeypatch.setattr(calibration_module, "ENROLMENTS", 20)
    monkeypatch.setattr(
        report_module, "open_set", lambda *a, **options: open_set(*a, replicates=40, **options)
    )


Trained = Callable[[Pack, Callable[[str, str], bool]], None]


def digits(root: Path) -> Pack:
    """Ten classes, all trained on, with a test split: what MNIST is like."""
    rows = [(f"{digit}", split) for digit in range(10) for split in ("train",) * 6 + ("test",) * 4]
    return make_pack(root / "digits", rows)


def crowd(root: Path) -> Pack:
    """Four trained on, 14 unseen of three images and 320 strangers of one; one name is hostile."""
    rows: Rows = [(f"known{i}", "train") for i in range(4) for _ in range(3)]
    rows += [(HOSTILE if i == 0 else f"unseen{i}", "train") for i in range(14) for _ in range(3)]
    return make_pack(root / "crowd", rows + [(f"stranger{i}", "train") for i in range(320)])


def lfw(root: Path) -> Pack:
    people = ["known0", "B", "C", "D"]
    rows = [(person, "test") for person in people for _ in range(2)]
    pack = make_pack(root / "lfw", rows, lambda name, i: f"lfw/{name}/{name}_{i % 2 + 1:04}.jpg")
    (pack.root / PAIRS_NAME).write_text(
        "2\t2\nknown0\t1\t2\nB\t1\t2\nknown0\t1\tB\t1\nknown0\t2\tC\t1\n"
        "C\t1\t2\nD\t1\t2\nC\t2\tD\t2\nB\t2\tD\t1\n"
    )
    return pack


def known(identity: str, split: str) -> bool:
    return identity.startswith("known")


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


@pytest.fixture
def whole(bundle: Bundle, trained: Trained, tmp_path: Path) -> tuple[Report, Bundle]:
    """Everything that a pack split by identity and LFW give."""
    pack = crowd(tmp_path)
    trained(pack, known)
    report = evaluate_bundle(bundle, tmp_path / "run", pack, lfw(tmp_path))
    return report, write_report(bundle, report, "some <command>")


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


# --- the page ---


class Page(HTMLParser):
    """What a page references, shows and labels; raises on tags that do not close."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.numbers: list[tuple[float, str]] = []
        self.figures: list[str] = []
        self.labels: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.headers = 0
        self.captions = 0
        self._open: list[str] = []
        self._value: str | None = None
        self.text = ""
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.references += [
            value
            for name, value in attrs
            if name in {"src", "href", "xlink:href", "action", "data", "poster"} and value
        ]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "svg":
            self.labels.append(values.get("aria-label") or "")
            assert values["role"] == "img"
        if tag == "data":
            self._value = values["value"]
        self.headers += tag == "th" and values.get("scope") in {"col", "row"}
        self.captions += tag == "caption"
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._value is not None:
            self.numbers.append((float(self._value), data))
            self._value = None
        if self._open and self._open[-1] == "h3" and "figure" in self._open:
            self.figures.append(data)


@pytest.fixture
def page_text(whole: tuple[Report, Bundle]) -> str:
    return report_page(whole[0], whole[1].manifest, "some <command>")


def test_the_page_fetches_nothing_and_runs_nothing(page_text: str) -> None:
    page = Page(page_text)
    assert all(r.startswith(("#", "data:image/png;base64,")) for r in page.references)
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"\w+://[^\"'<>\s)]+", page_text)) <= namespaces
    assert "@import" not in page_text
    assert not re.findall(r"url\((?!#)", page_text)
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)


def test_every_picture_is_there_and_has_a_label_and_ids_of_its_own(page_text: str) -> None:
    page = Page(page_text)
    assert [title.split(" ")[0].rstrip(":") for title in page.figures] == [
        "ROC", "DET", "Similarities", "CMC", "Similarities", "Similarities", "The",
    ]  # fmt: skip
    assert len(page.labels) == len(page.figures)
    for title, label in zip(page.figures, page.labels, strict=True):
        assert label.startswith(title)
        assert len(label) > len(title) + 20
    assert len(page.ids) == len(set(page.ids))
    used = [r[1:] for r in page.references if r.startswith("#")]
    used += re.findall(r"url\(#([^)]+)\)", page_text)
    assert used
    assert set(used) <= set(page.ids)
    assert "#010203" not in page_text
    assert "currentColor" in page_text


def test_the_tables_have_headers_and_the_very_numbers(
    page_text: str, whole: tuple[Report, Bundle]
) -> None:
    page = Page(page_text)
    assert page.captions == 3
    manifest = whole[1].manifest
    assert page.headers == 4 + len(manifest.metrics) + 5 + 12
    shown_values = [value for value, _ in page.numbers]
    expected = [m.value for m in manifest.metrics]
    threshold, calibration = manifest.default_threshold, manifest.calibration
    assert threshold is not None
    assert calibration is not None
    expected += [
        threshold.similarity, threshold.fpir, threshold.gallery_subjects, threshold.searches,
    ]  # fmt: skip
    for gallery in calibration.galleries:
        counts = [
            gallery.subjects, gallery.draws, gallery.mated_subjects, gallery.mated_searches,
            gallery.nonmated_subjects, gallery.nonmated_searches,
        ]  # fmt: skip
        for point in gallery.points:
            assert point.fnir is not None
            expected += [
                *counts, point.target_fpir, point.threshold, point.fpir, point.fpir_upper95,
                point.fnir.value,
            ]  # fmt: skip
            assert f"{point.fnir.low95:.1%} to {point.fnir.high95:.1%}" in page.text
        for other in gallery.unsupported:
            expected += [*counts, other.target_fpir]
            assert f"not supported: {other.reason}" in page.text
    assert shown_values == expected
    assert all(words for _, words in page.numbers)
    for line in whole[0].unanswered:
        assert line in page.text


def test_names_are_text_and_nothing_else(page_text: str) -> None:
    assert "<script" not in page_text
    assert "some &lt;command&gt;" in page_text
    assert "grey &lt;blocks&gt;" in page_text
    page = Page(page_text)
    assert page.text.count(HOSTILE) >= 2  # in the legend and under the picture


def test_the_same_report_makes_the_same_page(whole: tuple[Report, Bundle], page_text: str) -> None:
    assert report_page(whole[0], whole[1].manifest, "some <command>") == page_text


def test_an_empty_report_is_a_page_too(bundle: Bundle) -> None:
    report = Report(
        bundle="x", closed_set=None, held_out_pairs=None, ranks=None, open_set=None,
        zero_shot_pairs=None, lfw=None, views=(), unanswered=("because",),
    )  # fmt: skip
    page = Page(report_page(report, bundle.manifest, "c"))
    assert "Nothing could be measured" in page.text
    assert "because" in page.text
    assert drawings(report) == []
    assert metrics_of(report, "c") == []


def test_drawing_touches_no_global_state(whole: tuple[Report, Bundle]) -> None:
    import matplotlib
    from matplotlib._pylab_helpers import Gcf

    before = dict(matplotlib.rcParams)
    drawings(whole[0])
    assert dict(matplotlib.rcParams) == before
    assert not Gcf.figs  # which pyplot would keep


def test_a_name_in_any_script_is_drawn_without_a_warning() -> None:
    points, labels = np.random.default_rng(0).standard_normal((6, 3)), np.arange(6) // 3
    for names in (["山田", "_hidden"], ["$\\frac{", "a\nb"], ["", "🙂"]):
        drawing = space_figure(space_view(points, labels, names, seed=0, data="x"))
        for name in names:
            assert " ".join(name.split()) in HTMLTextOf(drawing.svg).text.replace("\u200b", "")


class HTMLTextOf(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.text += data


# --- the picture of the space ---


def test_two_dimensions_are_shown_as_they_are_and_one_on_a_line() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(8) // 2
    plane = rng.standard_normal((8, 2))
    view = space_view(plane, labels, list("abcd"), seed=0, data="x")
    assert view.points_P2 == pytest.approx(plane)
    assert view.explained == 1
    line = space_view(plane[:, :1], labels, list("abcd"), seed=0, data="x")
    assert line.points_P2 == pytest.approx(np.column_stack([plane[:, 0], np.zeros(8)]))


def test_the_axes_are_principal_components() -> None:
    """The oracle is the singular value decomposition; signs put the largest coefficient above 0."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, 5)) * [1, 5, 0.1, 3, 0.5]
    view = space_view(points, np.arange(200) % 7, list("abcdefg"), seed=0, data="x")
    centred = points - points.mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred)
    signs = [math.copysign(1, axis[np.abs(axis).argmax()]) for axis in axes[:2]]
    assert view.points_P2 == pytest.approx(centred @ axes[:2].T * signs)
    assert view.explained == pytest.approx((strengths[:2] ** 2).sum() / (strengths**2).sum())


def test_the_identities_of_most_images_are_named_and_the_rest_are_others() -> None:
    labels = np.repeat(np.arange(30), [3] * 20 + [300] * 10)
    points = np.random.default_rng(0).standard_normal((len(labels), 3))
    names = [f"n{i}" for i in range(30)]
    view = space_view(points, labels, names, seed=0, data="x")
    assert set(view.names) == {f"n{i}" for i in range(20, 30)}
    assert (view.named_P < 0).sum() == 60
    assert (view.named_P >= 0).sum() == POINTS_MOST // 2
    one_point = space_view(np.ones((4, 3)), np.arange(4), names, seed=0, data="x")
    assert (one_point.points_P2 == 0).all()
    assert one_point.explained == 1


@pytest.mark.parametrize(
    ("rate", "words"), [(0.1, "1e-1"), (0.01, "1e-2"), (0.003, "3e-3"), (0.001, "1e-3")]
)
def test_rates_have_short_names(rate: float, words: str) -> None:
    assert power_of_ten(rate) == words
