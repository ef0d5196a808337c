"""Bar: a stolen gallery file matches nobody without its secret, and everybody with it.

    python -m benchmarks.stolen

People of LFW are enrolled with one photo each in a gallery, with another photo each in a second
one; both are files, each with a secret of its own. Their rows are then read as a thief does, by
plain SQL and without our code. By the rows alone, against plain embeddings of other photos of the
same people, against the other gallery, and against the same gallery once it was re-keyed: the
nearest one is the right one as often as by chance, and similarities of the same person are as often
above those of two as below, over several secrets. Secrets are drawn anew in each run; a right bar
fails once in 1,000 runs. With the secret, rank-1 must be what it is without any protection.

What no rotation can hide is measured as well, without a bar: benchmarks/alignment_attacks.py. The
last line is the figure; the exit status is not 0 below the bar.
"""

import math
import sqlite3
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.alignment_attacks import by_distances, by_pairs, by_population
from benchmarks.contenders import LFW_PACK
from benchmarks.embedded import EmbeddedPack, embedded
from benchmarks.lfw_people import DataMissingError
from contract.embedding_contract import EmbeddingContract
from contract.errors import OneGlanceError
from index.gallery import Gallery
from index.protection.secrets import GallerySecrets, secret_path_beside
from index.rekeying import Rekeying
from training.data.pack import PackError

Embeddings = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float64]

