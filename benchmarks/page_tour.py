"""A walk through all views of the page, each with something in it: drawn people alone."""

from collections.abc import Iterator
from typing import Final

from benchmarks.page_visit import Page

NAMES: Final = """
    Ada Ben Cleo Dora Emil Fay Gus Hana Ida Jon Kira Leo Mina Nils Olga Pia Quin Rosa Sven Tove Udo
    Vera Wim Xenia Yuri Zoe Arno Bea Carl Dina Egon Flora
"""
# Seeds of people who are not enrolled.
GUESTS = (101, 102)


def seeds() -> dict[str, int]:
    """Who is enrolled: names and the seeds of their faces."""
    return {name: 10 + number for number, name in enumerate(NAMES.split())}


def tour(page: Page) -> Iterator[str]:
    """Goes from view to view, and says the name of each once it is to be seen in full."""
    known = seeds()
    page.enrol_at_once(known)
    page.open("identify")
    ada, ben, cleo = (known[name] for name in ("Ada", "Ben", "Cleo"))
    page.give("input.pick", page.photo("group", (ada, 1), (GUESTS[0], 1), (ben, 1), (cleo, 1)))
    page.until(lambda: len(page.all("article.face")) == 4, "four faces")
    yield "identify"

    page.go("unknowns")
    page.until(lambda: page.all("article.group"), "a group")
    page.go("identify")
    page.give("input.pick", page.photo("two", (GUESTS[0], 2), (GUESTS[1], 1)))
    page.until(lambda: len(page.all("article.face")) == 2, "two faces")
    page.go("unknowns")
    page.until(lambda: len(page.all("article.group")) == 2, "two groups")
    yield "unknowns"

    page.go("enrol")
    page.write("#name", "Gilda")
    nobody = page.photo("landscape")
    page.give(
        "input.pick", page.photo("gilda", (201, 1)), page.photo("pair", (201, 2), (202, 1)), nobody
    )
    page.says("No face found")
    page.says("2 faces: pick the one to enrol.")
    yield "enrol"

    page.go("people")
    page.until(lambda: len(page.all(".list img")) > 5, "stored crops")
    yield "people"
    page.press("Ada")
    page.until(lambda: len(page.all(".templates img")) == 2, "two photos")
    yield "person"
    page.go("decisions")
    page.says("no calibration of its own")
    page.press("Calibrate")
    page.says("Measured")
    page.until(lambda: page.all("#plot-line") and page.all(".plot-mark"), "both plots")
    yield "decisions"

    page.go("enrol")
    # Two people under one name: a mistake to be found.
    page.enrol("Gilda", page.photo("gilda", (201, 1)), page.photo("not gilda", (202, 1)))
    page.go("people/-health")
    page.press("Look now")
    page.until(lambda: len(page.all("#health img")) == 2, "both photos of Gilda")
    yield "health"

    page.go("system")
    page.until(lambda: page.all("#metrics") and page.all("#keys .note"), "figures and keys")
    yield "system"
