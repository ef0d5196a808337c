"""The gallery against plain dictionaries, by random steps: hypothesis chooses, and shrinks faults.

    python -m benchmarks.gallery_machine --steps 10000

A step enrols, amends, merges, removes, sweeps, embeds anew, switches, rolls back, searches, lists,
compacts, builds the search index anew, or opens the gallery anew. After each, counts and revision
agree with the dictionaries; every search gives the same subjects, templates and similarities, bit
by bit, ties in the same order. Where the index is approximate, all that it finds is right.
The figure is the last line; the exit status is not 0 if anything differed.
"""

import argparse
import itertools
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from benchmarks.postgres_server import postgres_running
from contract.embedding_contract import EmbeddingContract
from contract.errors import (
    GalleryError,
    SubjectConflictError,
    SubjectNotFoundError,
    TemplateNotFoundError,
)
from contract.similarity import pairwise_similarity
from index.galleries import Galleries
from index.gallery import Gallery
from index.generations import Generations, Policy
from index.postgres import PostgresDatabase
from index.postgres_hnsw import HnswBuilder
from index.records import Embeddings, Subject
from index.reembedding import Reembedding, drop_former, roll_back
from index.scoring import ScoringName
from index.snapshot import load_snapshot
from index.tiers import POLICIES, Tier

CONTRACTS: Final = {
    name: EmbeddingContract(id=f"test:{name}", size=size, d_max=8.0)
    for name, size in (("a", 3), ("b", 2), ("c", 3))
}
PAST, FUTURE = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"
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
# What reaches the disk is proven elsewhere.
IN_MEMORY: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
EXAMPLES: Final = 20
STEPS_AN_EXAMPLE: Final = 100
VALUES: Final = np.array([-1.0, 0.0, 0.5, 2.0], dtype=np.float32)


def embeddings_of(seed_: int, count: int, size: int) -> Embeddings:
    """Of few values, so that equal embeddings and equal distances are common."""
    rng = np.random.default_rng(seed_)
    return VALUES[rng.integers(0, len(VALUES), (count, size))]


@dataclass
class Known:
    """What the dictionary knows of a subject. order: of enrolment."""

    order: int
    name: str | None
    external_id: str | None
    metadata: dict[str, Any]
    expires_at: str | None
    consent_ref: str | None


@dataclass
class Row:
    """A template under one contract. order: of storing, over all contracts."""

    order: int
    subject_id: str
    embedding: Embeddings


@dataclass
class Model:
    """The dictionaries. rows: by contract, then by template id."""

    subjects: dict[str, Known] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {n: {} for n in CONTRACTS})
    crops: dict[str, bytes] = field(default_factory=dict)
    searched: str = "a"
    next: str | None = None
    former: str | None = None
    revision: int = 0
    stored: int = 0

    def order(self) -> int:
        self.stored += 1
        return self.stored

    def of(self, subject_id: str, contract: str | None = None) -> list[tuple[str, Row]]:
        """A subject's templates, oldest first."""
        held = self.rows[contract or self.searched].items()
        return sorted(
            ((i, row) for i, row in held if row.subject_id == subject_id),
            key=lambda item: item[1].order,
        )

    def remove(self, subject_id: str) -> None:
        del self.subjects[subject_id]
        for rows in self.rows.values():
            for template_id in [i for i, row in rows.items() if row.subject_id == subject_id]:
                del rows[template_id]
                self.crops.pop(template_id, None)

    def drop(self, contract: str) -> None:
        self.rows[contract].clear()
        left = {template_id for rows in self.rows.values() for template_id in rows}
        self.crops = {i: crop for i, crop in self.crops.items() if i in left}

    def without(self) -> list[str]:
        """Subjects that a switch to the next contract would leave without a template."""
        assert self.next
        return [s for s in self.subjects if self.of(s) and not self.of(s, self.next)]


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


def similarities(probe: Embeddings, rows: Embeddings) -> Any:
    """Of one probe to some rows; every contract has the same d_max."""
    return pairwise_similarity(probe[None], rows, CONTRACTS["a"].d_max)[0]


def mean_of(rows: Embeddings) -> Embeddings:
    """The mean at the rows' mean length, number by number."""
    count = len(rows)
    mean = [math.fsum(column) / count for column in rows.T.tolist()]
    length = math.sqrt(math.fsum(x * x for x in mean))
    if length:
        lengths = [math.sqrt(math.fsum(x * x for x in row)) for row in rows.tolist()]
        factor = math.fsum(lengths) / count / length
        mean = [x * factor for x in mean]
    return np.array(mean, dtype=np.float32)


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


# -- the places -------------------------------------------------------------------------------


