"""The gallery: enrol, remove and search the subjects of one collection.

The database is the truth, an index in memory is derived from it. A write is committed to the
truth first, then shown to searches, then acknowledged; writes that wait for one another share a
commit. A search waits for memory, never for a write to reach the disk.
Shapes: B probes, M templates of one enrolment, D embedding size.
"""

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    SubjectNotFoundError,
    SwitchedMeanwhileError,
    TemplateNotFoundError,
)
from index.audit_log import check_log
from index.checks import (
    check_crops,
    check_embeddings,
    check_facts,
    check_place,
    check_subject_id,
    check_template_ids,
    metadata_text,
)
from index.clock import check_time, now
from index.galleries import Galleries, View
from index.open_collection import OpenCollection
from index.protection.secrets import GallerySecrets
from index.ranking import Truth, rank
from index.records import (
    JSON,
    Embeddings,
    Enrollment,
    SearchResult,
    Subject,
    SubjectPage,
    Template,
)
from index.scoring import ScoringName
from index.tables import calibrations, collections, subjects, templates
from index.tables.calibrations import StoredCalibration
from index.tables.collections import DEFAULT_COLLECTION
from index.tables.templates import UnderContract
from index.tiers import Tier
from index.writes.amending import amend
from index.writes.calibrating import store_calibration
from index.writes.effect import Effect
from index.writes.enrolling import Wish, enrol, foresee
from index.writes.merging import merge
from index.writes.removing import remove_subjects, remove_template
from index.writes.scope import Scope

PAGE_MAX: Final = 1_000
_SWEEP_SUBJECTS: Final = 200


