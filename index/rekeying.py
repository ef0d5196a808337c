"""Re-keying a collection: the same embeddings under another secret or salt, while it is searched.

    job = Rekeying.begin(gallery)
    for done in job.rekey():       # templates made so far, durable
        ...
    job.switch(gallery)            # atomically; those who came in meanwhile included
    for left in job.clean():       # what was searched until then is removed, for good
        ...
    for _ in job.reseal():         # pictures, by the newest row key, as the templates are by now
        ...

After an interruption the same goes on: with what was made before the switch; after it with what is
left to be removed, and then all over again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contract.errors import GalleryError, ReembeddingConflictError
from index.gallery import Gallery
from index.protection.label import Label
from index.protection.row_cipher import RowCipher
from index.sqlite import SqliteDatabase
from index.tables import collections, templates
from index.tables.templates import UnderContract
from index.writes import rekeying as writes
from index.writes.effect import Effect
from index.writes.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """What a collection is protected by. former_secret_id: None where nothing protected it.

    former_in_use: whether a collection of this gallery still needs that one. row_key_id: of the key
    that its rows are encrypted by, None where they are not.
    """

    secret_id: str
    former_secret_id: str | None
    former_in_use: bool
    row_key_id: str | None


class Rekeying:
    """One collection on its way from one secret, or none, to the next."""

    def __init__(self, gallery: Gallery, of: UnderContract) -> None:
        """See `begin`. of: its templates under the next secret."""
        self.gallery = gallery
        self.of = of
        self.former_label = gallery.shown.of.protection.label

    @classmethod
    def begin(
        cls, gallery: Gallery, *, new_secret: bool = False, new_row_key: bool = False
    ) -> "Rekeying":
        """Begin, or go on with one of the present secret that was interrupted.

        new_secret, new_row_key: make one first, for this and all that is written from now on.
        Raises GalleryError (rows are not encrypted, so that there is no key to be renewed),
        ReembeddingConflictError (a re-embedding is under way, or has left its way back) or
        GallerySecretError.
        """
        # Before a secret is made that nobody needs.
        check_can_rekey(gallery)
        _take_row_key(gallery, new=new_row_key)
        secrets = gallery.galleries.protector.secrets
        _clean(gallery)
        there, label = gallery.read(_next)
        current = secrets.renew() if new_secret else secrets.current()
        # Encrypted ones may be by a former row key: made anew.
        row_key = _row_key_id(gallery)
        if there is not None and (row_key or Label.parsed(label).secret_id != current):
            _give_way(gallery, there)
            there = None
        if there is None:
            label = str(Label.new(current))
            gallery.write(lambda scope: (None, writes.begin_rekeying(scope, label)))
        return gallery.read(lambda scope: cls(gallery, _under(gallery, scope)))

    def rekey(self) -> Iterator[int]:
        """Make the templates under the next secret, some at a time; how many there are then."""
        after: int | None = 0
        while after is not None:

            def step(scope: Scope, after: int = after) -> tuple[int | None, Effect]:
                place, _ = writes.rekey_some(scope, self.of, after)
                return place, Effect(revision=scope.revision)

            after = self.gallery.write(step)
            yield self.gallery.read(lambda scope: templates.count_under(scope.c, self.of))

    def switch(self, gallery: Gallery) -> None:
        """Search them from now on; enrolments wait meanwhile. gallery: the collection, or a twin
        of it."""
        gallery.switch(
            lambda scope: (None, writes.switch_key(scope, self.of)),
            gallery.contract,
            self.of.contract,
        )

    def clean(self) -> Iterator[int]:
        """Remove what was searched before, some at a time; at most how many are gone then."""
        removed = 0
        while not self.gallery.write(writes.remove_former):
            removed += writes.REMOVED_AT_ONCE
            yield removed

    def reseal(self) -> Iterator[None]:
        """Encrypt the stored pictures by the newest row key, some at a time, where there is one."""
        cipher = _cipher(self.gallery)
        after: str | None = ""
        while after is not None and cipher is not None and cipher.seals:
            head = cipher.head

            def step(scope: Scope, after: str = after, head: bytes = head) -> tuple[Any, Effect]:
                return writes.reseal_crops(scope, after, head)

            after = self.gallery.write(step)
            yield

    def result(self) -> Rekeyed:
        """What has come of it."""
        former = Label.parsed(self.former_label).secret_id if self.former_label else None
        used = secrets_in_use(self.gallery)
        return Rekeyed(
            secret_id=Label.parsed(self.of.protection.label).secret_id,
            former_secret_id=former,
            former_in_use=former in used,
            row_key_id=_row_key_id(self.gallery),
        )


def check_can_rekey(gallery: Gallery) -> None:
    """Raise ReembeddingConflictError: a re-embedding is under way, or has left its way back."""
    gallery.read(writes.check_no_reembedding)


def secrets_in_use(gallery: Gallery) -> set[str]:
    """Ids of all secrets that a collection of the database needs, of whatever it has stored."""
    with gallery.galleries.database.reading() as c:
        return {
            Label.parsed(label).secret_id
            for stored in collections.all_collections(c)
            for number in (
                stored.contract_number,
                stored.next_contract_number,
                stored.former_contract_number,
            )
            if number is not None and (label := collections.protection_label(c, number))
        }


def _cipher(gallery: Gallery) -> RowCipher | None:
    """None in PostgreSQL."""
    database = gallery.galleries.database
    return database.cipher if isinstance(database, SqliteDatabase) else None


def _row_key_id(gallery: Gallery) -> str | None:
    cipher = _cipher(gallery)
    return cipher.newest_id if cipher is not None and cipher.seals else None


def _take_row_key(gallery: Gallery, *, new: bool) -> None:
    cipher = _cipher(gallery)
    if cipher is not None and cipher.keys is not None:
        if new:
            cipher.keys.renew()
        cipher.take_newest()
    elif new:
        raise GalleryError(
            "The rows of this gallery are not encrypted: name a file for their key by "
            "row_key_file first."
        )


def _next(scope: Scope) -> tuple[int | None, str]:
    number = writes.next_by_rekeying(scope)
    return number, "" if number is None else collections.protection_label(scope.c, number)


def _under(gallery: Gallery, scope: Scope) -> UnderContract:
    number = writes.next_by_rekeying(scope)
    if number is None:
        raise ReembeddingConflictError(
            f"The re-keying of {scope.collection.id!r} was ended by another one."
        )
    return gallery.galleries.under(scope.c, scope.collection, gallery.contract, number)


def _clean(gallery: Gallery) -> None:
    while gallery.read(lambda scope: writes.left_by_rekeying(scope) is not None):
        gallery.write(writes.remove_former)


def _give_way(gallery: Gallery, number: int) -> None:
    of = UnderContract(collection=gallery.number, contract=number, size=0)
    while not gallery.write(lambda scope: writes.remove_next(scope, of)):
        pass