def machine_in_a_file(
    *, scoring: ScoringName = "best", tier: Tier = "auto"
) -> type[GalleryMachine]:
    """In a file with a snapshot at each closing; an approximate tier builds from 20 rows on."""
    seen: Counter[str] = Counter()
    policy = POLICIES[tier]
    small = None
    if tier in ("rabitq", "hnsw"):
        assert policy
        small = Policy(finder=policy.finder, above=20, below=10)

    def loaded(*given: Any, **more: Any) -> Any:
        found = load_snapshot(*given, **more)
        seen["index built from the file" if found is None else "index from a snapshot"] += 1
        return found

    @contextmanager
    def place() -> Iterator[Callable[[], Gallery]]:
        folder = Path(tempfile.mkdtemp(prefix="oneglance-machine-", dir=IN_MEMORY))

        def opened() -> Gallery:
            there = (folder / "g.db").exists()
            contract = None if there else CONTRACTS["a"]
            return Gallery.open(folder / "g.db", contract, scoring=scoring, tier=tier)

        with (
            patch.dict(POLICIES, {tier: small or policy}),
            patch("index.memory_searcher.SNAPSHOT_FROM_ROWS", 1),
            patch("index.memory_searcher.load_snapshot", loaded),
            patch("index.tiered._LONGEST_SHARE", math.inf if small else 1 / 16),
            patch.object(Generations, "_build", _counted(seen, Generations._build)),
        ):
            yield opened
        shutil.rmtree(folder)

    name = f"File{'' if scoring == 'best' else 'Mean'}{tier.title() if small else ''}Machine"
    return _made(name, place, scoring=scoring, exact=small is None, seen=seen)


def machine_in_postgres(dsn: str, *, hnsw: bool = False) -> type[GalleryMachine]:
    """In a database, in a new collection each time.

    hnsw: build an approximate index from 5 templates on, at once.
    """
    seen: Counter[str] = Counter()
    names = itertools.count(1)

    @contextmanager
    def place() -> Iterator[Callable[[], Gallery]]:
        name = f"machine-{next(names)}"
        contracts = itertools.chain([CONTRACTS["a"]], itertools.repeat(None))

        def opened() -> Gallery:
            gallery = Gallery.open(dsn, next(contracts), collection=name)
            if hnsw:
                gallery.galleries.database._builder._from_templates = 5  # type: ignore[attr-defined]
            return gallery

        with (
            patch("index.postgres_hnsw._LOOK_EVERY_S", 0.0 if hnsw else 10.0),
            patch.object(HnswBuilder, "_build", _counted(seen, HnswBuilder._build)),
        ):
            yield opened
        galleries = Galleries.open(dsn)
        galleries.remove_collection(name)
        galleries.close()

    name = "PostgresHnswMachine" if hnsw else "PostgresMachine"
    return _made(name, place, scoring="best", exact=not hnsw, seen=seen)


def _counted(seen: Counter[str], build: Callable[..., None]) -> Callable[..., None]:
    def counted(*given: Any, **more: Any) -> None:
        seen["approximate index built"] += 1
        build(*given, **more)

    return counted


def _made(
    name: str, place: Any, *, scoring: ScoringName, exact: bool, seen: Counter[str]
) -> type[GalleryMachine]:
    facts = {"scoring": scoring, "exact": exact, "counts": Counter(), "seen": seen}
    return type(name, (GalleryMachine,), {"place": staticmethod(place), **facts})


# -- the proof --------------------------------------------------------------------------------


def run_steps(machine: type[GalleryMachine], steps: int, first_seed: int) -> str | None:
    """Run a machine until its rules have run so many times; what was found wrong, if anything."""
    start = time.monotonic()
    options = settings(
        database=None,
        deadline=None,
        max_examples=EXAMPLES,
        stateful_step_count=STEPS_AN_EXAMPLE,
        suppress_health_check=list(HealthCheck),
    )
    for number in itertools.count(first_seed):
        try:
            run_state_machine_as_test(seed(number)(machine), settings=options)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            notes = "\n".join(getattr(error, "__notes__", []))
            return f"{machine.__name__}, seed {number}: {error!r}\n{notes}"
        done = machine.counts.total()
        print(f"{machine.__name__}: {done:,} of {steps:,} steps", file=sys.stderr)
        if done >= steps:
            break
    told = ", ".join(f"{n:,} {what}" for what, n in (machine.counts + machine.seen).items())
    print(f"{machine.__name__}: {done:,} steps in {time.monotonic() - start:.0f} s ({told})")
    return None


def main() -> int:
    """Run all machines; 0 if none differed from its dictionaries."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--steps", type=int, default=10_000, help="of each backend (default: 10000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choices (default: 0)")
    options = parser.parse_args()
    steps: int = options.steps
    done: Counter[str] = Counter()
    faults = []
    with postgres_running() as server:
        dsn = server.create_database()
        for backend, machine, share in (
            ("file", machine_in_a_file(), 1.0),
            ("file", machine_in_a_file(scoring="mean"), 0.2),
            ("file", machine_in_a_file(tier="rabitq"), 0.2),
            ("file", machine_in_a_file(tier="hnsw"), 0.2),
            ("PostgreSQL", machine_in_postgres(dsn), 1.0),
            ("PostgreSQL", machine_in_postgres(dsn, hnsw=True), 0.2),
        ):
            fault = run_steps(machine, math.ceil(steps * share), options.seed)
            done[backend] += machine.counts.total()
            if fault:
                faults.append(fault)
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    counted = ", ".join(f"{count:,} steps on a gallery in {place}" if place != "file" else
                        f"{count:,} steps on a gallery in a file"
                        for place, count in done.items())  # fmt: skip
    print(f"{counted}: {len(faults)} faults")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
