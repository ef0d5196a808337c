"""Enrolment by the page: several photos, a pick of the face, reasons, duplicates, a folder."""

import io
import zipfile
from pathlib import Path

from tests.browser.conftest import PageMaker, PageOfPeople


def templates(page: PageOfPeople) -> dict[str, int]:
    """Photos of each person, as the gallery has them."""
    subjects = page.runtime.default.gallery.subjects(limit=100).subjects
    return {subject.name or "": subject.template_count for subject in subjects}


def test_several_photos_make_one_person_and_each_says_what_came_of_it(page: PageOfPeople) -> None:
    page.open("enrol")
    page.write("#name", "Ada")
    broken = page.photo("broken")
    broken.write_bytes(b"no photo")
    page.give(
        "input.pick", page.photo("a", 12), page.photo("b", (12, 1)), broken, page.photo("none")
    )
    page.says("Enrol with 2 photos")
    page.says("No face found: choose another photo.")
    page.says("The file is not a JPEG, PNG or WebP image")
    page.press("Enrol with 2 photos")
    page.says("Ada: 2 photos enrolled.")
    assert templates(page) == {"Ada": 2}
    states = {
        i.get_attribute("data-file"): i.get_attribute("data-state")
        for i in page.all("li.photo-item")
    }
    assert states == {
        "a.png": "done",
        "b.png": "done",
        "broken.png": "refused",
        "none.png": "noFace",
    }


def test_the_reasons_of_the_service_stand_at_the_photo(make_page: PageMaker) -> None:
    page = make_page(quality="strict").open("enrol")
    page.write("#name", "Tiny")
    page.give("input.pick", page.photo("tiny", 12, sides=(20,)))
    page.press("Enrol with 1 photo")
    page.says("No photo was taken, so nobody was enrolled.")
    (item,) = page.all("li.photo-item")
    assert "face" in item.find_element("css selector", ".note.bad").text
    assert templates(page) == {}


def test_of_a_photo_with_several_faces_the_picked_one_is_enrolled(page: PageOfPeople) -> None:
    page.open("enrol")
    page.write("#name", "Ben")
    page.give("input.pick", page.photo("pair", 12, 39, sides=(220, 120)))
    page.says("2 faces: pick the one to enrol.")
    assert not page.one("#enrol").is_enabled()
    page.one('button.box[aria-label="Face 2 of 2"]').click()
    page.press("Enrol with 1 photo")
    page.says("Ben: 1 photo enrolled.")
    page.go("identify")
    assert page.identify(page.photo("both", 12, 39, sides=(220, 200))) == [
        ("unknown", "unknown"),
        ("match", "Ben"),
    ]


def test_somebody_who_seems_enrolled_is_shown_beside_the_photo(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("enrol")
    page.write("#name", "Ada again")
    page.give("input.pick", page.photo("again", (12, 2)))
    page.press("Enrol with 1 photo")
    page.says("This face looks like Ada")
    page.until(lambda: len(page.all("#duplicate img")) == 2, "both faces")
    page.press("Leave this photo out")
    page.says("Left out")
    assert templates(page) == {"Ada": 2, "Ben": 2, "Cleo": 2}

    page.give("input.pick", page.photo("more", (12, 2)))
    page.press("Enrol with 1 photo")
    page.press("Add the photo to Ada")
    page.says("Ada: 1 photo enrolled.")
    assert templates(page)["Ada"] == 3

    page.write("#name", "Twin")
    page.give("input.pick", page.photo("twin", (12, 2)))
    page.press("Enrol with 1 photo")
    page.press("Enrol as somebody else")
    page.says("Twin: 1 photo enrolled.")
    assert templates(page)["Twin"] == 1


def test_a_folder_of_people_is_enrolled_with_a_report(page: PageOfPeople, tmp_path: Path) -> None:
    for path, people in {
        "Ada/1": (12,),
        "Ada/2": ((12, 1),),
        "Ben/1": (39,),
        "Ben/nobody": (),
        "Crowd/two": (3, 30),
    }.items():
        page.photo(f"folder/{path}", *people)
    page.open("enrol")
    page.give("#folder", tmp_path / "photos" / "folder")
    page.says("3 photos enrolled, 2 not taken.")
    rows = {
        row.find_element("css selector", "td").text: row.get_attribute("data-outcome")
        for row in page.all("#report tbody tr")
    }
    assert rows == {
        "folder/Ada/1.png": "enrolled",
        "folder/Ada/2.png": "enrolled",
        "folder/Ben/1.png": "enrolled",
        "folder/Ben/nobody.png": "rejected",
        "folder/Crowd/two.png": "rejected",
    }
    assert "2 faces" in page.one("#report").text
    assert templates(page) == {"Ada": 2, "Ben": 1}

    # The page is closed and opened: the report is there, until somebody puts it away.
    page.open("enrol")
    page.says("3 photos enrolled, 2 not taken.")
    page.press("Put the report away")

    # The same folder again, with one photo more: nobody and no photo is there twice.
    page.photo("folder/Ben/2", (39, 1))
    page.give("#folder", tmp_path / "photos" / "folder")
    page.says("1 photo enrolled, 3 there already, 2 not taken.")
    assert templates(page) == {"Ada": 2, "Ben": 2}
    page.press("Put the report away")
    page.open("enrol")
    assert not page.all("#report")


def test_a_zip_of_the_page_is_one(page: PageOfPeople) -> None:
    found = page.open().driver.execute_async_script(
        "const [module, done] = arguments;"
        "const file = (path, ...bytes) => ({ path, file: new Blob([new Uint8Array(bytes)]) });"
        "import(module).then(({ zipOf }) => zipOf([file('Zoë/ä.jpg', 0, 1, 255), file('B/e.png'),"
        " { path: 'B/l.png', file: new Blob(['123456789'.repeat(9000)]) }], { note: 'now' }))"
        ".then((zip) => zip.arrayBuffer()).then((bytes) => done([...new Uint8Array(bytes)]))",
        f"{page.url}/page/js/zip.js",
    )
    with zipfile.ZipFile(io.BytesIO(bytes(found))) as archive:
        assert archive.testzip() is None
        assert archive.comment == b"now"
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "Zoë/ä.jpg": bytes([0, 1, 255]),
            "B/e.png": b"",
            "B/l.png": b"123456789" * 9000,
        }
