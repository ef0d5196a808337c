"""A gallery beside what was acknowledged: nothing lost, nothing back, nothing half done.

The file is read by plain SQL, so that no mistake of index/ is believed.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw
import numpy as np

from benchmarks.gallery_script import CONTRACTS, CROP, FIRST, Call, Rows, State
from contract.errors import CollectionNotFoundError, GalleryError
from index.galleries import Galleries
from index.gallery import Gallery
from index.protection.secrets import GallerySecrets
from index.records import Embeddings, Subject
from index.sqlite import SqliteDatabase
from index.tables.collections import DEFAULT_COLLECTION

NEAR_ONE: Final = 1e-6
# Of all that were removed, so many are searched for each time, the latest ones.
REMOVED_PROBES: Final = 20


@dataclass
class Findings:
    """What was found wrong. lost, returned: templates that were acknowledged as stored, removed."""

    done: int = 0  # calls that nobody was told the end of, and were done
    undone: int = 0  # and those that were not
    lost: int = 0
    returned: int = 0
    faults: list[str] = field(default_factory=list)

    def bad(self) -> bool:
        """Whether the bar does not hold."""
        return bool(self.lost or self.returned or self.faults)


@contextmanager
def opened(path: Path, vfs: str | None = None) -> Iterator[Gallery]:
    """The gallery in a file, under whatever contract it has."""
    with ExitStack() as stack:
        galleries = Galleries(
            SqliteDatabase(path, vfs=vfs),
            tier="auto",
            scoring="best",
            secrets=GallerySecrets(path.with_suffix(".secret"), protects_new=False),
        )
        stack.callback(galleries.close)
        try:
            view = galleries.view(DEFAULT_COLLECTION, None)
        except CollectionNotFoundError:
            view = galleries.view(DEFAULT_COLLECTION, CONTRACTS[FIRST])
        yield Gallery(galleries, *view)


def checkpoint_often(gallery: Gallery, pages: int, pragmas: str = "") -> None:
    """Let the gallery's log be short, so that checkpoints are among what is tried."""
    database = gallery.galleries.database
    assert isinstance(database, SqliteDatabase)
    database.checkpoint_pages = pages
    database._writer.raw.execute(pragmas).fetchall()


def compare(
    gallery: Gallery, path: Path, state: State, in_flight: Iterable[Call], findings: Findings
) -> State:
    """Enter what file and searches have otherwise than they should; the state that is there.

    in_flight: calls of which nobody was told how they ended.
    """
    found = found_in(path)
    calls = list(in_flight)
    state, done = settle(state, calls, found)
    findings.done += len(done)
    findings.undone += len(calls) - len(done)
    there, expected = found.rows().items(), state.rows().items()
    back = state.removed.keys() & {blob for _, blob in there}
    findings.lost += len(expected - there)
    findings.returned += len(back)
    if found != state:
        findings.faults.append(
            f"revision {found.revision} in the file, {state.revision} acknowledged, "
            f"{len(expected - there)} templates lost, {len(there - expected)} too many, "
            f"{len(back)} returned"
        )
    findings.faults += _search(gallery, state)
    if {page.id for page in _subjects(gallery)} != state.subjects.keys():
        findings.faults.append("the list of subjects is another one")
    try:
        gallery.verify()
    except GalleryError as error:
        findings.faults.append(str(error))
    return state


def _subjects(gallery: Gallery) -> Iterator[Subject]:
    after = None
    while True:
        page = gallery.subjects(limit=100, after=after)
        yield from page.subjects
        after = page.next_after
        if after is None:
            return


def _search(gallery: Gallery, state: State) -> list[str]:
    """What does not find itself though it should, or finds itself though it should not."""
    if gallery.contract.id != state.searched:
        return [f"{gallery.contract.id} is searched, not {state.searched}"]
    wanted = {
        blob: (subject, template)
        for subject, rows in state.subjects.items()
        for (template, contract), blob in rows.items()
        if contract == state.searched
    }
    size = CONTRACTS[state.searched].size
    gone = [blob for blob in state.removed if len(blob) == 4 * size][-REMOVED_PROBES:]
    blobs = [*wanted, *gone]
    if not blobs:
        return []
    faults = []
    answers = gallery.search(as_rows(blobs, size), top_k=1).candidates
    for blob, candidates in zip(blobs, answers, strict=True):
        near = [(c.subject.id, c.template_id) for c in candidates if c.similarity > 1 - NEAR_ONE]
        if near != ([wanted[blob]] if blob in wanted else []):
            faults.append(f"{wanted.get(blob, 'a removed one')} is found as {near}")
    return [f"{len(faults)} of {len(blobs)} searches, the first: {faults[0]}"] if faults else []


