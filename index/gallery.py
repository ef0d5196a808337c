"""The gallery: enrol, remove and search subjects of one embedding contract.

The SQLite store is the truth, the search index in memory is derived from it and rebuilt at every
start. A write is committed to the store first, then shown to searches, then acknowledged.

Locks, always taken in this order: `_write_lock` for a whole write, fsync included; `_view_lock`
for index, counts and revision, held only while memory is read or changed. So a search waits for
other searches and for memory, never for a disk.
Shapes: B probes, M templates of one enrolment, D embedding size.
"""

import dataclasses
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryError, GalleryUnavailableError, SubjectNotFoundError
from index.agreement import check_agreement, find_known
from index.checks import (
    EXTERNAL_ID_MAX_CHARS,
    NAME_MAX_CHARS,
    check_embeddings,
    check_subject_id,
    check_text,
    metadata_text,
)
from index.flat import FlatIndex
from index.records import (
    JSON,
    Candidate,
    Embeddings,
    Enrollment,
    Hit,
    SearchResult,
    StoredTemplate,
    Subject,
    SubjectPage,
    TemplateBatch,
)
from index.search import SearchIndex
from index.store import GalleryStore
from index.verify import check_index

PAGE_MAX = 1_000


class Gallery:
    """The enrolled set; any thread may call anything. Open it with `Gallery.open`.

    Every method may raise GalleryUnavailableError (storage, or closed). Whatever a write raises,
    it has changed nothing.
    """

    def __init__(
        self, contract: EmbeddingContract, store: GalleryStore, search_index: SearchIndex
    ) -> None:
        """Take over an open store and an empty index, and fill the index."""
        self.contract = contract
        self._store = store
        self._index = search_index
        self._write_lock = threading.Lock()
        self._view_lock = threading.Lock()
        self._unusable = ""
        for batch in store.all_templates():
            self._index.add(batch)
        self._subject_count = store.subject_count()
        self._revision = store.revision()

    @classmethod
    def open(cls, path: Path, contract: EmbeddingContract) -> Self:
        """Open the gallery file at `path`, or make it and its folder, for this process alone.

        Raises GalleryLockedError (another process has it), ContractMismatchError (it holds other
        embeddings), GalleryError (its schema is of another release) or GalleryUnavailableError
        (not a gallery, damaged, no permission).
        """
        store = GalleryStore(path, contract)
        try:
            return cls(contract, store, FlatIndex(size=contract.size, d_max=contract.d_max))
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Finish the write under way and let the file go; a second call does nothing."""
        with self._write_lock:
            with self._view_lock:
                self._unusable = self._unusable or "The gallery is closed."
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def revision(self) -> int:
        """Number of acknowledged writes in the life of the gallery."""
        with self._view_lock:
            return self._revision

    @property
    def subject_count(self) -> int:
        """Number of enrolled subjects."""
        with self._view_lock:
            return self._subject_count

    @property
    def template_count(self) -> int:
        """Number of templates of all subjects."""
        with self._view_lock:
            return len(self._index)

    def enroll(
        self,
        embeddings_MD: Embeddings,
        *,
        subject_id: str | None = None,
        name: str | None = None,
        external_id: str | None = None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> Enrollment:
        """Store M >= 1 templates, float32 (M, D), of a subject that is there or made now.

        The subject is the one of `subject_id`, else the one of `external_id`, else a new one; an
        unknown `subject_id` becomes the new subject's. What else is given about a subject that
        is there must be what is stored (None: not asked); nothing is ever overwritten.

        subject_id: see checks.check_subject_id. name: up to 256, external_id: up to 128
        characters, no control characters. metadata: up to 64 KiB as JSON.
        Raises ValueError, SubjectConflictError (the subject says something else, or the external
        id is another's), GalleryFullError.
        """
        embeddings = check_embeddings(embeddings_MD, size=self.contract.size, what="Embeddings")
        if not len(embeddings):
            raise ValueError("An enrolment needs at least one embedding.")
        subject = Subject(
            id=uuid.uuid4().hex if subject_id is None else check_subject_id(subject_id),
            name=check_text(name, what="name", max_chars=NAME_MAX_CHARS),
            external_id=check_text(
                external_id, what="external id", max_chars=EXTERNAL_ID_MAX_CHARS
            ),
            metadata=json.loads(metadata_text({} if metadata is None else metadata)),
            template_count=0,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        )
        template_ids = tuple(uuid.uuid4().hex for _ in embeddings)
        with self._writing():
            known = find_known(self._store, subject, by_id=subject_id is not None)
            if known:
                check_agreement(known.subject, subject, metadata_given=metadata is not None)
            stored = self._store.enroll(
                subject, template_ids, embeddings, number=known.number if known else None
            )
            batch = TemplateBatch(
                numbers=stored.template_numbers,
                subject_numbers=np.full_like(stored.template_numbers, stored.subject_number),
                embeddings=embeddings,
            )
            with self._view_lock:
                self._index.add(batch)
                self._subject_count += known is None
                self._revision = stored.revision
        before = known.subject if known else subject
        return Enrollment(
            subject=dataclasses.replace(
                before, template_count=before.template_count + len(embeddings)
            ),
            created=known is None,
            template_ids=template_ids,
            revision=stored.revision,
        )

    def remove_subject(self, subject_id: str) -> int:
        """Remove a subject with all its templates; the revision that no longer has it.

        Raises SubjectNotFoundError.
        """
        with self._writing():
            known = self._store.subject_by_id(subject_id)
            if known is None:
                raise SubjectNotFoundError(subject_id)
            removed = self._store.remove_subject(known.number)
            with self._view_lock:
                self._index.remove(removed.template_numbers.tolist())
                self._subject_count -= 1
                self._revision = removed.revision
        return removed.revision

    def search(self, probes_BD: Embeddings, *, top_k: int) -> SearchResult:
        """The `top_k` >= 1 most similar subjects of each probe, float32 (B, D), best first.

        Fewer only where there are fewer subjects; none in an empty gallery. Scores and order are
        SearchIndex.search's, of `revision`; names and counts are those of the moment after, and
        a subject removed meanwhile is left out and the next one takes its place.
        Raises ValueError.
        """
        probes = check_embeddings(probes_BD, size=self.contract.size, what="Probes")
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}.")
        wanted = top_k
        while True:
            with self._view_lock:
                self._check_usable()
                hits_B = self._index.search(probes, top_k=wanted)
                revision = self._revision
            found = self._store.templates({h.template_number for hits in hits_B for h in hits})
            result = tuple(_candidates(hits, found)[:top_k] for hits in hits_B)
            if all(
                len(candidates) == top_k or len(hits) < wanted
                for candidates, hits in zip(result, hits_B, strict=True)
            ):
                return SearchResult(candidates=result, revision=revision)
            wanted *= 2

    def subject(self, subject_id: str) -> Subject:
        """The subject of that id. Raises SubjectNotFoundError."""
        self._check_usable()
        known = self._store.subject_by_id(subject_id)
        if known is None:
            raise SubjectNotFoundError(subject_id)
        return known.subject

    def subjects(self, *, limit: int, after: str | None = None) -> SubjectPage:
        """Up to `limit` (1 to 1000) subjects in the order of their creation.

        `after` is the `next_after` of the page before, None for the first page. It names a place
        in that order and not a subject, so it stays good whatever is removed or added meanwhile:
        nobody is listed twice, and nobody who was there all the time is missed.
        Raises ValueError.
        """
        if not 1 <= limit <= PAGE_MAX:
            raise ValueError(f"limit must be from 1 to {PAGE_MAX}, not {limit}.")
        if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise ValueError("after must be the next_after of the page before.")
        self._check_usable()
        # One more than asked tells whether there is a next page.
        rows = self._store.subjects(limit=limit + 1, after=int(after or 0))
        return SubjectPage(
            subjects=tuple(row.subject for row in rows[:limit]),
            next_after=str(rows[limit - 1].number) if len(rows) > limit else None,
        )

    def verify(self) -> None:
        """Compare the search index with the store, and let SQLite check its file. Slow.

        Raises GalleryError or GalleryUnavailableError that says what differs.
        """
        with self._writing():
            self._store.verify()
            check_index(self._index, self._store)
            if (self._subject_count, self._revision) != (
                self._store.subject_count(),
                self._store.revision(),
            ):
                raise GalleryError("Subject count or revision in memory are not the store's.")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One write; the gallery is given up if it ends in a way that leaves truth in doubt."""
        with self._write_lock:
            self._check_usable()
            try:
                yield
            except GalleryError:
                raise  # Refused before the commit, or rolled back.
            except BaseException as error:
                # Perhaps committed and not in the index: searches would answer wrongly from here.
                self._unusable = f"A write was cut off ({error!r}): open the gallery anew."
                raise

    def _check_usable(self) -> None:
        if self._unusable:
            raise GalleryUnavailableError(self._unusable)


def _candidates(hits: list[Hit], found: Mapping[int, StoredTemplate]) -> tuple[Candidate, ...]:
    """Hits as candidates, without those whose subject is gone."""
    rows = [(hit, found.get(hit.template_number)) for hit in hits]
    return tuple(
        Candidate(subject=row.subject, similarity=hit.similarity, template_id=row.id)
        for hit, row in rows
        if row
    )
