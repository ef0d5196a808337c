"""API keys of two replicas at a time."""

import threading
from collections.abc import Sequence

import pytest

from contract.errors import LastAdminKeyError
from index.api_keys import add_key, remove_key, stored_keys
from index.galleries import Galleries
from index.tables.api_keys import StoredKey
from tests.unit.test_index_api_keys import A, B, willing

# Far longer than a removal takes that nothing holds up.
HELD_UP_S = 0.5


def one_left(keys: Sequence[StoredKey]) -> None:
    if not keys:
        raise LastAdminKeyError


def test_two_replicas_cannot_each_remove_the_others_last_key(postgres_dsn: str) -> None:
    here, there = Galleries.open(postgres_dsn), Galleries.open(postgres_dsn)
    refused: list[Exception] = []

    def remove_there() -> None:
        try:
            remove_key(there, "b", check=one_left)
        except LastAdminKeyError as error:
            refused.append(error)

    other = threading.Thread(target=remove_there)

    def meanwhile(keys: Sequence[StoredKey]) -> None:
        assert keys == [B]
        other.start()
        # It waits for this transaction; if it did not, it would be through by now.
        other.join(HELD_UP_S)
        assert other.is_alive()

    try:
        for key in (A, B):
            add_key(here, key, check=willing)
        remove_key(here, "a", check=meanwhile)
        other.join()
        assert len(refused) == 1
        assert stored_keys(here) == [B]
    finally:
        here.close()
        there.close()


def test_a_replica_sees_the_keys_of_another(postgres_dsn: str) -> None:
    here, there = Galleries.open(postgres_dsn), Galleries.open(postgres_dsn)
    try:
        add_key(here, A, check=willing)
        assert stored_keys(there) == [A]
        with pytest.raises(LastAdminKeyError):
            remove_key(there, "a", check=one_left)
    finally:
        here.close()
        there.close()
