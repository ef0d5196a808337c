"""What holds on every view: axe finds nothing serious, nobody else is asked, it fits a phone."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Keys

from benchmarks.chromium import PHONE
from benchmarks.page_tour import tour
from tests.browser.conftest import PageMaker, PageOfPeople

FIRST_VIEW_BYTES = 300_000
# What is pressed and smaller than a finger (WCAG 2.5.5); a link among words is as tall as its line.
TOO_SMALL = """
const [least] = arguments;
const isAmongWords = (e) =>
  e.matches("p > a") && e.parentElement.textContent.trim() !== e.textContent.trim();
return [...document.querySelectorAll("a[href], button, input, select, summary")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !isAmongWords(e))
  .filter((e) => {
    const { width, height } = (e.closest("label, .item") || e).getBoundingClientRect();
    // A box is as small as its face; what takes the finger around it is not.
    const around = e.matches(".box") ? parseFloat(getComputedStyle(e, "::after").height) : 0;
    return Math.max(around, Math.min(width, height)) < least;
  })
  .map((e) => e.outerHTML);
"""
SIDEWAYS = """
return [document.documentElement, ...document.querySelectorAll("body *")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .filter((e) => e.matches("html") || /auto|scroll/.test(getComputedStyle(e).overflowX))
  .map((e) => `${e.tagName}.${e.className}: ${e.scrollWidth} in ${e.clientWidth}`);
"""
FINGER_PX = 44


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's program, as the wheel carries it."""
    found = importlib.util.find_spec("axe_playwright_python")
    assert found is not None, "There is no axe-core here: run `make chromium`."
    assert found.origin is not None
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def findings(page: PageOfPeople, axe: str) -> list[str]:
    """What axe calls serious or critical, in light and in dark, in words."""
    page.driver.execute_script(axe)
    found = []
    for scheme in ("light", "dark"):
        page.browser.scheme(scheme)
        found += [f"{scheme}: {words}" for words in serious(page)]
    return found


def serious(page: PageOfPeople) -> list[str]:
    found: list[dict[str, Any]] = page.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, { resultTypes: ['violations'], preload: false })"
        ".then(({ violations }) => done(violations), (error) => done([{ impact: 'serious',"
        " id: String(error), nodes: [] }]))"
    )
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"] or [{"target": "", "failureSummary": "axe failed"}]
    ]


def check_fits(page: PageOfPeople, view: str) -> None:
    """Nothing is scrolled sideways; on a phone all that is pressed is as large as a finger."""
    assert page.driver.execute_script(SIDEWAYS) == [], view
    if page.browser.is_phone:
        assert page.driver.execute_script(TOO_SMALL, FINGER_PX) == [], view
    for dialog in page.all("dialog[open]"):
        box = dialog.rect
        assert box["height"] <= page.browser.height_px, view


def test_no_view_has_a_serious_fault_or_asks_anybody_else(any_page: PageOfPeople, axe: str) -> None:
    page = any_page
    seen = []
    for view in tour(page):
        seen.append(view)
        assert findings(page, axe) == [], view
        check_fits(page, view)
    assert {"identify", "enrol", "people", "decisions", "unknowns", "system"} <= set(seen)
    asked = page.browser.requests()
    assert len(asked) > 50
    local = ("blob:", "data:", "about:", f"{page.url}/")
    assert [url for url in asked if not url.startswith(local)] == []
    assert page.browser.errors() == []


def test_dialogs_fit_and_have_no_serious_fault(any_page: PageOfPeople, axe: str) -> None:
    page = any_page
    page.enrol_all()
    page.open("people")
    page.press("Ada")
    page.press("Merge …")
    page.one("dialog[open] input[type=radio]")
    assert findings(page, axe) == []
    check_fits(page, "merge")
    page.press("Cancel", "dialog")
    page.press("API key")
    page.one("dialog[open]")
    assert findings(page, axe) == []
    check_fits(page, "key")
    page.press("Cancel", "dialog")
    page.go("enrol")
    page.write("#name", "Ada again")
    page.give("input.pick", page.photo("again", (12, 2)))
    page.press("Enrol with 1 photo")
    page.until(lambda: len(page.all("#duplicate img")) == 2, "both faces")
    assert findings(page, axe) == []
    check_fits(page, "duplicate")


def test_on_a_phone_rows_of_tables_are_blocks(make_page: PageMaker, axe: str) -> None:
    page = make_page(PHONE).open("system")
    page.write("#key-name", "Mine")
    page.one('#keys input[value="admin"]').click()
    page.press("Make it", "#keys")
    cells = page.until(lambda: page.all("#keys tbody td"), "the key")
    assert [cell.text for cell in cells] == ["Mine", "admin", "all collections", "never", "Remove"]
    assert len({cell.rect["x"] for cell in cells}) == 1
    titled = "return getComputedStyle(arguments[0], '::before').content"
    assert page.driver.execute_script(titled, cells[1]) == '"May: "'
    assert findings(page, axe) == []
    check_fits(page, "keys")
    page.driver.execute_script("sessionStorage.clear()")


def test_the_first_view_is_small(page: PageOfPeople) -> None:
    page.open()
    sizes = page.driver.execute_script(
        "return [...performance.getEntriesByType('navigation'),"
        " ...performance.getEntriesByType('resource')].map((e) => e.decodedBodySize)"
    )
    assert len(sizes) > 10
    assert sum(sizes) < FIRST_VIEW_BYTES


def test_everything_is_reached_by_keyboard(page: PageOfPeople) -> None:
    page.open("identify")
    reached = []
    for _ in range(20):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        name, outline = page.driver.execute_script(
            "const e = document.activeElement; if (e === document.body) return ['', ''];"
            " return [e.textContent || e.id, getComputedStyle(e).outlineStyle]"
        )
        if not name or name in reached:
            break
        assert outline == "solid", f"{name} has the focus, and nobody sees it"
        reached.append(name)
    assert reached[0] == "Skip to the content"
    assert {"Identify", "People", "System", "API key", "Choose a photo"} <= set(reached)


def test_colours_follow_the_system_until_somebody_chooses(make_page: PageMaker) -> None:
    page = make_page(scheme="dark").open("identify")
    ground = "return getComputedStyle(document.body).backgroundColor"
    dark = page.driver.execute_script(ground)
    page.one("#theme").click()
    light = page.driver.execute_script(ground)
    assert light != dark
    page.open("identify")
    assert page.driver.execute_script(ground) == light
    page.one("#theme").click()
    assert page.driver.execute_script(ground) == dark
    page.driver.execute_script("localStorage.clear()")
