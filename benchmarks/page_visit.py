"""Somebody in front of the page: what they see, and what they do there."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.interaction import POINTER_MOUSE, POINTER_TOUCH
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks.chromium import Browser
from benchmarks.drawn_faces import drawn_photo
from benchmarks.pictures import encoded
from service.runtime import Runtime

# For what comes within a second on a machine that has nothing else to do.
WAIT_S = 90


class Page:
    """The page as somebody uses it: by what can be seen, and by files."""

    def __init__(self, browser: Browser, url: str, runtime: Runtime, folder: Path) -> None:
        self.browser, self.url, self.runtime, self._folder = browser, url, runtime, folder
        self.driver = browser.driver

    def open(self, place: str = "") -> "Page":
        """The page anew, at a place like `people`."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/#/{place}")
        return self.settled()

    def go(self, place: str) -> "Page":
        """Another place without loading it anew, as its links do: what the tab knows stays."""
        self.driver.execute_script("location.hash = arguments[0]", f"#/{place}")
        return self.settled(place)

    def settled(self, place: str = "") -> "Page":
        view = place.partition("/")[0].partition("?")[0]
        mark = f'main[data-view="{view}"]' if view else "main[data-view]"
        self.one(f"{mark} > div > *")
        return self

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        """The first such element, as soon as it is there and can be seen."""
        return self.until(
            lambda: next((e for e in self.all(selector) if e.is_displayed()), None), selector
        )

    def until(self, true: Callable[[], Any], words: str = "") -> Any:
        """What `true` says once that is not false."""
        try:
            wait = WebDriverWait(self.driver, WAIT_S, 0.02, [StaleElementReferenceException])
            return wait.until(lambda _: true())
        except TimeoutException as error:
            raise AssertionError(f"{words} did not come; the page says:\n{self.text()}") from error

    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def says(self, words: str) -> None:
        """Waits until the words are on the page."""
        self.until(lambda: words in self.text(), words)

    def press(self, label: str, inside: str = "body") -> None:
        """Clicks on the button or link of that label."""
        xpath = f'.//*[self::button or self::a][normalize-space()="{label}"]'
        found = self.until(
            lambda: next(
                (
                    element
                    for area in self.all(inside)
                    for element in area.find_elements(By.XPATH, xpath)
                    if element.is_displayed() and element.is_enabled()
                ),
                None,
            ),
            label,
        )
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()

    def write(self, selector: str, text: str) -> None:
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def give(self, selector: str, *photos: Path) -> None:
        """Picks files, as the system's dialog would."""
        self.driver.find_element(By.CSS_SELECTOR, selector).send_keys("\n".join(map(str, photos)))

    def photo(self, name: str, *people: int | tuple[int, int], sides: Sequence[int] = ()) -> Path:
        """A file of drawn people."""
        path = self._folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(drawn_photo(*people, sides=sides)))
        return path

    def slide(self, selector: str, value: float) -> None:
        """Moves a range to a value, as a finger does: its events included."""
        self.driver.execute_script(
            "arguments[0].value = arguments[1];"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            self.one(selector),
            value,
        )

    def drag(self, element: WebElement, right_px: int, *, from_px: int = 0) -> None:
        """Drags by a mouse, or on a phone by a finger, from so far right of the middle."""
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        kind = POINTER_TOUCH if self.browser.is_phone else POINTER_MOUSE
        actions = ActionBuilder(self.driver, mouse=PointerInput(kind, kind))
        hand = actions.pointer_action
        hand.move_to(element, from_px).pointer_down()
        hand.move_to(element, from_px + right_px // 2).move_to(element, from_px + right_px)
        hand.pointer_up()
        actions.perform()

    def calm(self) -> None:
        """Scrolled to the top, without a focus or a passing word: as a picture of it should be."""
        self.driver.execute_script(
            "scrollTo(0, 0); document.activeElement.blur();"
            "document.getElementById('toasts').replaceChildren()"
        )

    def names(self) -> list[str]:
        subjects = self.runtime.default.gallery.subjects(limit=100).subjects
        return [subject.name or "" for subject in subjects]

    def enrol(self, name: str, *photos: Path) -> None:
        """Somebody new, by the page."""
        self.write("#name", name)
        self.give("input.pick", *photos)
        self.press(f"Enrol with {len(photos)} photos" if len(photos) > 1 else "Enrol with 1 photo")
        self.says(f"{name}: ")

    def enrol_at_once(self, people: Mapping[str, int]) -> None:
        """Drawn people by their seeds, two photos each, not by the page: for what comes after."""
        for name, seed in people.items():
            data = {"name": name, "store_image": "crop", "external_id": f"id-{seed}"}
            files = [
                ("images", self.photo(f"{name}{i}", (seed, i), sides=(112,)).read_bytes())
                for i in range(2)
            ]
            answer = httpx.post(f"{self.url}/v1/enroll", data=data, files=files, trust_env=False)
            assert answer.status_code == 201, answer.text

    def identify(self, photo: Path) -> list[tuple[str, str]]:
        """(decision, name) of each face, in the order of the cards."""
        self.give("input.pick", photo)
        self.one("article.face, .note")
        return self.faces()

    def faces(self) -> list[tuple[str, str]]:
        """(decision, name) of each face, all of one moment."""
        found = self.driver.execute_script(
            "return [...document.querySelectorAll('article.face')].map((card) =>"
            " [card.dataset.decision, card.querySelector('h3').firstChild.textContent])"
        )
        return [(decision, name) for decision, name in found]
