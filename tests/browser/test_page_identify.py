"""Enrol three people, identify a group photo, see boxes and names, drag the threshold."""

import base64
import shlex
import subprocess

import pytest
from selenium.webdriver.remote.webelement import WebElement

from benchmarks.chromium import PHONE
from tests.browser.conftest import PEOPLE, STRANGERS, PageMaker, PageOfPeople

GROUP = ((12, 1), (39, 1), STRANGERS[0], (3, 1))
FOUND = [("match", "Cleo"), ("match", "Ben"), ("match", "Ada"), ("unknown", "unknown")]


def test_three_people_are_enrolled_and_found_in_a_group_photo(any_page: PageOfPeople) -> None:
    page = any_page
    page.open("enrol")
    for name, seed in PEOPLE.items():
        page.enrol(name, page.photo(name, seed))
    assert page.names() == list(PEOPLE)

    page.go("identify")
    group = page.photo("group", *GROUP, sides=(200, 210, 190, 220))
    assert page.identify(group) == FOUND
    boxes = {box.get_attribute("aria-label") for box in page.all("button.box")}
    assert boxes == {"Face 1: Cleo", "Face 2: Ben", "Face 3: Ada", "Face 4: unknown"}
    page.says("Expected false positives: at most 1 % of strangers")
    assert page.one("#heard").get_attribute("textContent") == "4 faces found, 3 known."
    photo = page.one(".photo img").rect
    top = page.driver.execute_script("return scrollY")
    assert top <= photo["y"] < top + page.browser.height_px, "the answer is to be seen at once"


def test_boxes_lie_on_the_faces_of_the_photo(page: PageOfPeople) -> None:
    page.open("identify")
    page.identify(page.photo("pair", 12, 39, sides=(200, 100)))
    image = page.one(".photo img").rect
    larger, smaller = (box.rect for box in page.all("button.box"))
    scale = image["width"] / (200 + 100 + 3 * 24)
    for box, left, top, side in ((larger, 24, 24, 200), (smaller, 248, 124, 100)):
        assert box["x"] - image["x"] == pytest.approx(left * scale, abs=2)
        assert box["y"] - image["y"] == pytest.approx(top * scale, abs=2)
        assert box["width"] == pytest.approx(side * scale, abs=2)


def test_names_of_near_neighbours_do_not_cover_each_other(make_page: PageMaker) -> None:
    page = make_page(PHONE)
    page.enrol_at_once({"Ada": 12, "Maria Magdalena of a long name": 39})
    page.open("identify")

    def labels(many: int) -> list[WebElement]:
        found = page.until(
            lambda: page.all(f".box:nth-child({many}) span") and page.all(".box span")
        )
        for i, one in enumerate(a.rect for a in found):
            for other in (b.rect for b in found[i + 1 :]):
                beside = one["x"] >= other["x"] + other["width"]
                assert beside or one["x"] + one["width"] <= other["x"]
        return found

    page.identify(page.photo("four", (12, 1), STRANGERS[0], (39, 1), STRANGERS[1]))
    assert {label.text for label in labels(4)} >= {"Ada", "Maria Magdalena of a long name"}
    page.identify(page.photo("nine", *[(12, 1), (39, 1), STRANGERS[0]] * 3))
    drawn = "return getComputedStyle(arguments[0], '::before').content"
    numbers = {page.driver.execute_script(drawn, label) for label in labels(9)}
    assert numbers == {f'"{number}"' for number in range(1, 10)}
    assert [card.text for card in page.all(".place")] == [str(n) for n in range(1, 10)]


def test_a_dragged_threshold_has_the_service_decide_anew(any_page: PageOfPeople) -> None:
    page = any_page
    page.enrol_all()
    page.open("identify")
    photo = page.photo("group", *GROUP, sides=(200, 210, 190, 220))
    assert page.identify(photo) == FOUND
    stated = page.one("#threshold-value").text

    # To its end: of the handle, which is where the threshold is.
    threshold = page.one("#threshold")
    wide = int(threshold.rect["width"])
    place = round((float(stated) - 0.5) * (wide - 16))
    page.drag(threshold, wide // 2 - 1 - place, from_px=place)
    page.until(lambda: {decision for decision, _ in page.faces()} == {"unknown"}, "all unknown")
    page.says("nothing is known of how many strangers it lets through")
    assert "threshold=1" in page.one("#curl").text

    page.slide("#threshold", 0.05)
    page.until(lambda: {decision for decision, _ in page.faces()} == {"match"}, "all a match")

    page.press("Back to the stated rate")
    page.until(lambda: page.faces() == FOUND, "decisions as at first")
    assert page.one("#threshold-value").text == stated


def test_a_stricter_rate_asks_for_a_higher_threshold(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("identify")
    page.identify(page.photo("one", 12))
    loose = float(page.one("#threshold-value").text)
    page.driver.execute_script(
        "arguments[0].value = '0.003'; arguments[0].dispatchEvent(new Event('change'))",
        page.one("#target"),
    )
    page.says("at most 0.3 % of strangers")
    assert float(page.one("#threshold-value").text) > loose


def test_the_curl_beside_the_answer_gives_that_answer(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("identify")
    photo = page.photo("it's Ada", 12)
    page.identify(photo)
    command = shlex.split(page.one("#curl").text)
    answer = subprocess.run(
        [*command, "--silent", "--noproxy", "*"],
        cwd=photo.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"name":"Ada"' in answer.stdout


def test_a_photo_without_a_face_and_a_file_that_is_no_photo_are_told_in_words(
    page: PageOfPeople,
) -> None:
    page.open("identify")
    page.give("input.pick", page.photo("nobody"))
    page.says("There is no face in this photo")
    broken = page.photo("broken")
    broken.write_bytes(b"no photo")
    page.give("input.pick", broken)
    page.says("The file is not a JPEG, PNG or WebP image")


def test_a_photo_comes_by_drop_by_paste_and_by_webcam(page: PageOfPeople) -> None:
    page.enrol_all()
    picture = base64.b64encode(page.photo("ada", 12).read_bytes()).decode()
    for way in ("drop", "paste"):
        page.open("identify")
        page.driver.execute_script(
            f"""
            const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "given.png", {{ type: "image/png" }}));
            const event = "{way}" === "drop"
                ? new DragEvent("drop", {{ dataTransfer: data, bubbles: true, cancelable: true }})
                : new ClipboardEvent("paste", {{ clipboardData: data }});
            ("{way}" === "drop" ? document.querySelector(".drop") : window).dispatchEvent(event);
            """,
            picture,
        )
        page.one("article.face")
        assert page.faces() == [("match", "Ada")], way
    page.open("identify")
    page.press("Camera")
    page.says("Look into the camera.")
    page.until(
        lambda: page.driver.execute_script("return document.querySelector('video').videoWidth")
    )
    page.press("Take the photo")
    # Chromium's stand-in for a camera shows bright shapes and nobody whom we know.
    page.one("article.face, .note")
    assert page.all("dialog") == []


def test_what_was_answered_is_confirmed_rejected_and_taken_back(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("identify")
    page.identify(page.photo("one", (12, 1)))

    def said() -> list[str]:
        from index.feedback import feedback_page

        told = feedback_page(page.runtime.default.gallery, limit=10, before=None).feedback
        return [one.verdict for one in told]

    page.press("Confirm", "article.face")
    page.until(lambda: said() == ["confirmed"], "a confirmation")
    page.press("Not this person", "article.face")
    page.until(lambda: said() == ["rejected"], "a rejection in its place")
    page.says("Noted: not this person.")
    page.press("Not this person", "article.face")
    page.until(lambda: said() == [], "nothing said")
