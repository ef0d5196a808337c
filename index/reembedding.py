"""Re-embedding a collection: built beside what is searched, compared, switched, rolled back.

    job = Reembedding.begin(gallery, new_contract)
    for page in job.pending():                  # template ids with their stored crops
        job.stage({template_id: embedding, ...})
    job.progress()                              # what is there, what is missing
    job.switch()                                # atomically; names and ids are kept
    roll_back(gallery)                          # one step, if it turns out worse

It can be begun again after an interruption: what is staged stays. Enrolments meanwhile go on under
the old contract and turn up among the pending.
Shapes: D embedding size of the new contract.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from contract.embedding_contract import EmbeddingContract
from contract.errors import MissingTemplatesError
from index.checks import check_embeddings
from index.galleries import View
from index.gallery import Gallery
from index.records import Embeddings, StoredTemplate
from index.tables import collections, templates
from index.tables.templates import UnderContract
from index.writes import reembedding as writes
from index.writes.effect import Effect
from index.writes.scope import Scope

_PAGE_TEMPLATES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTemplate:
    """A template without an embedding under the next contract. crop: its stored picture."""

    id: str
    subject_id: str
    crop: bytes | None


# Of templates with a stored picture: embeddings, float32 (D,), by the ids of those that it can.
Embed: TypeAlias = Callable[[Sequence[PendingTemplate]], Mapping[str, Embeddings]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Templates searched now, and by the next contract, and subjects that would have none.

    missing: templates that are searched and not staged; unsearched: the other way round.
    """

    searched: int
    staged: int
    missing: int
    unsearched: int
    subjects_without: tuple[str, ...]


class Reembedding:
    """One collection on its way from one contract to the next."""

    def __init__(self, gallery: Gallery, contract: EmbeddingContract, of: UnderContract) -> None:
        """See `begin`. of: its templates under that contract."""
        self.gallery = gallery
        self.contract = contract
        self.of = of

    @classmethod
    def begin(cls, gallery: Gallery, contract: EmbeddingContract) -> "Reembedding":
        """Begin or go on.

        Raises ReembeddingConflictError: nothing to do, or another one is under way.
        """
        protected = bool(gallery.shown.of.protection.label)
        label = gallery.galleries.protector.new_label(anyway=protected)
        gallery.write(lambda scope: (None, writes.begin_next(scope, contract, label)))
        job = job_under_way(gallery)
        assert job is not None
        return job

    def pending(self, *, with_crop: bool = False) -> Iterator[list[PendingTemplate]]:
        """Templates that are not staged yet, some hundreds at a time, each once.

        with_crop: those only of which a picture is stored.
        """
        after = 0
        while True:

            def page(scope: Scope, after: int = after) -> tuple[int, list[PendingTemplate]]:
                return self._page(scope, after=after, with_crop=with_crop)

            after, found = self.gallery.read(page)
            if not found:
                return
            yield found

    def stage(self, embeddings: Mapping[str, Embeddings]) -> None:
        """Store embeddings, float32 (D,), of known templates by their ids."""
        checked = self._checked(embeddings)
        self.gallery.write(lambda scope: (None, writes.stage(scope, self.of, checked)))

    def stage_new(self, subject_id: str, embeddings: Mapping[str, Embeddings]) -> None:
        """Store embeddings of further photos of a subject, under new template ids."""
        checked = self._checked(embeddings)
        self.gallery.write(
            lambda scope: (None, writes.stage_new(scope, self.of, subject_id, checked))
        )

    def progress(self) -> Progress:
        """How far it is."""

        def look(scope: Scope) -> Progress:
            missing = templates.count_unembedded(scope.c, scope.searched, self.of.contract)
            return Progress(
                searched=scope.collection.template_count,
                staged=templates.count_under(scope.c, self.of),
                missing=missing,
                unsearched=templates.count_unembedded(scope.c, self.of, scope.searched.contract),
                subjects_without=tuple(
                    templates.subjects_without(scope.c, scope.searched, self.of.contract)
                ),
            )

        return self.gallery.read(look)

    def count(self) -> int:
        """Number of templates that are staged."""
        return self.gallery.read(lambda scope: templates.count_under(scope.c, self.of))

    def view(self) -> View:
        """The staged templates as they will be searched: for comparing, and for the switch."""
        galleries = self.gallery.galleries
        return galleries.make_view(self.gallery.stored(), self.contract, self.of.contract)

    def switch(self, *, allow_missing: bool = False, embed: Embed | None = None) -> int:
        """Search the new embeddings from now on; the revision since. Enrolments wait meanwhile.

        embed: stages those who came in until this very moment. Then every template counts; without
        it, as photos may have been staged under new ids, every subject.
        Raises MissingTemplatesError, unless `allow_missing`.
        """

        def operation(scope: Scope) -> tuple[int, Effect]:
            late = self.complete(scope, allow_missing=allow_missing, embed=embed)
            return scope.revision, _with(writes.switch(scope, self.of), late)

        return self.gallery.switch(operation, self.contract, self.of.contract)

    def complete(
        self, scope: Scope, *, allow_missing: bool, embed: Embed | None
    ) -> list[StoredTemplate]:
        """Stage by `embed`, inside of a switch's write, what is missing; see `switch`."""
        late: list[StoredTemplate] = []
        after = 0
        while embed is not None:
            after, found = self._page(scope, after=after, with_crop=True)
            if not found:
                break
            late += writes.insert_staged(scope, self.of, self._checked(embed(found)))
        if not allow_missing:
            without = templates.subjects_without(scope.c, scope.searched, self.of.contract)
            missing = templates.count_unembedded(scope.c, scope.searched, self.of.contract)
            if without or (embed is not None and missing):
                raise MissingTemplatesError(templates=missing, subjects=without)
        return late

    def _page(
        self, scope: Scope, *, after: int, with_crop: bool
    ) -> tuple[int, list[PendingTemplate]]:
        """Templates that are not staged, from the number `after` on, and where to go on."""
        rows = templates.list_unembedded(
            scope.c,
            scope.searched,
            self.of.contract,
            after=after,
            limit=_PAGE_TEMPLATES,
            with_crop=with_crop,
        )
        found = [
            PendingTemplate(
                id=template_id,
                subject_id=subject_id,
                crop=templates.get_crop(scope.c, template_id),
            )
            for _, template_id, subject_id in rows
        ]
        return (rows[-1][0] if rows else after), found

    def abandon(self) -> None:
        """Remove what is staged."""
        self.gallery.write(lambda scope: (None, writes.drop(scope, which=["next"])))

    def _checked(self, embeddings: Mapping[str, Embeddings]) -> dict[str, Embeddings]:
        return {
            template_id: check_embeddings(
                embedding[None], size=self.contract.size, what="Embeddings"
            )[0]
            for template_id, embedding in embeddings.items()
        }