SECRETS: Final = 8
# Of three comparisons, each by two figures: altogether about one right run of 1,000 fails.
SIGNIFICANCE: Final = 2e-4
# Student's t with SECRETS - 1 degrees of freedom is farther out with about that probability.
T_LIMIT: Final = 6.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """Of N people one photo each to be enrolled and another one each, float32 (N, D).

    others: photos of nobody among them, (M, D). d_max: of the embeddings' space.
    """

    enrolled_ND: Embeddings
    again_ND: Embeddings
    others_MD: Embeddings
    d_max: float

    @classmethod
    def of(cls, pack: EmbeddedPack) -> "People":
        """Those of a pack with two photos or more, halved: the rest are the others."""
        first, second, others = [], [], []
        for person in range(len(pack.identities)):
            photos = np.flatnonzero(pack.labels_N == person).tolist()
            if len(photos) >= 2 and person % 2 == 0:
                first.append(photos[0])
                second.append(photos[1])
            else:
                others += photos
        rows = pack.embeddings_ND
        return cls(
            enrolled_ND=rows[first],
            again_ND=rows[second],
            others_MD=rows[others],
            d_max=pack.d_max,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """rank1: how many of `count` have their own person as the nearest. auc: how often a similarity
    of the same person is above one of two."""

    rank1: int
    count: int
    auc: float


def matched(rows_ND: npt.ArrayLike, probes_ND: npt.ArrayLike) -> Matched:
    """Row i against probe i, and against all others; by the cosine."""
    similarities_NN = _unit(probes_ND) @ _unit(rows_ND).T
    count = len(similarities_NN)
    mated_N = np.diag(similarities_NN)
    others = np.sort(similarities_NN[~np.eye(count, dtype=np.bool_)])
    below = np.searchsorted(others, mated_N, side="left") + np.searchsorted(
        others, mated_N, "right"
    )
    return Matched(
        rank1=int((similarities_NN.argmax(axis=1) == np.arange(count)).sum()),
        count=count,
        auc=float(below.mean() / (2 * len(others))),
    )


def stolen_rows(path: Path, collection: str = "default") -> Rows:
    """What a thief reads of a gallery file, in the order of enrolment."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT t.embedding FROM templates t JOIN collections c ON c.number ="
            " t.collection_number AND c.contract_number = t.contract_number"
            " WHERE c.id = ? ORDER BY t.number",
            (collection,),
        ).fetchall()
    finally:
        connection.close()
    return np.stack([np.frombuffer(row[0], dtype="<f4") for row in rows]).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One draw of two secrets: against plain photos, the other gallery, and itself re-keyed."""

    plain: Matched
    other: Matched
    rekeyed: Matched
    with_secret: int


def trial(folder: Path, people: People) -> Trial:
    """Make both galleries, steal, re-key and steal again."""
    one, two = folder / "one.sqlite3", folder / "two.sqlite3"
    for path, rows in ((one, people.enrolled_ND), (two, people.again_ND)):
        with opened(path, people, protected=True) as gallery:
            enrol(gallery, rows)
    stolen = stolen_rows(one)
    with opened(one, people, protected=True) as gallery:
        found = named_rightly(gallery, people.again_ND)
        job = Rekeying.begin(gallery)
        for _ in job.rekey():
            pass
        job.switch(gallery)
        for _ in job.clean():
            pass
    return Trial(
        plain=matched(stolen, people.again_ND),
        other=matched(stolen, stolen_rows(two)),
        rekeyed=matched(stolen, stolen_rows(one)),
        with_secret=found,
    )


def opened(path: Path, people: People, *, protected: bool) -> Gallery:
    """A gallery file; its secret is beside it, where the thief of these scenes does not look."""
    contract = EmbeddingContract(id="stolen", size=people.enrolled_ND.shape[1], d_max=people.d_max)
    secrets = GallerySecrets(secret_path_beside(path), protects_new=protected)
    return Gallery.open(path, contract, tier="flat", secrets=secrets)


def enrol(gallery: Gallery, rows_ND: Embeddings) -> None:
    """One subject a row, called by its place."""
    for person, row in enumerate(rows_ND):
        gallery.enroll(row[None], subject_id=f"s{person}")


def named_rightly(gallery: Gallery, probes_ND: Embeddings) -> int:
    """How many probes have their own subject as the best candidate."""
    answers = gallery.search(probes_ND, top_k=1).candidates
    return sum(found[0].subject.id == f"s{person}" for person, found in enumerate(answers))


def is_chance(found: list[Matched]) -> bool:
    """Whether both figures of some independent draws are what nothing but luck gives."""
    hits = sum(one.rank1 for one in found)
    # Each probe hits once in N, so that a draw has one hit on average: a Poisson number.
    expected = float(len(found))
    fewer, term = 0.0, math.exp(-expected)
    for k in range(hits):
        fewer += term
        term *= expected / (k + 1)
    above = 1.0 - fewer
    aucs = [one.auc for one in found]
    # Student's t of so many draws.
    off = abs(statistics.fmean(aucs) - 0.5)
    return above > SIGNIFICANCE and off < T_LIMIT * statistics.stdev(aucs) / math.sqrt(len(aucs))


def show_attacks(people: People, stored_ND: Rows) -> None:
    """What the rows and something more are good for; no bar, see docs/protection.md."""
    plain_ND = people.enrolled_ND.astype(np.float64)
    size = plain_ND.shape[1]
    print("with more than the rows (not claimed, no bar):")
    for known in (size // 8, size // 4, size // 2, size, 2 * size):
        turned = by_pairs(stored_ND[:known], plain_ND[:known])
        # The known ones left out: only the others say what is learnt.
        found = matched((stored_ND @ turned)[known:], people.again_ND[known:])
        print(f"  {known:4} enrolments whose rows the thief knows: {in_words(found)}")
    turned = by_distances(stored_ND, plain_ND[::-1])
    found = matched(stored_ND @ turned, people.again_ND)
    print(f"  plain embeddings of all the same photos, unordered: {in_words(found)}")
    turned = by_population(stored_ND, people.others_MD.astype(np.float64))
    found = matched(stored_ND @ turned, people.again_ND)
    print(f"  {len(people.others_MD)} faces of other people: {in_words(found)}")


def in_words(found: Matched) -> str:
    """One line."""
    return f"rank-1 {found.rank1} of {found.count}, AUC {found.auc:.3f}"


def main() -> int:
    """Run it; 0 if the bar holds."""
    try:
        people = People.of(embedded(LFW_PACK))
    except (DataMissingError, PackError, OneGlanceError) as error:
        print(f"stolen: {error}", file=sys.stderr)
        return 2
    count = len(people.enrolled_ND)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with opened(folder / "plain.sqlite3", people, protected=False) as gallery:
            enrol(gallery, people.enrolled_ND)
            unprotected = named_rightly(gallery, people.again_ND)
        trials = []
        for number in range(SECRETS):
            (folder / f"{number}").mkdir()
            trials.append(trial(folder / f"{number}", people))
        show_attacks(people, stolen_rows(folder / "0" / "one.sqlite3"))
    found = {
        "plain embeddings of other photos": [one.plain for one in trials],
        "another gallery's stolen rows": [one.other for one in trials],
        "the same gallery, re-keyed": [one.rekeyed for one in trials],
    }
    print(f"{count} people, {SECRETS} pairs of secrets; without the secret, rows against")
    holds = all(one.with_secret == unprotected for one in trials)
    for what, results in found.items():
        hits = statistics.fmean(one.rank1 for one in results)
        auc = statistics.fmean(one.auc for one in results)
        chance = is_chance(results)
        holds = holds and chance
        print(
            f"  {what}: rank-1 {hits:.2f} of {count} (by chance 1), AUC {auc:.4f} "
            f"(by chance 0.5){'' if chance else ': ABOVE CHANCE'}"
        )
    print(f"with the secret: rank-1 {trials[0].with_secret} of {count}, unprotected {unprotected}")
    best = max(statistics.fmean(one.rank1 for one in results) / count for results in found.values())
    print(
        f"stolen rows: {'no match above chance' if holds else 'BELOW THE BAR'}; rank-1 at most "
        f"{best:.2%} without the secret, {trials[0].with_secret / count:.2%} with it"
    )
    return 0 if holds else 1


def _unit(rows: npt.ArrayLike) -> Rows:
    array = np.asarray(rows, dtype=np.float64)
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True))


if __name__ == "__main__":
    sys.exit(main())
