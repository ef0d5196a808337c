"""What a re-embedding would change: how often a template's nearest other one is of its subject.

Shapes: P probes, N templates, D embedding size.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from contract.similarity import Float
from index.gallery import Gallery
from index.records import Embeddings, Numbers, TemplateBatch
from index.reembedding import Reembedding
from index.tables import templates
from index.tables.templates import UnderContract
from index.writes.scope import Scope

_MAX_PROBES: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Leave-one-out rank-1: of `probes` templates of `subjects` subjects, the share whose nearest
    other template is of the same subject. rank1: None without a probe."""

    rank1: float | None
    probes: int
    subjects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The same subjects, by the embeddings that are searched and by those that are staged."""

    searched: Agreement
    staged: Agreement


def staged_ids(gallery: Gallery, job: Reembedding, ids: Collection[str]) -> set[str]:
    """Those of some template ids that are staged."""

    def find(scope: Scope) -> set[str]:
        of = _next(scope, job)
        return {name for name in ids if templates.find_template(scope.c, of, name)}

    return gallery.read(find)


def compare(
    gallery: Gallery, job: Reembedding, *, max_probes: int = _MAX_PROBES, seed: int = 0
) -> Comparison:
    """Compare on the subjects that have at least two templates under both contracts.

    Of more than `max_probes` templates under one contract, some subjects are drawn, each with all
    its templates. Everybody else's templates are searched, too. Exact in float32; reads all
    templates twice under each contract.
    """

    def work(scope: Scope) -> Comparison:
        both = (scope.searched, _next(scope, job))
        counts = [_counts(scope, of) for of in both]
        eligible = sorted(n for n, count in counts[0].items() if count > 1 < counts[1].get(n, 0))
        room = max_probes
        chosen: set[int] = set()
        for number in np.random.default_rng(seed).permutation(eligible).tolist():
            room -= max(count[number] for count in counts)
            if room < 0 and chosen:
                break
            chosen.add(number)
        searched, staged = (_agreement(scope, of, chosen) for of in both)
        return Comparison(searched=searched, staged=staged)

    return gallery.read(work)


def _next(scope: Scope, job: Reembedding) -> UnderContract:
    number = scope.collection.next_contract_number
    assert number is not None, "the job is over"
    return UnderContract(
        collection=scope.collection.number, contract=number, size=job.contract.size
    )


def _counts(scope: Scope, of: UnderContract) -> dict[int, int]:
    rows = scope.c.execute(
        "SELECT subject_number, count(*) FROM templates"
        " WHERE collection_number = ? AND contract_number = ? GROUP BY subject_number",
        (of.collection, of.contract),
    )
    return {row[0]: int(row[1]) for row in rows}


def _agreement(scope: Scope, of: UnderContract, chosen: set[int]) -> Agreement:
    probes = _probes(scope, of, chosen)
    if not len(probes):
        return Agreement(rank1=None, probes=0, subjects=0)
    nearest = np.full(len(probes), np.inf)
    found = np.full(len(probes), -1, dtype=np.int64)
    for batch in templates.all_templates(scope.c, of):
        distances_PN = _squared(probes.embeddings, batch.embeddings)
        distances_PN[probes.numbers[:, None] == batch.numbers[None, :]] = np.inf
        best = distances_PN.argmin(axis=1)
        closer = distances_PN[np.arange(len(best)), best] < nearest
        nearest[closer] = distances_PN[closer, best[closer]]
        found[closer] = batch.subject_numbers[best[closer]]
    return Agreement(
        rank1=float((found == probes.subject_numbers).mean()),
        probes=len(probes),
        subjects=len(chosen),
    )


def _probes(scope: Scope, of: UnderContract, chosen: set[int]) -> TemplateBatch:
    kept: list[tuple[Numbers, Numbers, Embeddings]] = []
    wanted = np.array(sorted(chosen), dtype=np.int64)
    for batch in templates.all_templates(scope.c, of):
        mask = np.isin(batch.subject_numbers, wanted)
        kept.append((batch.numbers[mask], batch.subject_numbers[mask], batch.embeddings[mask]))
    if not kept:
        return TemplateBatch.empty(of.size)
    numbers, subject_numbers, embeddings = (
        np.concatenate(part) for part in zip(*kept, strict=True)
    )
    return TemplateBatch(numbers=numbers, subject_numbers=subject_numbers, embeddings=embeddings)


def _squared(probes_PD: Embeddings, rows_ND: Embeddings) -> Float:
    """Squared Euclidean distances (P, N)."""
    lengths_P = np.square(probes_PD).sum(axis=1, dtype=np.float64)
    lengths_N = np.square(rows_ND).sum(axis=1, dtype=np.float64)
    return np.asarray(
        lengths_P[:, None] + lengths_N[None, :] - 2.0 * (probes_PD @ rows_ND.T), dtype=np.float64
    )