def job_under_way(gallery: Gallery) -> Reembedding | None:
    """The re-embedding of a collection that was begun and neither switched to nor abandoned."""
    return gallery.read(
        lambda scope: _beside(gallery, scope, scope.collection.next_contract_number)
    )


def way_back(gallery: Gallery) -> Reembedding | None:
    """What a switch has left, where templates that came in since can be staged before going back.

    It is not switched to, but rolled back to.
    """
    return gallery.read(
        lambda scope: _beside(gallery, scope, scope.collection.former_contract_number)
    )


def roll_back(gallery: Gallery, *, allow_missing: bool = True, embed: Embed | None = None) -> int:
    """Search the former embeddings again; the revision since.

    Templates enrolled since the switch have none there, and are not found until the next switch;
    embed: stages them. Raises ReembeddingConflictError: there are no former ones, or another
    re-embedding is under way; or MissingTemplatesError, unless `allow_missing`.
    """
    former = way_back(gallery)
    if former is None:
        # Says so in words.
        gallery.write(lambda scope: (None, writes.roll_back(scope)))
    assert former is not None

    def operation(scope: Scope) -> tuple[int, Effect]:
        late = former.complete(scope, allow_missing=allow_missing, embed=embed)
        return scope.revision, _with(writes.roll_back(scope, former.of), late)

    return gallery.switch(operation, former.contract, former.of.contract)


def drop_former(gallery: Gallery) -> None:
    """Remove the embeddings that a switch has left: there is no way back then."""
    gallery.write(lambda scope: (None, writes.drop(scope, which=["former"])))


def _with(effect: Effect, late: Sequence[StoredTemplate]) -> Effect:
    """What a switch shows at once: the rest is read when its view is made."""
    subjects = frozenset(template.subject_number for template in late)
    return dataclasses.replace(effect, added=late, subjects=subjects)


def _beside(gallery: Gallery, scope: Scope, number: int | None) -> Reembedding | None:
    if number is None:
        return None
    contract = collections.get_contract(scope.c, number)
    if contract.id == gallery.contract.id:
        # Of a re-keying, which is another matter: index/rekeying.py.
        return None
    of = gallery.galleries.under(scope.c, scope.collection, contract, number)
    return Reembedding(gallery, contract, of)
