"""Calibrate, drag the threshold, see its rates; name an unknown; keys and collections."""

import numpy as np

from contract.calibration.searches import fpir_at
from index.calibrating import search_itself
from tests.browser.conftest import STRANGERS, PageOfPeople


def enrol_crowd(page: PageOfPeople, people: int = 40) -> None:
    """So many people with two photos each, as embeddings."""
    rng = np.random.default_rng(0)
    gallery = page.runtime.default.gallery
    for number, person in enumerate(rng.normal(size=(people, gallery.contract.size))):
        photos = person + rng.normal(scale=0.4, size=(2, len(person)))
        unit = photos / np.linalg.norm(photos, axis=1, keepdims=True)
        gallery.enroll(unit.astype(np.float32), name=f"P{number}")


def shown_share(page: PageOfPeople, element: str) -> float:
    return float(page.one(element).text.removesuffix(" %")) / 100


def test_a_collection_is_calibrated_and_its_threshold_dragged(any_page: PageOfPeople) -> None:
    page = any_page
    enrol_crowd(page)
    page.open("decisions")
    page.says("This collection has no calibration of its own yet.")
    page.press("Calibrate")
    page.says("Measured")
    line = page.one("#plot-line")
    searches = search_itself(page.runtime.default.gallery).searches

    page.slide("#line", 0.4)
    low = shown_share(page, "#fpir")
    assert abs(low - fpir_at(searches, 0.4)) < 0.006
    page.says("95 % interval")
    missed = shown_share(page, "#fnir")

    before = page.one("#line-value").text
    page.drag(line, page.one(".plot .u-over").rect["width"] // 10)
    dragged = page.until(lambda: page.one("#line-value").text != before and page.one("#line-value"))
    assert float(dragged.text) > 0.4
    assert shown_share(page, "#fpir") < low
    assert shown_share(page, "#fnir") >= missed
    value = float(dragged.text)
    assert abs(shown_share(page, "#fpir") - fpir_at(searches, value)) < 0.006


def test_a_larger_gallery_lets_more_strangers_through_as_the_service_has_it(
    page: PageOfPeople,
) -> None:
    from contract.calibration import thresholds

    found = page.open().driver.execute_async_script(
        "const [module, done] = [arguments[0], arguments[arguments.length - 1]];"
        "import(module).then(({ among }) => done([among(0.01, 100, 100), among(0.01, 100, 10000),"
        " among(1, 10, 20), among(0, 10, 20)]))",
        f"{page.url}/page/js/rates.js",
    )
    rate = thresholds._rate(0.01, 100)
    expected = [thresholds._share(rate, 100), thresholds._share(rate, 10_000), 1, 0]
    np.testing.assert_allclose(found, expected)


def test_similarities_of_the_page_are_those_of_the_service(page: PageOfPeople) -> None:
    from contract.similarity import pairwise_similarity

    rows = np.random.default_rng(0).normal(size=(2, 64))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = page.open().driver.execute_async_script(
        "const [module, a, b, done] = arguments;"
        "import(module).then(({ similarity, grouped }) => done([similarity(a, b, 2),"
        " similarity(a, a.map((x) => -x), 1), grouped([{embedding: a}, {embedding: b},"
        " {embedding: a}, {embedding: null}], 2, 0.9).map((group) => group.length)]))",
        f"{page.url}/page/js/embeddings.js",
        rows[0].tolist(),
        rows[1].tolist(),
    )
    (expected,) = pairwise_similarity(rows[:1], rows[1:], 2.0)[0]
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    assert found[1:] == [0, [2, 1, 1]]


def test_unknown_faces_are_grouped_named_once_and_known_from_then_on(
    any_page: PageOfPeople,
) -> None:
    page = any_page
    page.enrol_all()
    page.open("identify")
    one, other = STRANGERS[:2]
    for number, people in enumerate([((one, 1), (12, 1)), ((one, 2), (other, 1))]):
        page.give("input.pick", page.photo(f"seen{number}", *people))
        page.until(lambda n=number: page.all(f'[data-photo="seen{n}.png"] article.face'), "faces")
    page.go("unknowns")
    page.says("Group 1: 2 faces")
    page.says("Group 2: 1 face")
    page.one("article.group input.group-name").send_keys("Dana")
    page.press("Enrol", "article.group")
    page.says("Dana is enrolled with 2 photos.")
    page.until(lambda: len(page.all("article.group")) == 1, "one group left")
    page.go("identify")
    assert page.identify(page.photo("again", one)) == [("match", "Dana")]


def test_recent_answers_can_be_confirmed_later(page: PageOfPeople) -> None:
    from index.feedback import feedback_page

    page.enrol_all()
    page.open("identify")
    page.identify(page.photo("one", (12, 1)))
    page.go("decisions")
    page.press("Not this person", "#recent")
    page.says("Noted: not this person.")
    (told,) = feedback_page(page.runtime.default.gallery, limit=10, before=None).feedback
    assert told.verdict == "rejected"
