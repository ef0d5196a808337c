"""A real Chromium on the page of a real service, and drawn people who can be told apart."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chromium import PHONE, WIDE, Browser, browsing
from benchmarks.page_bundle import write_page_bundle
from benchmarks.page_service import page_service
from benchmarks.page_visit import Page

# Seeds of drawn people of whom no two are more than 0.5 alike; photos of one are 0.9 alike.
PEOPLE = {"Ada": 12, "Ben": 39, "Cleo": 3}
STRANGERS = (30, 20, 5, 35)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests: it takes longer to start than most of them."""
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="session")
def page_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with a calibration, so that thresholds state a rate."""
    folder = tmp_path_factory.mktemp("bundle")
    write_page_bundle(folder)
    return folder


@pytest.fixture(scope="session")
def page_embedders() -> dict[Path, Any]:
    return {}


class PageOfPeople(Page):
    """With a short way to three people."""

    def enrol_all(self) -> None:
        self.enrol_at_once(PEOPLE)


PageMaker = Callable[..., PageOfPeople]


@pytest.fixture
def make_page(
    browser: Browser, page_bundle: Path, page_embedders: dict[Path, Any], tmp_path: Path
) -> Iterator[PageMaker]:
    """make_page(size=PHONE, scheme="dark", admin_key=..., ...) -> the page, nobody enrolled."""
    with ExitStack() as stack:

        def make(
            size: tuple[int, int] = WIDE, scheme: str = "light", **settings: Any
        ) -> PageOfPeople:
            url, runtime = stack.enter_context(
                page_service(
                    tmp_path / "gallery.sqlite3",
                    page_bundle,
                    embedder=page_embedders.get(page_bundle),
                    **settings,
                )
            )
            page_embedders[page_bundle] = runtime.bundles.default.embedder
            browser.size(size)
            browser.scheme(scheme)
            browser.requests()
            browser.errors()
            return PageOfPeople(browser, url, runtime, tmp_path / "photos")

        yield make


@pytest.fixture
def page(make_page: PageMaker) -> PageOfPeople:
    return make_page()


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def any_page(request: pytest.FixtureRequest, make_page: PageMaker) -> PageOfPeople:
    """On a desk and on a phone."""
    return make_page(request.param)