class Gallery(OpenCollection):
    """One collection; any thread may call anything. Open it with `Gallery.open`.

    Every method may raise GalleryUnavailableError (storage, or closed). Whatever a write raises,
    it has changed nothing that is seen from then on. Two things can still bring it back: a
    connection to PostgreSQL that was lost during the commit, and a kill of this process before its
    next write to a file whose disk had failed.
    """

    @classmethod
    def open(
        cls,
        location: Path | str,
        contract: EmbeddingContract | None = None,
        *,
        collection: str = DEFAULT_COLLECTION,
        tier: Tier = "auto",
        scoring: ScoringName = "best",
        secrets: GallerySecrets | None = None,
        row_keys: GallerySecrets | None = None,
    ) -> Self:
        """Open a collection of the database at `location`, or make what is not there yet.

        location: path of a SQLite file, then for this process alone, or a `postgresql://` URL.
        contract: what the embeddings are made by; None takes a collection as it is.
        tier: how a file's index in memory searches, see index/tiers.py. scoring: see
        index/scoring.py. secrets: what templates are protected by; unless given, those beside the
        file, and then a new collection is not protected. row_keys: what the rows of a file are
        encrypted by; none unless given.
        Raises GallerySecretError (the one that protects the collection is not there),
        GalleryLockedError (another process has the file), ContractMismatchError (other
        embeddings are in there), GalleryError (the schema is of a newer release) or
        GalleryUnavailableError (not a gallery, damaged, no permission, not reachable).
        """
        galleries = Galleries.open(
            location, tier=tier, scoring=scoring, secrets=secrets, row_keys=row_keys
        )
        try:
            return cls(galleries, *galleries.view(collection, contract))
        except BaseException:
            galleries.close()
            raise

    # -- what is there ------------------------------------------------------------------------

    def subject(self, subject_id: str) -> Subject:
        """The subject of that id. Raises SubjectNotFoundError."""

        def find(scope: Scope) -> Subject:
            known = subjects.find_by_id(scope.c, self.number, subject_id)
            if known is None:
                raise SubjectNotFoundError(subject_id)
            return known.subject

        return self.read(find)

    def templates(self, subject_id: str) -> tuple[Template, ...]:
        """The templates of a subject, oldest first. Raises SubjectNotFoundError."""

        def find(scope: Scope) -> tuple[Template, ...]:
            known = subjects.find_by_id(scope.c, self.number, subject_id)
            if known is None:
                raise SubjectNotFoundError(subject_id)
            return tuple(templates.describe_templates(scope.c, scope.searched, known.number))

        return self.read(find)

    def template(self, template_id: str) -> Template:
        """The template of that id, and whose it is. Raises TemplateNotFoundError."""
        known = self.read(
            lambda scope: templates.describe_template(scope.c, scope.searched, template_id)
        )
        if known is None:
            raise TemplateNotFoundError(template_id)
        return known

    def crop(self, template_id: str) -> bytes | None:
        """The stored picture of a template, as it was given; None where there is none."""

        def find(scope: Scope) -> bytes | None:
            known = templates.find_template(scope.c, scope.searched, template_id)
            return templates.get_crop(scope.c, template_id) if known else None

        return self.read(find)

    def subjects(
        self,
        *,
        limit: int,
        after: str | None = None,
        name: str | None = None,
        external_id: str | None = None,
    ) -> SubjectPage:
        """Up to `limit` (1 to 1000) subjects in the order of their creation.

        name, external_id: only those who are called exactly so; an index finds them.

        `after` is the `next_after` of the page before, None for the first page. It names a place
        in that order and not a subject, so it stays good whatever is removed or added meanwhile:
        nobody is listed twice, and nobody who was there all the time is missed.
        Raises ValueError.
        """
        if not 1 <= limit <= PAGE_MAX:
            raise ValueError(f"limit must be from 1 to {PAGE_MAX}, not {limit}.")
        place = check_place(after, what="after", name="next_after")
        # One more than asked tells whether there is a next page.
        rows = self.read(
            lambda scope: subjects.list_subjects(
                scope.c,
                self.number,
                after=place or 0,
                limit=limit + 1,
                name=name,
                external_id=external_id,
            )
        )
        return SubjectPage(
            subjects=tuple(row.subject for row in rows[:limit]),
            next_after=str(rows[limit - 1].number) if len(rows) > limit else None,
        )

    def search(self, probes_BD: Embeddings, *, top_k: int) -> SearchResult:
        """The `top_k` >= 1 most similar subjects of each probe, float32 (B, D), best first.

        Fewer only where there are fewer subjects; none in an empty gallery. Similarities are
        exact (float64 of the stored float32 embeddings); equals come in the order of enrolment.
        Whoever was removed before the call, or has expired, is not found.
        Raises ValueError.
        """
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}.")
        while True:
            self.galleries.queue.check_usable()
            view = self.shown
            probes = check_embeddings(probes_BD, size=view.contract.size, what="Probes")
            try:
                found = self._ranked(view, view.of.protection.protect(probes), top_k)
            except SwitchedMeanwhileError:
                if self.shown is view:
                    raise
            # Re-keyed meanwhile, and then the rows that were searched may have gone already.
            if self.shown is view:
                return found

    def calibration(self) -> StoredCalibration | None:
        """What was last measured on the collection's own templates; None where nothing was."""
        return self.read(lambda scope: calibrations.find_calibration(scope.c, self.number))

    def created_at(self) -> str:
        """When the collection was made, RFC 3339: another one of its id was made another time."""
        return self.read(lambda scope: collections.created_at(scope.c, self.number))

    def calibration_number(self) -> int | None:
        """The number of that one: whoever has read it sees by this that there is another."""
        return self.read(lambda scope: calibrations.find_number(scope.c, self.number))

    # -- writing ------------------------------------------------------------------------------

    def enroll(
        self,
        embeddings_MD: Embeddings,
        *,
        subject_id: str | None = None,
        name: str | None = None,
        external_id: str | None = None,
        metadata: Mapping[str, JSON] | None = None,
        expires_at: str | None = None,
        consent_ref: str | None = None,
        crops: Sequence[bytes | None] | None = None,
        template_ids: Sequence[str] | None = None,
        dry_run: bool = False,
    ) -> Enrollment:
        """Store M >= 1 templates, float32 (M, D), of a subject that is there or made now.

        The subject is the one of `subject_id`, else the one of `external_id`, else a new one; an
        unknown `subject_id` becomes the new subject's. What else is given about a subject that
        is there must be what is stored (None: not asked); nothing is ever overwritten.

        subject_id: see checks.check_subject_id. name: up to 256, external_id and consent_ref: up
        to 128 characters, no control characters. metadata: up to 64 KiB as JSON. expires_at: RFC
        3339. crops: the picture that each template was made of, for a later re-embedding.
        template_ids: M of the caller's choice, unlike any other in the database; new ones unless
        given. Whoever repeats a call with the same ones stores nothing twice: TemplateExistsError.
        dry_run: store nothing and raise what would be raised; the ids that are answered for what
        would be made are nobody's, and the revision is the present one.
        Raises ValueError, SubjectConflictError (the subject says something else, or the external
        id is another's), SwitchedMeanwhileError (re-embedded), GalleryFullError.
        """
        view = self.shown
        embeddings = check_embeddings(embeddings_MD, size=view.contract.size, what="Embeddings")
        if not len(embeddings):
            raise ValueError("An enrolment needs at least one embedding.")
        facts = check_facts(name=name, external_id=external_id, consent_ref=consent_ref)
        subject = Subject(
            id=uuid.uuid4().hex if subject_id is None else check_subject_id(subject_id),
            metadata=json.loads(metadata_text({} if metadata is None else metadata)),
            template_count=0,
            created_at="",
            expires_at=check_time(expires_at, what="expires_at"),
            **facts,
        )
        wish = Wish(
            subject=subject,
            by_id=subject_id is not None,
            metadata_given=metadata is not None,
            template_ids=check_template_ids(template_ids, count=len(embeddings)),
            ids_chosen=template_ids is not None,
            embeddings=embeddings,
            crops=check_crops(crops, count=len(embeddings)),
        )
        if dry_run:
            return self.read(lambda scope: foresee(scope, wish)[1])
        return self.write(lambda scope: enrol(scope, wish), view)

    def update_subject(self, subject_id: str, **facts: Any) -> Subject:
        """Overwrite what is given of name, external_id, metadata, expires_at and consent_ref.

        None takes a fact away. Raises SubjectNotFoundError, SubjectConflictError (the external id
        is another's), ValueError.
        """
        checked = check_facts(**facts)
        return self.write(lambda scope: amend(scope, subject_id, checked))

    def remove_subject(self, subject_id: str) -> int:
        """Remove a subject with all its templates; the revision that no longer has it.

        Raises SubjectNotFoundError.
        """
        return self.write(_revision(lambda s: remove_subjects(s, [subject_id], action="remove")))

    def remove_template(self, template_id: str) -> int:
        """Remove one template; its subject stays. The revision that no longer has it.

        Raises TemplateNotFoundError.
        """
        return self.write(_revision(lambda scope: remove_template(scope, template_id)))

    def merge_subjects(self, source_id: str, *, into: str) -> Subject:
        """Give all templates of `source_id` to the subject `into`, and remove the source.

        See index/writes/merging.py for which facts stay. Raises SubjectNotFoundError, ValueError.
        """
        return self.write(lambda scope: merge(scope, source_id, into))

    def remove_expired(self) -> tuple[str, ...]:
        """Remove all subjects whose expires_at has come; their ids."""
        gone: list[str] = []
        # A sweep that finds nobody is no write.
        while self.read(_expired):
            gone += self.write(_remove_expired)
        return tuple(gone)

    def set_calibration(self, record: str, *, contract_id: str, made_at: str) -> int:
        """Keep what was measured on the collection's own templates in place of what was before.

        record: JSON text of rates and counts, nothing of a person. contract_id: of the embeddings
        it was measured on. made_at: RFC 3339. Its number. Raises ContractMismatchError (re-embedded
        meanwhile), ValueError.
        """
        at = check_time(made_at, what="made_at")
        assert at is not None
        return self.write(
            lambda scope: store_calibration(scope, contract_id, made_at=at, record=record)
        )

    def verify(self) -> None:
        """Compare the search index with the truth, and let the database check itself. Slow.

        Raises GalleryError or GalleryUnavailableError that says what differs.
        """
        self.galleries.queue.exclusively(self._verify)

    def _ranked(self, view: View, probes_BD: Embeddings, top_k: int) -> SearchResult:
        return rank(
            probes_BD,
            top_k=top_k,
            d_max=view.contract.d_max,
            shortlists=view.searcher.shortlists,
            truth=lambda numbers: self._truth(view.of, numbers),
        )

    def _truth(self, of: UnderContract, numbers: Collection[int]) -> Truth:
        with self.galleries.database.reading() as c:
            rows = self._scoring.rows(c, of, numbers)
            known = subjects.get_subjects(c, {row.subject_number for row in rows.values()})
        moment = now()
        alive = {
            number: subject for number, subject in known.items() if not subject.has_expired(moment)
        }
        return Truth(rows=rows, subjects=alive)

    def _verify(self) -> None:
        self.galleries.database.verify()
        with self.galleries.database.reading() as c:
            collections.check_counts(c, self.number)
            check_log(c)
        self.shown.searcher.check()


def _revision(
    operation: Callable[[Scope], Effect],
) -> Callable[[Scope], tuple[int, Effect]]:
    def run(scope: Scope) -> tuple[int, Effect]:
        return scope.revision, operation(scope)

    return run


def _expired(scope: Scope) -> list[str]:
    return subjects.expired_subjects(
        scope.c, scope.collection.number, now=scope.at, limit=_SWEEP_SUBJECTS
    )


def _remove_expired(scope: Scope) -> tuple[list[str], Effect]:
    ids = _expired(scope)
    return ids, remove_subjects(scope, ids, action="expire")
