"""The file of secrets: made once, for its owner's eyes, and never told."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.errors import GalleryError, GallerySecretError
from index.protection.label import Label
from index.protection.protection import PLAIN
from index.protection.protector import Protector
from index.protection.secrets import GallerySecrets, secret_id

ONE, TWO = "11" * 32, "22" * 32
ID_ONE, ID_TWO = secret_id(bytes.fromhex(ONE)), secret_id(bytes.fromhex(TWO))


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def test_it_is_made_when_it_is_first_needed_and_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "new" / "g.secret"
    secrets = GallerySecrets(path)
    assert secrets.ids() == []
    assert not path.parent.exists()
    with caplog.at_level(logging.INFO):
        made = secrets.current()
    assert path.stat().st_mode & 0o777 == 0o600
    (line,) = lines(path)
    assert len(line) == 64
    assert made == secret_id(bytes.fromhex(line))
    assert secrets.current() == GallerySecrets(path).current() == made
    assert secrets.get(made, of="it") == bytes.fromhex(line)
    # The log says where it is, and nothing of what it is.
    assert str(path) in caplog.text
    assert line not in caplog.text
    assert [*tmp_path.rglob(".*")] == []


def test_a_new_one_goes_before_the_others(tmp_path: Path) -> None:
    path = tmp_path / "g.secret"
    path.write_text(f"# mine\n{ONE}\n")
    secrets = GallerySecrets(path)
    new = secrets.renew()
    assert secrets.ids() == [new, ID_ONE]
    assert secrets.current() == new
    assert secrets.get(ID_ONE, of="it") == bytes.fromhex(ONE)
    assert path.stat().st_mode & 0o777 == 0o600


def at_once(count: int, work: Callable[[], str]) -> list[str]:
    """What so many threads get that begin together."""
    start = threading.Barrier(count)
    found: list[str] = []

    def run() -> None:
        start.wait()
        found.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_many_who_make_it_at_once_one_does(tmp_path: Path) -> None:
    path = tmp_path / "g.secret"
    found = at_once(8, lambda: GallerySecrets(path).current())
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(lines(path)) == 1


def test_of_many_who_add_one_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "g.secret"
    path.write_text(f"{ONE}\n")
    # As several services do that share a file: each with its own object.
    found = at_once(8, lambda: GallerySecrets(path).renew())
    assert len(set(found)) == 8
    assert {*found, ID_ONE} == set(GallerySecrets(path).ids())
    assert len(lines(path)) == 9


@pytest.mark.parametrize("text", [f"{ONE},{TWO}", f"{ONE} {TWO}", f"{ONE}\n{TWO}\n"])
def test_secrets_may_come_from_the_environment(tmp_path: Path, text: str) -> None:
    secrets = GallerySecrets(tmp_path / "none", text=text)
    assert (secrets.current(), secrets.ids()) == (ID_ONE, [ID_ONE, ID_TWO])
    assert secrets.get(ID_TWO, of="it") == bytes.fromhex(TWO)
    assert not secrets.open_to_others()
    with pytest.raises(GallerySecretError, match="put a new one"):
        secrets.renew()
    assert not (tmp_path / "none").exists()


def test_a_missing_one_is_told_with_the_place_where_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "g.secret"
    path.write_text(f"{ONE}\n")
    with pytest.raises(GallerySecretError) as caught:
        GallerySecrets(path).get(ID_TWO, of="The collection 'staff'")
    assert "The collection 'staff' was protected by the secret" in str(caught.value)
    assert ID_TWO in str(caught.value)
    assert str(path) in str(caught.value)
    assert ONE not in str(caught.value)


@pytest.mark.parametrize("line", [ONE[:-2], f"{ONE}00", ONE[:-1] + "g", f"{ONE[:30]} {ONE[30:]}"])
def test_a_damaged_file_is_refused_and_its_content_not_told(tmp_path: Path, line: str) -> None:
    path = tmp_path / "g.secret"
    path.write_text(f"{line}\n")
    with pytest.raises(GallerySecretError, match="something else than secrets of 64") as caught:
        GallerySecrets(path).current()
    assert line[:20] not in str(caught.value)


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "g.secret"):
        with pytest.raises(GallerySecretError, match=r"cannot be (read|written)"):
            GallerySecrets(path).current()


def test_a_file_that_others_may_read_is_seen(tmp_path: Path) -> None:
    secrets = GallerySecrets(tmp_path / "g.secret")
    assert not secrets.open_to_others()
    secrets.current()
    assert not secrets.open_to_others()
    secrets.path.chmod(0o640)
    assert secrets.open_to_others()


def test_a_label_says_which_secret_and_no_more() -> None:
    label = Label.new(ID_ONE)
    assert Label.parsed(str(label)) == label
    assert Label.new(ID_ONE) != label
    assert str(label).startswith(f"rotation-1:{ID_ONE}:")


@pytest.mark.parametrize("text", ["rotation-2:x", f"rotation-1:{ID_ONE}:00", "", "x"])
def test_a_label_of_another_release_is_refused(text: str) -> None:
    with pytest.raises(GalleryError, match="in a way that this OneGlance does not know"):
        Label.parsed(text)


def test_each_protection_is_computed_once(tmp_path: Path) -> None:
    protector = Protector(GallerySecrets(tmp_path / "g.secret"))
    label = protector.new_label()
    made = protector.of(label, size=8, collection_id="c")
    assert protector.of(label, size=8, collection_id="c") is made
    assert made.label == label
    assert protector.of("", size=8, collection_id="c") is PLAIN
    assert protector.new_label() != label


def test_collections_are_left_as_they_are_where_that_is_wanted(tmp_path: Path) -> None:
    protector = Protector(GallerySecrets(tmp_path / "g.secret", protects_new=False))
    assert protector.new_label() == ""
    assert not (tmp_path / "g.secret").exists()
    assert protector.new_label(anyway=True)
