"""Re-keying: the embeddings that are searched once more, turned by another secret, then a switch.

Of a re-embedding it has the places (next, then former), and the same contract on both sides.
"""

from typing import Final

import numpy as np

from contract.errors import ReembeddingConflictError
from index.records import StoredTemplate
from index.tables import bulk, collections, templates
from index.tables.collections import StoredCollection
from index.tables.templates import UnderContract
from index.writes.effect import Effect
from index.writes.places import search_next, set_beside
from index.writes.scope import Scope

REKEYED_AT_ONCE: Final = 500
REMOVED_AT_ONCE: Final = 2_000
RESEALED_AT_ONCE: Final = 100


def check_no_reembedding(scope: Scope) -> None:
    """Raise ReembeddingConflictError: a re-embedding is under way, or has left its way back."""
    now = scope.collection
    contract = collections.get_contract(scope.c, now.contract_number)
    for number, what, advice in (
        (now.next_contract_number, "is being re-embedded", "finish that, or abandon it"),
        (
            now.former_contract_number,
            "has former embeddings to go back to, which would stay under the former secret",
            "remove those (--drop-former)",
        ),
    ):
        if number is not None and collections.get_contract(scope.c, number).id != contract.id:
            raise ReembeddingConflictError(
                f"The collection {now.id!r} {what}: {advice}, then re-key it."
            )


def begin_rekeying(scope: Scope, label: str) -> Effect:
    """Say that templates under the label are being made. Raises as check_no_reembedding."""
    check_no_reembedding(scope)
    contract = collections.get_contract(scope.c, scope.collection.contract_number)
    set_beside(
        scope,
        next_contract=collections.contract_number(scope.c, contract, label),
        former=scope.collection.former_contract_number,
    )
    scope.log("rekey_begin")
    return Effect(revision=scope.revision)


def rekey_some(
    scope: Scope, of: UnderContract, after: int
) -> tuple[int | None, list[StoredTemplate]]:
    """Store templates numbered above `after` under `of`, too: where to go on, None after the last,
    and the new rows. Raises ReembeddingConflictError: that re-keying is over."""
    if scope.collection.next_contract_number != of.contract:
        raise ReembeddingConflictError(
            f"The re-keying of {scope.collection.id!r} was ended, or begun anew, by another one."
        )
    page = templates.list_unkeyed(
        scope.c, scope.searched, of.contract, after=after, limit=REKEYED_AT_ONCE
    )
    if not page:
        return None, []
    plain = scope.searched.protection.plain(np.stack([t.embedding for t in page]))
    new = [
        (template.subject_number, template.id, template.created_at, embedding)
        for template, embedding in zip(page, of.protection.protect(plain), strict=True)
    ]
    rows = bulk.insert_templates(scope.c, of, new)
    # Who comes in from now on is left to the switch: a busy collection would never be through.
    return (page[-1].number if len(page) == REKEYED_AT_ONCE else None), rows


def switch_key(scope: Scope, of: UnderContract) -> Effect:
    """Search the templates of the new secret from now on, those that came in late included."""
    late: list[StoredTemplate] = []
    after: int | None = 0
    while after is not None:
        after, rows = rekey_some(scope, of, after)
        late += rows
    search_next(scope, of.contract)
    scope.log("rekey_switch")
    return Effect(
        revision=scope.revision,
        added=late,
        subjects=frozenset(template.subject_number for template in late),
    )


def remove_former(scope: Scope) -> tuple[bool, Effect]:
    """Remove some of what a re-keying has left, and say so once nothing is; whether nothing is."""
    number = left_by_rekeying(scope)
    if number is None:
        return True, Effect(revision=scope.revision)
    former = UnderContract(collection=scope.collection.number, contract=number, size=0)
    done = templates.remove_some(scope.c, former, limit=REMOVED_AT_ONCE) < REMOVED_AT_ONCE
    if done:
        set_beside(scope, next_contract=scope.collection.next_contract_number, former=None)
        scope.log("rekey_end")
    return done, Effect(revision=scope.revision, erases=done)


def remove_next(scope: Scope, of: UnderContract) -> tuple[bool, Effect]:
    """Remove some of what a re-keying that gave way has made; whether nothing is left of it."""
    done = templates.remove_some(scope.c, of, limit=REMOVED_AT_ONCE) < REMOVED_AT_ONCE
    if done and scope.collection.next_contract_number == of.contract:
        set_beside(scope, next_contract=None, former=scope.collection.former_contract_number)
    return done, Effect(revision=scope.revision, erases=done)


def reseal_crops(scope: Scope, after: str, head: bytes) -> tuple[str | None, Effect]:
    """Store pictures of templates above `after` once more that do not begin with `head`: where to
    go on, None after the last."""
    page = templates.crop_heads(
        scope.c, scope.collection.number, after=after, limit=RESEALED_AT_ONCE
    )
    for template_id, there in page:
        if there != head:
            image = templates.get_crop(scope.c, template_id)
            assert image is not None
            templates.replace_crop(scope.c, template_id, image)
    last = page[-1][0] if len(page) == RESEALED_AT_ONCE else None
    return last, Effect(revision=scope.revision, erases=last is None)


def left_by_rekeying(scope: Scope) -> int | None:
    """The contract's number of what a re-keying has left and not removed yet; None for nothing."""
    return _of_rekeying(scope, scope.collection.former_contract_number)


def next_by_rekeying(scope: Scope) -> int | None:
    """The contract's number of what a re-keying is making; None for nothing."""
    return _of_rekeying(scope, scope.collection.next_contract_number)


def _of_rekeying(scope: Scope, number: int | None) -> int | None:
    now: StoredCollection = scope.collection
    if number is None:
        return None
    there = collections.get_contract(scope.c, number).id
    same = there == collections.get_contract(scope.c, now.contract_number).id
    return number if same else None
