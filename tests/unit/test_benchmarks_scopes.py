"""`make proof-scopes` asks every operation, finds nothing, and would find what leaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.scope_calls import CALLS
from benchmarks.scope_world import World, world
from benchmarks.scopes import DESTRUCTIVE, probe
from contract.errors import CollectionForbiddenError
from service.access.caller import Caller
from service.access.keyring import Keyring
from service.access.scopes import OPEN, OPERATIONS


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as of:
        yield of


def test_every_operation_that_needs_a_key_is_asked_once() -> None:
    operations = [call.operation for call in CALLS]
    assert len(set(operations)) == len(operations)
    assert set(operations) == {name for name, scopes in OPERATIONS.items() if scopes != OPEN}


def test_nothing_leaks(made: World) -> None:
    found = probe(made, calls=600, seed=3)
    assert found.leaks == []
    assert found.statuses.total() >= 600
    assert found.pairs > 100
    assert {200, 401, 403, 404} <= set(found.statuses)


def leaks(of: World) -> str:
    return "\n".join(probe(of, calls=600, seed=3).leaks)


def test_collections_that_are_not_looked_at_are_found_out(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Caller, "check_collection", lambda *_: None)
    # What is gone is told to nobody, and which call comes first is chance.
    left = [call for call in CALLS if call.operation not in DESTRUCTIVE]
    monkeypatch.setattr("benchmarks.scopes.CALLS", left)
    found = leaks(made)
    assert "Name zq7x 1 0 is told" in found
    assert "what others have is not as it was" in found


def test_existence_alone_is_found_out(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_what_is_there(caller: Caller, collection_id: str) -> None:
        if not caller.sees(collection_id) and collection_id == made.there["collection"]:
            raise CollectionForbiddenError(collection_id)

    monkeypatch.setattr(Caller, "check_collection", only_what_is_there)
    assert "404" in leaks(made)


def test_reports_and_exports_of_others_are_found_out(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Caller, "owns", lambda *_: True)
    assert "get_export_file" in leaks(made)


def test_a_key_that_is_good_after_its_end_is_found_out(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(key_id="x", scopes=frozenset({"admin"}), collections=frozenset({"mine"}))
    real = Keyring.caller_of
    deleted = next(who.key for who in made.callers if who.name == "deleted key")
    monkeypatch.setattr(
        Keyring, "caller_of", lambda ring, key: caller if key == deleted else real(ring, key)
    )
    assert "deleted key: " in leaks(made)
