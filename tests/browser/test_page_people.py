"""The people of a collection: found, renamed, merged, deleted and kept after all."""

import numpy as np

from tests.browser.conftest import PEOPLE, PageOfPeople

# The seconds in which a deletion can be undone, as many as a test wants: none, or no end of them.
UNDO_LASTS = """
    const real = window.setTimeout;
    window.setTimeout = (work, ms, ...more) => real(work, ms === 6000 ? arguments[0] : ms, ...more);
"""
NEVER_OVER_MS, OVER_AT_ONCE_MS = 10_000_000, 0


# The list's own pages, smaller: ten people each, of which three are kept.
PAGES = """
const [modules, subjects, done] = arguments;
const load = (name) => import(`${modules}/${name}.js`);
Promise.all([load("people_pages"), load("people_search")]).then(
  async ([{ PeoplePages }, { search }]) => {
    let come = () => {};
    const signal = new AbortController().signal;
    const pages = new PeoplePages({ signal, changed: () => come(), sizes: { size: 10, most: 3 } });
    const seen = [];
    let most = 0;
    // Down to the end and up again, as somebody scrolls.
    const look = async (place) => {
      while (!pages.at(place)) await new Promise((ready) => (come = ready));
      most = Math.max(most, pages.kept.size);
      seen.push(pages.at(place).subject.name);
    };
    await pages.begin();
    for (let place = 0; place < subjects; place += 1) await look(place);
    for (let place = subjects - 1; place >= 0; place -= 1) await look(place);
    const found = {};
    for (const words of ["SON 07", "Person 0", "id-42", "Per"]) {
      const tell = (entries) => (found[words] = entries.map(({ subject }) => subject.name));
      await search(pages, words, { most: 12, tell });
    }
    done({ seen, most, found, isWhole: pages.isWhole });
  });
"""


def enrol_many(page: PageOfPeople, names: list[str]) -> None:
    """People without pictures, no two alike."""
    gallery = page.runtime.default.gallery
    rows = np.random.default_rng(0).normal(size=(len(names), gallery.contract.size))
    for number, row in enumerate(rows / np.linalg.norm(rows, axis=1, keepdims=True)):
        gallery.enroll(row[None].astype(np.float32), name=names[number], external_id=f"id-{number}")


def listed(page: PageOfPeople) -> list[str]:
    return [link.text for link in page.all(".list .item a") if link.is_displayed()]


def test_people_are_listed_with_their_pictures_and_searched(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("people")
    page.until(lambda: listed(page) == list(PEOPLE), "everybody")
    page.until(lambda: len(page.all(".list img")) == 3, "three stored crops")
    page.write("#search", "id-39")
    page.until(lambda: listed(page) == ["Ben"], "Ben alone")
    page.write("#search", "nobody of this name")
    page.says("Nobody here is called so.")


def test_a_person_is_renamed_and_loses_a_photo(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("people")
    page.press("Ada")
    page.until(lambda: len(page.all(".templates img")) == 2, "two photos")
    page.write("#new-name", "Ada <b>King</b>")
    page.press("Save")
    page.until(lambda: page.names()[0] == "Ada <b>King</b>", "the new name")
    # A name is a name and never markup.
    page.until(lambda: page.one("#name").text == "Ada <b>King</b>", "it on the page")
    page.press("Remove", ".template:first-child")
    page.press("Delete", "dialog")
    page.until(lambda: len(page.all(".template")) == 1, "one photo left")


def test_two_people_become_one(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("people")
    page.press("Ada")
    page.press("Merge …")
    page.write("#merge-search", "cle")
    page.until(lambda: len(page.all("dialog input[type=radio]")) == 1, "Cleo alone")
    page.one("dialog input[type=radio]").click()
    page.press("Merge", "dialog")
    page.until(lambda: page.names() == ["Ben", "Cleo"], "two people")
    page.until(lambda: len(page.all(".template")) == 4, "all photos with Cleo")


def test_a_deletion_can_be_undone_and_else_is_done(any_page: PageOfPeople) -> None:
    page = any_page
    page.enrol_all()
    page.open("people")
    page.driver.execute_script(UNDO_LASTS, NEVER_OVER_MS)
    page.press("Ada")
    page.press("Delete")
    page.until(lambda: listed(page) == ["Ben", "Cleo"], "a list without Ada")
    assert page.names() == list(PEOPLE)
    page.press("Undo")
    page.until(lambda: listed(page) == list(PEOPLE), "Ada again")
    assert page.names() == list(PEOPLE)

    page.open("people")
    page.driver.execute_script(UNDO_LASTS, OVER_AT_ONCE_MS)
    page.press("Ben")
    page.press("Delete")
    page.until(lambda: page.names() == ["Ada", "Cleo"], "Ben gone from the gallery")
    page.until(lambda: listed(page) == ["Ada", "Cleo"], "a list without Ben")


def test_leaving_the_page_does_not_lose_a_deletion(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("people")
    page.driver.execute_script(UNDO_LASTS, NEVER_OVER_MS)
    page.press("Cleo")
    page.press("Delete")
    page.until(lambda: listed(page) == ["Ada", "Ben"], "a list without Cleo")
    page.driver.get("about:blank")
    page.until(lambda: page.names() == ["Ada", "Ben"], "Cleo gone")


def test_somebody_enrolled_twice_is_found_and_merged(page: PageOfPeople) -> None:
    rng = np.random.default_rng(0)
    gallery = page.runtime.default.gallery
    people = rng.normal(size=(40, gallery.contract.size))
    for number, person in enumerate([*people, people[7]]):
        photos = person + rng.normal(scale=0.15, size=(2, len(person)))
        unit = photos / np.linalg.norm(photos, axis=1, keepdims=True)
        gallery.enroll(unit.astype(np.float32), name=f"P{number}")
    page.open("people/-health")
    page.press("Look now")
    page.says("41 people with 82 photos looked at.")
    page.press("Merge P40 into P7")
    page.press("Merge P40 into P7", "dialog")
    page.until(lambda: "P40" not in page.names(), "one of them")


def test_only_rows_that_can_be_seen_are_on_the_page(page: PageOfPeople) -> None:
    enrol_many(page, [f"Person {number:03}" for number in range(300)])
    page.open("people")
    page.says("300 people")
    assert len(page.all(".list .item")) < 40
    page.driver.execute_script(
        "arguments[0].scrollTop = arguments[0].scrollHeight", page.one(".list")
    )
    page.until(lambda: listed(page)[-1:] == ["Person 299"], "the last one")
    page.until(
        lambda: page.all(".list .item")[-1].get_attribute("aria-posinset") == "300", "its place"
    )
    # Not the number alone: some ids, which are drawn, have it, too.
    page.write("#search", "son 177")
    page.until(lambda: listed(page) == ["Person 177"], "one by a part of the name")


def test_of_many_people_a_part_is_kept_and_all_are_come_to_and_found(page: PageOfPeople) -> None:
    names = [f"Person {number:03}" for number in range(95)]
    enrol_many(page, names)
    told = page.open().driver.execute_async_script(PAGES, f"{page.url}/page/js", len(names))
    assert told["seen"] == names + names[::-1]
    assert (told["most"], told["isWhole"]) == (3, True)
    assert told["found"] == {
        "SON 07": names[70:80],
        "Person 0": names[:12],
        "id-42": [names[42]],
        "Per": names[:12],
    }
