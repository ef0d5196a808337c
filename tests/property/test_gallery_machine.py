"""Gallery against a plain dictionary, with closing and reopening in between."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contract.embedding_contract import EmbeddingContract
from contract.errors import SubjectConflictError, SubjectNotFoundError
from contract.similarity import pairwise_similarity
from index.gallery import Gallery

CONTRACT = EmbeddingContract(id="test:machine", size=3, d_max=8.0)
SUBJECT_IDS = st.sampled_from(["ann", "bob", "cy", "di"])
EXTERNAL_IDS = st.none() | st.sampled_from(["1", "2", "3"])
NAMES = st.none() | st.sampled_from(["Ann", "Bob"])
METADATA = st.none() | st.sampled_from([{}, {"k": 1}])
# Few values, so that equal embeddings and equal distances are common.
EMBEDDINGS = st.lists(
    st.tuples(*[st.sampled_from([-1.0, 0.0, 0.5, 2.0])] * 3), min_size=1, max_size=30
).map(lambda rows: np.array(rows, dtype=np.float32))


class Known:
    """What the dictionary knows of a subject; `rows` are (template id, embedding)."""

    def __init__(self, name: str | None, external_id: str | None, metadata: dict[str, Any]) -> None:
        self.name, self.external_id, self.metadata = name, external_id, metadata
        self.rows: list[tuple[str, np.ndarray]] = []


class GalleryMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oneglance-gallery-"))
        self.gallery = Gallery.open(self.folder / "g.db", CONTRACT)
        # Insertion order is the order of enrolment.
        self.model: dict[str, Known] = {}
        self.revision = 0

    def teardown(self) -> None:
        if hasattr(self, "gallery"):
            self.gallery.verify()
            self.gallery.close()
            shutil.rmtree(self.folder)

    @rule(
        embeddings=EMBEDDINGS,
        subject_id=st.none() | SUBJECT_IDS,
        name=NAMES,
        external_id=EXTERNAL_IDS,
        metadata=METADATA,
    )
    def enroll(
        self,
        embeddings: np.ndarray,
        subject_id: str | None,
        name: str | None,
        external_id: str | None,
        metadata: dict[str, Any] | None,
    ) -> None:
        given = {"name": name, "external_id": external_id, "metadata": metadata}
        holder = next(
            (i for i, k in self.model.items() if external_id and k.external_id == external_id),
            None,
        )
        target = subject_id or holder
        known = self.model.get(target) if target else None
        if (subject_id and holder not in (None, subject_id)) or (
            known
            and any(v is not None and v != getattr(known, field) for field, v in given.items())
        ):
            with pytest.raises(SubjectConflictError):
                self.gallery.enroll(embeddings, subject_id=subject_id, **given)
            return
        done = self.gallery.enroll(embeddings, subject_id=subject_id, **given)
        self.revision += 1
        assert done.revision == self.revision
        assert done.created == (known is None)
        if target:
            assert done.subject.id == target
        if known is None:
            known = self.model[done.subject.id] = Known(name, external_id, metadata or {})
        known.rows += zip(done.template_ids, embeddings, strict=True)
        assert done.subject.template_count == len(known.rows)

    @rule(pick=st.integers(0, 7), unknown=st.booleans())
    def remove(self, pick: int, unknown: bool) -> None:
        if unknown or not self.model:
            with pytest.raises(SubjectNotFoundError):
                self.gallery.remove_subject("nobody")
            return
        subject_id = list(self.model)[pick % len(self.model)]
        self.revision += 1
        assert self.gallery.remove_subject(subject_id) == self.revision
        del self.model[subject_id]

    @rule()
    def reopen(self) -> None:
        self.gallery.close()
        self.gallery = Gallery.open(self.folder / "g.db", CONTRACT)

    @rule(probes=EMBEDDINGS, top_k=st.sampled_from([1, 2, 3, 50]))
    def search(self, probes: np.ndarray, top_k: int) -> None:
        result = self.gallery.search(probes, top_k=top_k)
        assert result.revision == self.revision
        for probe, candidates in zip(probes, result.candidates, strict=True):
            expected = []
            for order, (subject_id, known) in enumerate(self.model.items()):
                rows = np.array([row for _, row in known.rows])
                similarities = pairwise_similarity(probe[None], rows, CONTRACT.d_max)[0]
                best = int(np.argmax(similarities))  # The first of equals.
                expected.append((-similarities[best], order, subject_id, known.rows[best][0]))
            expected.sort()
            assert [(-c.similarity, c.subject.id, c.template_id) for c in candidates] == [
                (similarity, subject_id, template)
                for similarity, _, subject_id, template in expected[:top_k]
            ]

    @rule(limit=st.integers(1, 3))
    def list_pages(self, limit: int) -> None:
        seen, after = [], None
        while True:
            page = self.gallery.subjects(limit=limit, after=after)
            seen += page.subjects
            after = page.next_after
            if after is None:
                break
        assert [s.id for s in seen] == list(self.model)
        for subject in seen:
            known = self.model[subject.id]
            assert (subject.name, subject.external_id) == (known.name, known.external_id)
            assert subject.metadata == known.metadata
            assert subject.template_count == len(known.rows)
            assert self.gallery.subject(subject.id) == subject

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "gallery"):
            assert self.gallery.revision == self.revision
            assert self.gallery.subject_count == len(self.model)
            assert self.gallery.template_count == sum(len(k.rows) for k in self.model.values())


TestGalleryMachine = GalleryMachine.TestCase
TestGalleryMachine.settings = settings(
    derandomize=True, database=None, max_examples=50, stateful_step_count=30, deadline=None
)