def as_rows(blobs: Iterable[bytes], size: int) -> Embeddings:
    """Stored embeddings as float32 (B, size)."""
    return np.frombuffer(b"".join(blobs), "<f4").astype(np.float32).reshape(-1, size)


def copies_left(folder: Path, state: State) -> list[str]:
    """Where removed embeddings (also in half precision) and pictures are still in the files."""
    sizes = {4 * contract.size for contract in CONTRACTS.values()}
    found = []
    for file in folder.rglob("*"):
        there = file.read_bytes() if file.is_file() else b""
        for blob in state.removed:
            half = np.frombuffer(blob, "<f4").astype("<f2") if len(blob) in sizes else blob
            for form in (blob, bytes(half)):
                if (at := there.find(form)) >= 0:
                    found.append(f"{len(blob)} bytes as {len(form)} at {at} of {file.name}")
                    break
    return found


def found_in(path: Path) -> State:
    """What a gallery file holds, read by plain SQL."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.execute("BEGIN")
        name = "(SELECT id FROM contracts WHERE number = {}_number)".format
        columns = ", ".join(map(name, ("contract", "next_contract", "former_contract")))
        rows = connection.execute(f"SELECT revision, {columns} FROM collections").fetchall()
        if not rows:
            return State()
        ((revision, searched, following, former),) = rows
        subjects: dict[str, Rows] = {
            row[0]: {} for row in connection.execute("SELECT id FROM subjects")
        }
        sql = (
            "SELECT s.id, t.id, c.id, t.embedding FROM templates t"
            " LEFT JOIN subjects s ON s.number = t.subject_number"
            " LEFT JOIN contracts c ON c.number = t.contract_number"
        )
        for subject, template, contract, blob in connection.execute(sql):
            subjects[subject][template, contract] = blob
        sql = "SELECT s.id, c.template_id, c.image FROM crops c LEFT JOIN subjects s"
        for subject, template, image in connection.execute(f"{sql} ON s.number = c.subject_number"):
            subjects[subject][template, CROP] = image
        return State(revision, searched, following, former, subjects)
    finally:
        connection.close()


def settle(state: State, in_flight: Iterable[Call], found: State) -> tuple[State, list[Call]]:
    """The state with the calls that were wholly done though nobody was told; and these calls."""
    done = []
    for call in in_flight:
        before, now = _ids(state, call), _ids(found, call)
        new = [template for template in now if template not in before]
        if call.kind in ("enrol", "stage") and len(new) != _expected(state, call):
            continue
        try:
            after = state.after(call, new)
        except KeyError:  # Another call in flight has to be done first, and was not.
            continue
        if _part(after, call) == _part(found, call) != _part(state, call):
            state = after
            done.append(call)
    return state, done


def _ids(state: State, call: Call) -> list[str]:
    """Templates among which those are that the call has made or staged."""
    contract = call.contract if call.kind == "stage" else state.searched
    of = state.rows() if call.kind == "stage" else state.subjects.get(call.subject, {})
    return [template for template, under in of if under == contract]


def _expected(state: State, call: Call) -> int:
    if call.kind == "enrol":
        return call.count
    pending = {*state.templates()} - {*_ids(state, call)}
    return min(call.count, len(pending))


def _part(state: State, call: Call) -> object:
    """What of a state a call may change; other calls in flight change other parts."""
    if call.kind in ("enrol", "remove"):
        return state.subjects.get(call.subject)
    if call.kind == "merge":
        return state.subjects.get(call.subject), state.subjects.get(call.other)
    if call.kind == "remove_template":
        return any(call.subject == template for template, _ in state.rows())
    return state.revision, state.searched, state.next, state.former, state.subjects
