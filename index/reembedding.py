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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryError
from index.checks import check_embeddings
from index.galleries import View
from index.gallery import Gallery
from index.records import Embeddings
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Templates searched now, of these staged and missing, and subjects that would have none."""

    searched: int
    staged: int
    missing: int
    subjects_without: tuple[str, ...]


class Reembedding:
    """One collection on its way from one contract to the next."""

    def __init__(self, gallery: Gallery, contract: EmbeddingContract, number: int) -> None:
        """See `begin`."""
        self.gallery = gallery
        self.contract = contract
        self._of = UnderContract(collection=gallery.number, contract=number, size=contract.size)

    @classmethod
    def begin(cls, gallery: Gallery, contract: EmbeddingContract) -> "Reembedding":
        """Begin or go on. Raises GalleryError: nothing to do, or another one is under way."""
        gallery.write(lambda scope: (None, writes.begin_next(scope, contract)))
        number = gallery.stored().next_contract_number
        assert number is not None
        return cls(gallery, contract, number)

    def pending(self) -> Iterator[list[PendingTemplate]]:
        """Templates that are not staged yet, some hundreds at a time, each once."""
        after = 0
        while True:

            def page(scope: Scope, after: int = after) -> tuple[int, list[PendingTemplate]]:
                rows = templates.list_unembedded(
                    scope.c,
                    scope.searched,
                    self._of.contract,
                    after=after,
                    limit=_PAGE_TEMPLATES,
                )
                found = [
                    PendingTemplate(
                        id=template_id,
                        subject_id=subject_id,
                        crop=templates.get_crop(scope.c, template_id),
                    )
                    for _, template_id, subject_id in rows
                ]
                return (rows[-1][0] if rows else 0), found

            after, found = self.gallery.read(page)
            if not found:
                return
            yield found

    def stage(self, embeddings: Mapping[str, Embeddings]) -> None:
        """Store embeddings, float32 (D,), of known templates by their ids."""
        checked = self._checked(embeddings)
        self.gallery.write(lambda scope: (None, writes.stage(scope, self._of, checked)))

    def stage_new(self, subject_id: str, embeddings: Mapping[str, Embeddings]) -> None:
        """Store embeddings of further photos of a subject, under new template ids."""
        checked = self._checked(embeddings)
        self.gallery.write(
            lambda scope: (None, writes.stage_new(scope, self._of, subject_id, checked))
        )

    def progress(self) -> Progress:
        """How far it is."""

        def look(scope: Scope) -> Progress:
            missing = templates.count_unembedded(scope.c, scope.searched, self._of.contract)
            return Progress(
                searched=scope.collection.template_count,
                staged=templates.count_under(scope.c, self._of),
                missing=missing,
                subjects_without=tuple(
                    templates.subjects_without(scope.c, scope.searched, self._of.contract)
                ),
            )

        return self.gallery.read(look)

    def view(self) -> View:
        """The staged templates as they will be searched: for comparing, and for the switch."""
        galleries = self.gallery.galleries
        return galleries.make_view(self.gallery.stored(), self.contract, self._of.contract)

    def switch(self, *, allow_missing: bool = False) -> int:
        """Search the new embeddings from now on; the revision since.

        Raises GalleryError: a subject would be without any template, and `allow_missing` is not
        set. Enrolments wait meanwhile.
        """

        def check(scope: Scope) -> None:
            without = templates.subjects_without(scope.c, scope.searched, self._of.contract)
            if without and not allow_missing:
                raise GalleryError(
                    f"{len(without)} subjects have no template for the new bundle, among them "
                    f"{without[0]!r}: embed their photos, or allow them to be missing."
                )

        def operation(scope: Scope) -> tuple[int, Effect]:
            check(scope)
            return scope.revision, writes.switch(scope, self._of)

        return self.gallery.switch(operation, self.contract, self._of.contract)

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


def roll_back(gallery: Gallery) -> int:
    """Search the former embeddings again; the revision since.

    Templates enrolled since the switch have none there, and are not found until the next switch.
    Raises GalleryError: there are no former ones.
    """
    number = gallery.stored().former_contract_number
    if number is None:
        # Says so in words.
        gallery.write(lambda scope: (None, writes.roll_back(scope)))
    assert number is not None

    def find(scope: Scope) -> EmbeddingContract:
        return collections.get_contract(scope.c, number)

    return gallery.switch(
        lambda scope: (scope.revision, writes.roll_back(scope)), gallery.read(find), number
    )


def drop_former(gallery: Gallery) -> None:
    """Remove the embeddings that a switch has left: there is no way back then."""
    gallery.write(lambda scope: (None, writes.drop(scope, which=["former"])))
