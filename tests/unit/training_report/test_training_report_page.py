"""The page of a report: it fetches nothing, and shows the very numbers."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from contract.bundle import Bundle
from tests.html_page import Page
from tests.unit.training_report.conftest import HOSTILE
from training.evaluation.figures import space_figure
from training.evaluation.metrics import metrics_of
from training.evaluation.report_html import drawings, report_page
from training.evaluation.results import Report
from training.evaluation.space_view import space_view


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
