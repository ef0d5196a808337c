"""What the proofs of durability do to a gallery, and what must be in it afterwards.

A `Call` says what is done and decides all but the ids of new templates; `State.after` says what
that makes of a gallery, without any code of index/. benchmarks/gallery_check.py compares.
"""

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.records import Embeddings
from index.reembedding import Reembedding, drop_former, job_under_way, roll_back

CONTRACTS: Final = {
    name: EmbeddingContract(id=name, size=size, d_max=2.0)
    for name, size in (("proof:a", 16), ("proof:b", 24))
}
FIRST: Final = "proof:a"

# The latest of all that were removed.
REMOVED_KEPT: Final = 300
CROP: Final = "crop"
CROP_BYTES: Final = 333

# Of a subject: (template id, contract id) -> float32 embedding; (template id, CROP) -> picture.
Rows: TypeAlias = dict[tuple[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Call:
    """Something done to the gallery.

    seed: decides the embeddings. subject, other: by kind; for remove_template the template.
    crops: every template of an enrolment has its picture.
    """

    kind: str
    seed: int
    subject: str = ""
    other: str = ""
    count: int = 0
    contract: str = ""
    crops: bool = False


@dataclass(slots=True)
class State:
    """What a gallery holds, and what it must not hold any more."""

    revision: int = 0
    searched: str = FIRST
    next: str | None = None
    former: str | None = None
    subjects: dict[str, Rows] = field(default_factory=dict)
    removed: dict[bytes, None] = field(default_factory=dict, compare=False)  # the latest last

    def copy(self) -> "State":
        """One that can be changed for itself."""
        subjects = {subject: dict(rows) for subject, rows in self.subjects.items()}
        return dataclasses.replace(self, subjects=subjects, removed=dict(self.removed))

    def rows(self) -> Rows:
        """Of all subjects."""
        return {key: blob for rows in self.subjects.values() for key, blob in rows.items()}

    def templates(self) -> list[str]:
        """Ids of the templates that are searched."""
        return [template for template, contract in self.rows() if contract == self.searched]

    def after(self, call: Call, ids: Iterable[str]) -> "State":
        """What the call, wholly done, makes of it; ids: of the templates that it made or staged."""
        state = self.copy()
        state.revision += 1
        _EFFECTS[call.kind](state, call, list(ids))
        now = set(state.rows().values())
        state.removed |= dict.fromkeys(blob for blob in self.rows().values() if blob not in now)
        # A template that is staged once more has the same embedding once more.
        latest = list(state.removed)[-REMOVED_KEPT:]
        state.removed = {blob: None for blob in latest if blob not in now}
        return state


def _enrol(state: State, call: Call, ids: list[str]) -> None:
    embeddings = embeddings_of(call, state.searched)
    rows = {
        (template, state.searched): row.tobytes()
        for template, row in zip(ids, embeddings, strict=False)
    }
    crops = crops_of(call) or []
    rows |= {(template, CROP): crop for template, crop in zip(ids, crops, strict=False)}
    state.subjects.setdefault(call.subject, {}).update(rows)


def _remove(state: State, call: Call, ids: list[str]) -> None:
    state.subjects.pop(call.subject)


def _remove_template(state: State, call: Call, ids: list[str]) -> None:
    for rows in state.subjects.values():
        for key in [key for key in rows if key[0] == call.subject]:
            del rows[key]


def _merge(state: State, call: Call, ids: list[str]) -> None:
    state.subjects[call.other].update(state.subjects.pop(call.subject))


def _begin(state: State, call: Call, ids: list[str]) -> None:
    state.next = call.contract


def _stage(state: State, call: Call, ids: list[str]) -> None:
    assert state.next is not None
    for rows in state.subjects.values():
        for template, contract in list(rows):
            if contract == state.searched and template in ids:
                rows[template, state.next] = staged(template, state.next).tobytes()


def _switch(state: State, call: Call, ids: list[str]) -> None:
    assert state.next is not None
    if state.former is not None:
        _drop(state, state.former)
    state.searched, state.next, state.former = state.next, None, state.searched


def _roll_back(state: State, call: Call, ids: list[str]) -> None:
    assert state.former is not None
    state.searched, state.next, state.former = state.former, state.searched, None


def _abandon(state: State, call: Call, ids: list[str]) -> None:
    _drop(state, state.next)
    state.next = None


def _drop_former(state: State, call: Call, ids: list[str]) -> None:
    _drop(state, state.former)
    state.former = None


def _drop(state: State, contract: str | None) -> None:
    for rows in state.subjects.values():
        for key in [key for key in rows if key[1] == contract]:
            del rows[key]
        left = {template for template, under in rows if under != CROP}
        for key in [key for key in rows if key[0] not in left]:
            del rows[key]


_EFFECTS: Final[dict[str, Callable[[State, Call, list[str]], None]]] = {
    "enrol": _enrol,
    "remove": _remove,
    "remove_template": _remove_template,
    "merge": _merge,
    "begin": _begin,
    "stage": _stage,
    "switch": _switch,
    "roll_back": _roll_back,
    "abandon": _abandon,
    "drop_former": _drop_former,
}


@dataclass(frozen=True, slots=True)
class Began:
    """A thread has called."""

    thread: int
    call: Call


@dataclass(frozen=True, slots=True)
class Done:
    """Its call has returned; ids of templates that it made or staged."""

    thread: int
    ids: tuple[str, ...]


class Ledger:
    """What was said so far: what is acknowledged, and what is in flight."""

    def __init__(self) -> None:
        self.state = State()
        self.in_flight: dict[int, Call] = {}
        self.acknowledged: Counter[str] = Counter()

    def read(self, said: Began | Done) -> None:
        """Take in one more."""
        if isinstance(said, Began):
            self.in_flight[said.thread] = said.call
        else:
            call = self.in_flight.pop(said.thread)
            self.state = self.state.after(call, said.ids)
            self.acknowledged[call.kind] += 1


def embeddings_of(call: Call, contract: str) -> Embeddings:
    """The unit embeddings, float32 (count, D), that an enrolment brings."""
    rows = np.random.default_rng(call.seed).standard_normal((call.count, CONTRACTS[contract].size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def crops_of(call: Call) -> list[bytes] | None:
    """The pictures that an enrolment brings, of CROP_BYTES each, if it does."""
    choose = random.Random(call.seed)
    return [choose.randbytes(CROP_BYTES) for _ in range(call.count)] if call.crops else None


def staged(template: str, contract: str) -> Embeddings:
    """The unit embedding, float32 (D,), of a template under another contract."""
    return embeddings_of(Call("enrol", int(template[:12], 16), count=1), contract)[0]


def perform(gallery: Gallery, call: Call) -> list[str]:
    """Do it, and return once it was acknowledged: ids of templates that it made or staged."""
    if call.kind == "enrol":
        rows = embeddings_of(call, gallery.contract.id)
        done = gallery.enroll(rows, subject_id=call.subject, crops=crops_of(call))
        return list(done.template_ids)
    if call.kind == "stage":
        return _perform_stage(gallery, call)
    if call.kind == "remove":
        gallery.remove_subject(call.subject)
    elif call.kind == "remove_template":
        gallery.remove_template(call.subject)
    elif call.kind == "merge":
        gallery.merge_subjects(call.subject, into=call.other)
    elif call.kind == "begin":
        Reembedding.begin(gallery, CONTRACTS[call.contract])
    elif call.kind == "switch":
        reembedding(gallery, call.contract).switch(allow_missing=True)
    elif call.kind == "abandon":
        reembedding(gallery, call.contract).abandon()
    else:
        {"roll_back": roll_back, "drop_former": drop_former}[call.kind](gallery)
    return []


def reembedding(gallery: Gallery, contract: str) -> Reembedding:
    """The one under way, without beginning it again."""
    job = job_under_way(gallery)
    assert job is not None
    assert job.contract == CONTRACTS[contract]
    return job


def _perform_stage(gallery: Gallery, call: Call) -> list[str]:
    job = reembedding(gallery, call.contract)
    pages = job.pending()
    ids = [pending.id for pending in next(pages, [])][: call.count]
    job.stage({template: staged(template, call.contract) for template in ids})
    return ids


def choose_call(state: State, choose: random.Random, seed: int, *, subjects: int = 12) -> Call:
    """A call that can be done in this state, enough of each kind, and about so many subjects."""
    there = sorted(state.subjects)
    weights = _weights(state, crowded=len(there) >= subjects)
    (kind,) = choose.choices(list(weights), weights=list(weights.values()))
    other = next(name for name in CONTRACTS if name != state.searched)
    call = Call(kind, seed, contract=state.next or other)
    if kind == "enrol":
        subject = choose.choice([f"s{seed}", f"s{seed}", *there[:1]])
        count, crops = choose.choice((1, 2, 3, 9)), choose.random() < 0.5
        return dataclasses.replace(call, subject=subject, count=count, crops=crops)
    if kind == "merge":
        source, target = choose.sample(there, 2)
        return dataclasses.replace(call, subject=source, other=target)
    if kind == "stage":
        return dataclasses.replace(call, count=choose.choice((1, 4, 100)))
    if kind == "remove_template":
        return dataclasses.replace(call, subject=choose.choice(state.templates()))
    return dataclasses.replace(call, subject=choose.choice(there) if kind == "remove" else "")


def _weights(state: State, *, crowded: bool) -> dict[str, float]:
    """How likely each kind of call is; those that cannot be done are left out."""
    weights: dict[str, float] = {"enrol": 3 if crowded else 8}
    if state.subjects:
        weights["remove"] = 5 if crowded else 2
    if state.templates():
        weights["remove_template"] = 2
    if len(state.subjects) > 1:
        weights["merge"] = 2
    if state.next:
        weights |= {"stage": 5, "switch": 1, "abandon": 0.2}
    elif state.former:
        weights |= {"roll_back": 1, "drop_former": 1}
    elif state.subjects:
        weights["begin"] = 1
    return weights
