"""System: figures, collections and keys; and the page of a service that asks for a key."""

from tests.browser.conftest import PageMaker, PageOfPeople
from tests.keyed import ADMIN_KEY, made


def test_what_is_running_is_told_and_collections_are_made_and_removed(page: PageOfPeople) -> None:
    page.enrol_all()
    page.open("system")
    page.says("blocks of grey")
    page.says("torchscript")
    page.says("anything but tests")
    page.until(lambda: "Requests answered" in page.one("#metrics").text, "figures")
    page.write("#new-collection", "visitors")
    page.press("Make it", "#collections")
    page.until(lambda: [o.text for o in page.all("#collection option")] == ["default", "visitors"])
    page.one('#collection option[value="visitors"]').click()
    page.go("people")
    page.says("Nobody is enrolled yet.")
    page.go("system")
    page.press("Remove", "#collections")
    page.press("Delete collection visitors", "dialog")
    page.until(lambda: not page.all("#collection option"), "one collection")
    page.go("people")
    page.says("3 people")


def test_keys_are_made_shown_once_and_deleted(page: PageOfPeople) -> None:
    page.open("system")
    page.says("There is no key")
    page.write("#key-name", "Mine")
    page.one('#keys input[value="admin"]').click()
    page.press("Make it", "#keys")
    secret = page.one("#secret").text
    assert secret.startswith("og_")
    page.until(lambda: "Mine" in page.one("#keys table").text, "the key in the list")
    # From here on the service asks for one, and this tab has it.
    page.go("people")
    page.says("Nobody is enrolled yet.")
    page.go("system")
    page.until(lambda: "Mine" in page.one("#keys table").text, "the key in the list")
    assert secret not in page.text()
    page.press("Remove", "#keys")
    page.press("Delete key Mine", "dialog")
    page.says("There is no key")


def test_a_service_with_keys_asks_for_one_and_takes_it(make_page: PageMaker) -> None:
    page = make_page(admin_key=ADMIN_KEY)
    page.open("people")
    page.says("This service asks for a key.")
    page.write("#api-key", "og_wrong")
    page.press("Use this key")
    page.until(lambda: page.all("dialog .note.bad"), "a refusal in the dialog")
    page.write("#api-key", ADMIN_KEY)
    page.press("Use this key")
    page.says("Nobody is enrolled yet.")
    stored = page.driver.execute_script("return [localStorage.length, sessionStorage.length]")
    assert stored[0] == 0
    page.driver.execute_script("sessionStorage.clear()")


def test_a_key_of_one_scope_sees_what_it_may_and_is_told_what_not(make_page: PageMaker) -> None:
    page = make_page(admin_key=ADMIN_KEY)
    page.open("identify")
    page.write("#api-key", made(page.runtime.keyring, "identify"))
    page.press("Use this key")
    page.identify(page.photo("one", 12))
    assert page.faces() == [("unknown", "unknown")]
    page.go("people")
    page.until(lambda: "enroll" in page.one(".note.bad").text, "the scope that it lacks")
    page.driver.execute_script("sessionStorage.clear()")
