"""The steps of benchmarks/gallery_machine.py: each is done to a gallery and to the dictionaries."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar, Final

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from benchmarks.gallery_model import (
    CONTRACTS,
    FUTURE,
    PAST,
    Embeddings,
    Known,
    Model,
    Row,
    embeddings_of,
    mean_of,
    similarities,
)
from contract.errors import (
    GalleryError,
    SubjectConflictError,
    SubjectNotFoundError,
    TemplateNotFoundError,
)
from index.gallery import Gallery
from index.postgres import PostgresDatabase
from index.records import Subject
from index.reembedding import Reembedding, drop_former, roll_back
from index.scoring import ScoringName

# Small, so that the same one is met again and again.
SUBJECT_IDS: Final = st.sampled_from(["ann", "bob", "cy", "di"])
FACTS: Final = {
    "name": st.none() | st.sampled_from(["Ann", "Bob"]),
    "external_id": st.none() | st.sampled_from(["1", "2", "3"]),
    "metadata": st.none() | st.sampled_from([{}, {"k": 1}, {"l": [None]}]),
    "expires_at": st.sampled_from([None, None, None, FUTURE, PAST]),
    "consent_ref": st.none() | st.just("form"),
}
SEEDS: Final = st.integers(0, 2**16)
PICKS: Final = st.integers(0, 63)


class GalleryMachine(RuleBasedStateMachine):
    """Subclasses say where, and how it is searched.

    counts: rules run, by their names. seen: what else is worth telling.
    """

    scoring: ClassVar[ScoringName] = "best"
    exact: ClassVar[bool] = True
    counts: ClassVar[Counter[str]]
    seen: ClassVar[Counter[str]]
    # Opens a place for one example.
    place: ClassVar[Callable[[], AbstractContextManager[Callable[[], Gallery]]]]

    @initialize()
    def start(self) -> None:
        self.stack = ExitStack()
        self.open = self.stack.enter_context(type(self).place())
        self.gallery = self.open()
        self.model = Model()
        self.opened_at = 0

    def teardown(self) -> None:
        if hasattr(self, "gallery"):
            try:
                self.gallery.verify()
            finally:
                self.gallery.close()
                self.stack.close()

    # -- subjects -----------------------------------------------------------------------------

    @rule(
        rows=st.tuples(SEEDS, st.integers(1, 12)),
        subject_id=st.none() | SUBJECT_IDS,
        facts=st.fixed_dictionaries(FACTS),
        crop=st.booleans(),
    )
    def enroll(
        self, rows: tuple[int, int], subject_id: str | None, facts: dict[str, Any], crop: bool
    ) -> None:
        self.enroll_checked(rows, subject_id, facts, crop)

    def enroll_checked(
        self, rows: tuple[int, int], subject_id: str | None, facts: dict[str, Any], crop: bool
    ) -> None:
        self.did("enroll")
        model = self.model
        embeddings = embeddings_of(*rows, CONTRACTS[model.searched].size)
        crops = [b"crop %d" % n for n in range(len(embeddings))] if crop else None
        holder = self.holder(facts["external_id"])
        target = subject_id or holder
        known = model.subjects.get(target) if target else None
        if (subject_id and holder not in (None, subject_id)) or (
            known and any(v is not None and v != getattr(known, f) for f, v in facts.items())
        ):
            with raises(SubjectConflictError):
                self.gallery.enroll(embeddings, subject_id=subject_id, crops=crops, **facts)
            return
        done = self.gallery.enroll(embeddings, subject_id=subject_id, crops=crops, **facts)
        model.revision += 1
        same(done.revision, model.revision)
        same(done.created, known is None)
        if target:
            same(done.subject.id, target)
        if known is None:
            model.subjects[done.subject.id] = Known(
                order=model.order(), **{**facts, "metadata": facts["metadata"] or {}}
            )
        for n, template_id in enumerate(done.template_ids):
            model.rows[model.searched][template_id] = Row(
                model.order(), done.subject.id, embeddings[n]
            )
            if crops:
                model.crops[template_id] = crops[n]
        self.compare_subject(done.subject)

    @rule(
        rows=st.tuples(SEEDS, st.integers(1, 12)), facts=st.fixed_dictionaries({}, optional=FACTS)
    )
    def enroll_somebody_new(self, rows: tuple[int, int], facts: dict[str, Any]) -> None:
        # Who is not refused, and may be one of many.
        facts.pop("external_id", None)
        self.enroll_checked(rows, None, {**dict.fromkeys(FACTS), **facts}, True)

    @precondition(lambda self: self.model.subjects or not self.model.revision)
    @rule(pick=PICKS)
    def remove_subject(self, pick: int) -> None:
        self.did("remove subject")
        subject_id = self.pick(pick)
        if subject_id is None:
            with raises(SubjectNotFoundError):
                self.gallery.remove_subject("nobody")
            return
        self.model.revision += 1
        same(self.gallery.remove_subject(subject_id), self.model.revision)
        self.model.remove(subject_id)

    @precondition(lambda self: self.model.subjects or not self.model.revision)
    @rule(pick=PICKS)
    def remove_template(self, pick: int) -> None:
        self.did("remove template")
        ids = list(self.model.rows[self.model.searched])
        if not ids:
            with raises(TemplateNotFoundError):
                self.gallery.remove_template("nothing")
            return
        template_id = ids[pick % len(ids)]
        self.model.revision += 1
        same(self.gallery.remove_template(template_id), self.model.revision)
        for rows in self.model.rows.values():
            rows.pop(template_id, None)
        self.model.crops.pop(template_id, None)

    @precondition(lambda self: len(self.model.subjects) != 1)
    @rule(pick=PICKS, other=PICKS)
    def merge(self, pick: int, other: int) -> None:
        self.did("merge")
        source_id, target_id = self.pick(pick), self.pick(other)
        if source_id is None or target_id is None:
            with raises(SubjectNotFoundError):
                self.gallery.merge_subjects("nobody", into="else")
            return
        if source_id == target_id:
            with raises(ValueError):
                self.gallery.merge_subjects(source_id, into=target_id)
            return
        merged = self.gallery.merge_subjects(source_id, into=target_id)
        model = self.model
        model.revision += 1
        source, target = model.subjects.pop(source_id), model.subjects[target_id]
        for fact in ("name", "external_id", "consent_ref"):
            if getattr(target, fact) is None:
                setattr(target, fact, getattr(source, fact))
        target.metadata = {**source.metadata, **target.metadata}
        target.expires_at = min(filter(None, (source.expires_at, target.expires_at)), default=None)
        for rows in model.rows.values():
            for row in rows.values():
                if row.subject_id == source_id:
                    row.subject_id = target_id
        self.compare_subject(merged)

    @precondition(lambda self: self.model.subjects or not self.model.revision)
    @rule(pick=PICKS, facts=st.fixed_dictionaries({}, optional=FACTS))
    def amend(self, pick: int, facts: dict[str, Any]) -> None:
        self.did("amend")
        subject_id = self.pick(pick)
        if subject_id is None:
            with raises(SubjectNotFoundError):
                self.gallery.update_subject("nobody", **facts)
            return
        if self.holder(facts.get("external_id")) not in (None, subject_id):
            with raises(SubjectConflictError):
                self.gallery.update_subject(subject_id, **facts)
            return
        amended = self.gallery.update_subject(subject_id, **facts)
        self.model.revision += 1
        for fact, value in facts.items():
            given = (value or {}) if fact == "metadata" else value
            setattr(self.model.subjects[subject_id], fact, given)
        self.compare_subject(amended)

    @precondition(lambda self: self.model.subjects or not self.model.revision)
    @rule()
    def sweep(self) -> None:
        self.did("sweep")
        gone = [i for i, known in self.model.subjects.items() if known.expires_at == PAST]
        same(sorted(self.gallery.remove_expired()), sorted(gone))
        self.model.revision += bool(gone)
        for subject_id in gone:
            self.model.remove(subject_id)

    # -- re-embedding -------------------------------------------------------------------------

    @precondition(lambda self: self.model.subjects)
    @rule(
        name=st.sampled_from(list(CONTRACTS)),
        share=st.sampled_from([0.0, 0.5, 1.0, 1.0]),
        seed_=SEEDS,
        finish=st.booleans(),
    )
    def stage(self, name: str, share: float, seed_: int, finish: bool) -> None:
        self.did("stage")
        model = self.model
        if name in (model.searched, model.former) or model.next not in (None, name):
            with raises(GalleryError):
                Reembedding.begin(self.gallery, CONTRACTS[name])
            return
        job = Reembedding.begin(self.gallery, CONTRACTS[name])
        model.next = name
        model.revision += 1
        pending = [template for page in job.pending() for template in page]
        staged = model.rows[name]
        held = sorted(model.rows[model.searched].items(), key=lambda item: item[1].order)
        same(
            [(t.id, t.subject_id, t.crop) for t in pending],
            [(i, row.subject_id, model.crops.get(i)) for i, row in held if i not in staged],
        )
        chosen = pending[: math.ceil(share * len(pending))]
        rows = embeddings_of(seed_, len(chosen), CONTRACTS[name].size)
        job.stage({t.id: row for t, row in zip(chosen, rows, strict=True)})
        model.revision += 1
        for template, row in zip(chosen, rows, strict=True):
            staged[template.id] = Row(model.order(), template.subject_id, row)
        progress = job.progress()
        missing = len(model.rows[model.searched].keys() - staged.keys())
        same((progress.staged, progress.missing), (len(staged), missing))
        same(sorted(progress.subjects_without), sorted(model.without()))
        if finish:
            self.switch_checked(allow_missing=share < 1)

    @precondition(lambda self: self.model.next is not None)
    @rule(pick=PICKS, seed_=SEEDS, count=st.integers(1, 3))
    def stage_new(self, pick: int, seed_: int, count: int) -> None:
        self.did("stage new")
        subject_id, model = self.pick(pick), self.model
        if subject_id is None:
            return
        assert model.next
        rows = embeddings_of(seed_, count, CONTRACTS[model.next].size)
        # The same ids again and again: staged twice is staged once.
        ids = [f"photo-{n}-of-{subject_id}" for n in range(count)]
        job = Reembedding.begin(self.gallery, CONTRACTS[model.next])
        job.stage_new(subject_id, dict(zip(ids, rows, strict=True)))
        model.revision += 2
        for template_id, row in zip(ids, rows, strict=True):
            if template_id not in model.rows[model.next]:
                model.rows[model.next][template_id] = Row(model.order(), subject_id, row)

    @precondition(lambda self: self.model.next is not None)
    @rule(allow_missing=st.booleans())
    def switch(self, allow_missing: bool) -> None:
        self.switch_checked(allow_missing=allow_missing)

    def switch_checked(self, *, allow_missing: bool) -> None:
        self.did("switch")
        model = self.model
        assert model.next
        job = Reembedding.begin(self.gallery, CONTRACTS[model.next])
        model.revision += 1
        if model.without() and not allow_missing:
            with raises(GalleryError):
                job.switch()
            return
        same(job.switch(allow_missing=allow_missing), model.revision + 1)
        model.revision += 1
        if model.former:
            model.drop(model.former)
        model.searched, model.next, model.former = model.next, None, model.searched

    @precondition(lambda self: self.model.former is not None or self.model.revision % 7 == 3)
    @rule()
    def roll_back(self) -> None:
        self.did("roll back")
        model = self.model
        if model.former is None or model.next is not None:
            with raises(GalleryError):
                roll_back(self.gallery)
            return
        same(roll_back(self.gallery), model.revision + 1)
        model.revision += 1
        model.searched, model.next, model.former = model.former, model.searched, None

    @precondition(lambda self: self.model.former is not None)
    @rule()
    def drop_former(self) -> None:
        self.did("drop former")
        drop_former(self.gallery)
        self.model.revision += 1
        assert self.model.former
        self.model.drop(self.model.former)
        self.model.former = None

    @precondition(lambda self: self.model.next is not None)
    @rule()
    def abandon(self) -> None:
        self.did("abandon")
        assert self.model.next
        Reembedding.begin(self.gallery, CONTRACTS[self.model.next]).abandon()
        self.model.revision += 2
        self.model.drop(self.model.next)
        self.model.next = None

    # -- looking ------------------------------------------------------------------------------

    @rule(rows=st.tuples(SEEDS, st.integers(0, 6)), top_k=st.sampled_from([1, 2, 3, 50]))
    def search(self, rows: tuple[int, int], top_k: int) -> None:
        self.did("search")
        self.search_checked(rows, top_k)

    def search_checked(self, rows: tuple[int, int], top_k: int) -> None:
        probes = embeddings_of(*rows, CONTRACTS[self.model.searched].size)
        result = self.gallery.search(probes, top_k=top_k)
        same(result.revision, self.model.revision)
        same(len(result.candidates), len(probes))
        for probe, found in zip(probes, result.candidates, strict=True):
            expected = self.expected(probe)
            shown = [(c.similarity, c.subject.id, c.template_id) for c in found]
            if self.exact:
                same(shown, [hit[1:] for hit in expected[:top_k]])
            else:
                self.compare_approximate(shown, expected, top_k)
            for candidate in found:
                self.compare_subject(candidate.subject)

    @rule(limit=st.integers(1, 3))
    def list_pages(self, limit: int) -> None:
        self.did("list")
        seen: list[Any] = []
        after = None
        while True:
            page = self.gallery.subjects(limit=limit, after=after)
            seen += page.subjects
            after = page.next_after
            if after is None:
                break
        ordered = sorted(self.model.subjects, key=lambda i: self.model.subjects[i].order)
        same([subject.id for subject in seen], ordered)
        for subject in seen:
            self.compare_subject(subject)
            same(self.gallery.subject(subject.id), subject)
            held = self.gallery.templates(subject.id)
            same([t.id for t in held], [i for i, _ in self.model.of(subject.id)])
            for template in held:
                crop = self.model.crops.get(template.id)
                same((template.has_crop, self.gallery.crop(template.id)), (crop is not None, crop))

    # -- where it lies ------------------------------------------------------------------------

    @precondition(lambda self: self.model.revision != self.opened_at)
    @rule()
    def reopen(self) -> None:
        """A file's index is read from its snapshot or built anew; of PostgreSQL a new replica."""
        self.did("reopen")
        self.gallery.close()
        self.gallery = self.open()
        self.opened_at = self.model.revision
        same(self.gallery.contract, CONTRACTS[self.model.searched])

    @precondition(lambda self: not self.exact)
    @rule()
    def settle(self) -> None:
        """Whatever is being built in the background takes over."""
        self.did("settle")
        database = self.gallery.galleries.database
        if isinstance(database, PostgresDatabase):
            database.settle()
        else:
            self.gallery._view.searcher._index.settle()  # type: ignore[attr-defined]

    @rule(pick=PICKS)
    def tidy_up(self, pick: int) -> None:
        """Verify; now and then compact, which takes long."""
        self.did("tidy up")
        self.gallery.verify()
        if pick % 8 == 5:
            self.seen["compacted"] += 1
            self.gallery.galleries.database.compact()
            self.gallery.verify()

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "gallery"):
            stored = self.gallery.stored()
            same(
                (stored.revision, stored.subject_count, stored.template_count),
                (
                    self.model.revision,
                    len(self.model.subjects),
                    len(self.model.rows[self.model.searched]),
                ),
            )

    @invariant()
    def searches_agree(self) -> None:
        if hasattr(self, "gallery"):
            revision = self.model.revision
            self.search_checked((revision, 2), (1, 2, 7)[revision % 3])

    # -- the oracle ---------------------------------------------------------------------------

    def did(self, what: str) -> None:
        self.counts[what] += 1

    def pick(self, number: int) -> str | None:
        ids = list(self.model.subjects)
        return ids[number % len(ids)] if ids else None

    def holder(self, external_id: str | None) -> str | None:
        known = self.model.subjects.items()
        return next((i for i, k in known if external_id and k.external_id == external_id), None)

    def expected(self, probe: Embeddings) -> list[tuple[tuple[float, int], float, str, str]]:
        """Every living subject with its similarity and nearest template, best first."""
        hits = []
        for subject_id, known in self.model.subjects.items():
            held = self.model.of(subject_id)
            if not held or known.expires_at == PAST:
                continue
            rows = np.array([row.embedding for _, row in held])
            each = similarities(probe, rows)
            nearest = int(np.argmax(each))  # The first of equals.
            score = float(each[nearest])
            if self.scoring == "mean":
                score = float(similarities(probe, mean_of(rows)[None])[0])
            hits.append(((-score, known.order), score, subject_id, held[nearest][0]))
        return sorted(hits)

    def compare_approximate(
        self, shown: list[tuple[float, str, str]], expected: list[Any], top_k: int
    ) -> None:
        """Some may be missing; whoever is there is there with all that is said of him."""
        scores = {subject_id: score for _, score, subject_id, _ in expected}
        for score, subject_id, _ in shown:
            same(score, scores.get(subject_id))
        same([s for s, _, _ in shown], sorted((s for s, _, _ in shown), reverse=True))
        same(len({subject_id for _, subject_id, _ in shown}), len(shown))
        assert len(shown) <= top_k
        best = [score for _, score, _, _ in expected[:top_k]]
        whole = [score for score, _, _ in shown] == best
        self.seen["approximate searches" if whole else "approximate searches that miss some"] += 1

    def compare_subject(self, subject: Subject) -> None:
        known = self.model.subjects[subject.id]
        for fact in FACTS:
            same(getattr(subject, fact), getattr(known, fact))
        same(subject.template_count, len(self.model.of(subject.id)))


def same(shown: Any, expected: Any) -> None:
    """Fail in words that show both."""
    if shown != expected:
        raise AssertionError(f"the gallery says {shown}, the dictionaries say {expected}")


@contextmanager
def raises(kind: type[Exception]) -> Iterator[None]:
    """Fail if the block does not raise it."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"this must raise {kind.__name__}")
