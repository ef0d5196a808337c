"""Re-embedding: templates under another contract beside those that are searched, then a switch."""

import dataclasses
from collections.abc import Mapping, Sequence

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    ReembeddingConflictError,
    ReembeddingEndedError,
    SubjectNotFoundError,
)
from index.records import Embeddings, StoredTemplate
from index.tables import collections, subjects, templates
from index.tables.templates import UnderContract
from index.writes.effect import Effect
from index.writes.places import search_next, set_beside
from index.writes.rekeying import left_by_rekeying
from index.writes.scope import Scope


def begin_next(scope: Scope, contract: EmbeddingContract, label: str = "") -> Effect:
    """Say that templates under `contract` are being built; twice is once.

    label: how they are protected, see index/protection/label.py. Raises ReembeddingConflictError:
    it is the contract that is searched, or another one is being built.
    """
    now = scope.collection
    searched, following, former = (
        None if number is None else collections.get_contract(scope.c, number).id
        for number in (now.contract_number, now.next_contract_number, now.former_contract_number)
    )
    if following == searched:
        raise ReembeddingConflictError(
            f"The collection {now.id!r} is being re-keyed: let that end, or begin it again."
        )
    if contract.id == searched:
        raise ReembeddingConflictError(
            f"The collection {now.id!r} is already searched under this bundle's contract: "
            "there is nothing to re-embed."
        )
    if following not in (None, contract.id):
        raise ReembeddingConflictError(
            f"The collection {now.id!r} is being re-embedded for another bundle: finish that one, "
            "or abandon it."
        )
    if contract.id == former:
        raise ReembeddingConflictError(
            f"The collection {now.id!r} was searched under this contract before: roll back to it, "
            "or drop the former embeddings first."
        )
    number = now.next_contract_number
    if number is None:
        number = collections.contract_number(scope.c, contract, label)
    # What is there says something else only where one of the two is wrong.
    collections.check_same(collections.get_contract(scope.c, number), contract)
    set_beside(scope, next_contract=number, former=now.former_contract_number)
    scope.log("reembed_begin", contract_id=contract.id)
    return Effect(revision=scope.revision)


def stage(scope: Scope, of: UnderContract, embeddings: Mapping[str, Embeddings]) -> Effect:
    """As insert_staged, in a write of its own: nothing that is searched changes."""
    insert_staged(scope, of, embeddings)
    return Effect(revision=scope.revision)


def insert_staged(
    scope: Scope, of: UnderContract, embeddings: Mapping[str, Embeddings]
) -> list[StoredTemplate]:
    """Store known templates' embeddings, float32 (D,) by template id, under `of`; the new rows.

    Templates that are gone, or staged already, are left out.
    Raises ReembeddingEndedError: `of` is neither the next contract nor the former one.
    """
    _check_beside(scope, of)
    inserted = []
    for template_id, plain in embeddings.items():
        known = templates.find_template(scope.c, scope.searched, template_id)
        if known and templates.find_template(scope.c, of, template_id) is None:
            new = dataclasses.replace(known, embedding=of.protection.protect(plain[None])[0])
            number = templates.insert_template(scope.c, of, new)
            inserted.append(dataclasses.replace(new, number=number))
    return inserted


def stage_new(
    scope: Scope,
    of: UnderContract,
    subject_id: str,
    embeddings: Mapping[str, Embeddings],
) -> Effect:
    """Store new templates of a subject under the next contract, by their ids; twice is once.

    Raises SubjectNotFoundError.
    """
    _check_next(scope, of)
    known = subjects.find_by_id(scope.c, scope.collection.number, subject_id)
    if known is None:
        raise SubjectNotFoundError(subject_id)
    for template_id, plain in embeddings.items():
        if templates.find_template(scope.c, of, template_id) is None:
            new = StoredTemplate(
                number=0,
                subject_number=known.number,
                id=template_id,
                created_at=scope.at,
                embedding=of.protection.protect(plain[None])[0],
            )
            templates.insert_template(scope.c, of, new)
    return Effect(revision=scope.revision)


def switch(scope: Scope, of: UnderContract) -> Effect:
    """Search what was built from now on; what was searched becomes the former."""
    _check_next(scope, of)
    former = scope.collection.former_contract_number
    if former is not None:
        # One step back is kept, not a history.
        templates.remove_under(scope.c, dataclasses.replace(of, contract=former))
    search_next(scope, of.contract)
    scope.log("reembed_switch")
    return Effect(revision=scope.revision, erases=former is not None)


def roll_back(scope: Scope, of: UnderContract | None = None) -> Effect:
    """Search the former templates again; those that were searched are the next ones, once more.

    of: what they are expected to be under. Raises ReembeddingConflictError (there are none, or a
    re-embedding is under way), or ReembeddingEndedError: they are of another contract.
    """
    now = scope.collection
    if now.former_contract_number is None or left_by_rekeying(scope) is not None:
        raise ReembeddingConflictError(
            f"The collection {now.id!r} has no former embeddings to go back to: "
            "re-embed it with the bundle of your choice."
        )
    if now.next_contract_number is not None:
        raise ReembeddingConflictError(
            f"The collection {now.id!r} is being re-embedded: finish that, or abandon it, before "
            "you go back."
        )
    if of is not None and of.contract != now.former_contract_number:
        raise _ended(scope, of)
    collections.set_contracts(
        scope.c,
        now.number,
        contract=now.former_contract_number,
        next_contract=now.contract_number,
        former=None,
    )
    scope.log("reembed_roll_back")
    return Effect(revision=scope.revision)


def drop(scope: Scope, *, which: Sequence[str]) -> Effect:
    """Remove what is not searched: "next", abandoning a re-embedding, or "former"."""
    now = scope.collection
    numbers = {"next": now.next_contract_number, "former": now.former_contract_number}
    for name in which:
        number = numbers[name]
        if number is not None:
            templates.remove_under(scope.c, dataclasses.replace(scope.searched, contract=number))
            numbers[name] = None
    set_beside(scope, next_contract=numbers["next"], former=numbers["former"])
    scope.log("reembed_drop", which=list(which))
    return Effect(revision=scope.revision, erases=True)


def _check_next(scope: Scope, of: UnderContract) -> None:
    if of.contract != scope.collection.next_contract_number:
        raise _ended(scope, of)


def _check_beside(scope: Scope, of: UnderContract) -> None:
    now = scope.collection
    if of.contract not in (now.next_contract_number, now.former_contract_number):
        raise _ended(scope, of)


def _ended(scope: Scope, of: UnderContract) -> ReembeddingEndedError:
    there = collections.get_contract(scope.c, scope.collection.contract_number)
    given = collections.get_contract(scope.c, of.contract)
    return ReembeddingEndedError(gallery_contract_id=there.id, bundle_contract_id=given.id)
