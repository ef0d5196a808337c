"""A collection's searches of itself, against plain loops over everybody, on both backends.

Shapes: N templates, D embedding size.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from contract.calibration.intervals import upper_bound
from contract.embedding_contract import EmbeddingContract
from contract.errors import TooLittleDataError
from index.calibrating import MAX_ROUNDS, SelfSearch, calibrated, search_itself
from index.gallery import Gallery
from tests.conftest import GalleryOpener

D = 8
D_MAX = 2.0
CONTRACT = EmbeddingContract(id="test:eight", size=D, d_max=D_MAX)
Rows = npt.NDArray[np.float32]


def on_sphere(rng: np.random.Generator, count: int) -> Rows:
    rows = rng.standard_normal((count, D))
    unit: Rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def people(seed: int, counts: list[int], spread: float = 0.4) -> dict[str, Rows]:
    """A subject for each count, of so many templates around a centre of its own."""
    rng = np.random.default_rng(seed)
    made = {}
    for number, count in enumerate(counts):
        rows = on_sphere(rng, 1) + spread * on_sphere(rng, count)
        made[f"s{number}"] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


def enrolled(gallery: Any, who: dict[str, Rows]) -> dict[int, str]:
    """Enrol everybody; the subjects by their numbers in the store."""
    for name, rows in who.items():
        gallery.enroll(rows, subject_id=name)
    sql = "SELECT number, id FROM subjects"
    return dict(gallery.read(lambda scope: scope.c.execute(sql)))


def similarity(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    gap = a.astype(np.float64) - b.astype(np.float64)
    return 1.0 - float(np.sqrt((gap * gap).sum())) / D_MAX


def of_subject(probe: Rows, held: list[Rows], scoring: str) -> float:
    """A subject's similarity to a probe, by its definition."""
    if scoring == "best":
        return max(similarity(probe, row) for row in held)
    rows = np.array(held, dtype=np.float64)
    mean = rows.sum(axis=0) / len(rows)
    length = sum(float(np.sqrt((row * row).sum())) for row in rows) / len(rows)
    return similarity(probe, (mean * length / np.sqrt((mean * mean).sum())).astype(np.float32))


Key = tuple[float, ...]
Found = dict[str, Counter[Key]]


def oracle(who: dict[str, Rows], scoring: str) -> tuple[Found, Found]:
    """Of each template of each subject: (best similarity among others); (own one, is it first)."""
    nonmated: Found = defaultdict(Counter)
    mated: Found = defaultdict(Counter)
    for name, rows in who.items():
        for place, probe in enumerate(rows):
            best = max(
                (of_subject(probe, list(held), scoring) for n, held in who.items() if n != name),
                default=0.0,
            )
            nonmated[name][round(best, 6),] += 1
            rest = [row for i, row in enumerate(rows) if i != place]
            if rest:
                own = of_subject(probe, rest, scoring)
                mated[name][round(own, 6), own > best] += 1
    return nonmated, mated


def found(search: SelfSearch, names: dict[int, str]) -> tuple[Found, Found]:
    """The same from a search, each as often as it was counted."""
    s = search.searches
    nonmated: Found = defaultdict(Counter)
    for number, best in zip(s.nonmated_subject_T.tolist(), s.best_T.tolist(), strict=True):
        nonmated[names[number]][round(best, 6),] += 1
    mated: Found = defaultdict(Counter)
    for number, own, rank in zip(
        s.mated_subject_S.tolist(), s.similarity_S.tolist(), s.rank_S.tolist(), strict=True
    ):
        mated[names[number]][round(own, 6), rank == 1] += 1
    return nonmated, mated


def check_turns(got: Found, true: Found, rounds: int) -> None:
    """Every subject as often as there are rounds, its templates in turn."""
    assert got.keys() == true.keys()
    for name, counted in got.items():
        assert counted.total() == rounds
        templates = true[name].total()
        for key, times in counted.items():
            assert true[name][key] > 0, (name, key, true[name])
            assert times <= true[name][key] * -(-rounds // templates)
        if rounds >= templates:
            assert counted.keys() == true[name].keys()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_searches_are_those_of_plain_loops(open_gallery: GalleryOpener, seed: int) -> None:
    who = people(seed, [3, 1, 2, 4, 1, 2, 3])
    gallery = open_gallery(CONTRACT)
    names = enrolled(gallery, who)
    search = search_itself(gallery)
    for got, true in zip(found(search, names), oracle(who, "best"), strict=True):
        check_turns(got, true, rounds=4)
    s = search.searches
    assert (s.gallery_subjects, s.draws, s.mated_subjects, s.nonmated_subjects) == (7, 4, 5, 7)
    assert (search.templates, search.revision, search.uploaded) == (16, gallery.revision, 0)
    assert (search.contract_id, search.scoring) == (CONTRACT.id, "best")


def test_searches_of_a_gallery_that_scores_by_the_mean(tmp_path: Path) -> None:
    who = people(4, [3, 3, 3, 3])
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring="mean") as gallery:
        names = enrolled(gallery, who)
        search = search_itself(gallery)
    assert found(search, names) == oracle(who, "mean")
    assert found(search, names) != oracle(who, "best")
    assert search.scoring == "mean"


def test_equal_counts_use_every_template_once(open_gallery: GalleryOpener) -> None:
    who = people(5, [3, 3, 3, 3, 3], spread=1.5)
    gallery = open_gallery(CONTRACT)
    names = enrolled(gallery, who)
    nonmated, mated = found(search_itself(gallery), names)
    true_nonmated, true_mated = oracle(who, "best")
    assert nonmated == true_nonmated
    assert mated == true_mated
    firsts = [first for counted in mated.values() for _, first in counted]
    assert any(firsts)
    assert not all(firsts), "a test of ranks needs some who are not at rank 1"


def test_who_is_as_near_as_the_own_subject_stands_before_it(open_gallery: GalleryOpener) -> None:
    row = people(6, [1])["s0"]
    gallery = open_gallery(CONTRACT)
    gallery.enroll(np.repeat(row, 2, axis=0), subject_id="ann")
    gallery.enroll(row, subject_id="twin")
    s = search_itself(gallery).searches
    assert s.similarity_S.tolist() == [1.0, 1.0]
    assert s.rank_S.tolist() == [2, 2]
    assert s.best_T.tolist() == [1.0] * 4


def test_strangers_are_searched_for_in_the_whole_gallery(open_gallery: GalleryOpener) -> None:
    who = people(7, [2, 2, 2])
    gallery = open_gallery(CONTRACT)
    names = enrolled(gallery, who)
    strangers = on_sphere(np.random.default_rng(8), 5)
    search = search_itself(gallery, strangers_SD=strangers)
    s = search.searches
    assert (search.uploaded, s.nonmated_subjects, s.draws) == (5, 8, 2)
    everybody = [row for rows in who.values() for row in rows]
    for place, probe in enumerate(strangers):
        mine = s.best_T[s.nonmated_subject_T == -1 - place]
        # As often as everybody who is enrolled.
        assert mine == pytest.approx([max(similarity(probe, row) for row in everybody)] * 2)
    enrolled_only = [number in names for number in s.nonmated_subject_T.tolist()]
    assert sum(enrolled_only) == 6


def test_who_is_alone_is_a_stranger_to_nobody(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery(CONTRACT)
    s = search_itself(gallery).searches
    assert (s.gallery_subjects, len(s.best_T), len(s.rank_S)) == (0, 0, 0)
    gallery.enroll(people(9, [3])["s0"])
    stranger = on_sphere(np.random.default_rng(1), 1)
    s = search_itself(gallery, strangers_SD=stranger).searches
    assert (s.gallery_subjects, s.nonmated_subjects, s.nonmated_subject_T.tolist()) == (1, 1, [-1])
    assert len(s.rank_S) == 0


def test_many_templates_make_no_more_rounds_than_are_of_use(open_gallery: GalleryOpener) -> None:
    who = people(10, [MAX_ROUNDS + 3, 2])
    gallery = open_gallery(CONTRACT)
    names = enrolled(gallery, who)
    search = search_itself(gallery)
    assert search.searches.draws == MAX_ROUNDS
    for got, true in zip(found(search, names), oracle(who, "best"), strict=True):
        check_turns(got, true, rounds=MAX_ROUNDS)


def test_of_many_subjects_some_are_probes_and_all_are_searched(open_gallery: GalleryOpener) -> None:
    who = people(11, [2] * 12)
    gallery = open_gallery(CONTRACT)
    names = enrolled(gallery, who)
    search = search_itself(gallery, max_probes=5)
    s = search.searches
    assert (s.gallery_subjects, s.nonmated_subjects, s.mated_subjects, s.draws) == (12, 5, 5, 1)
    for got, true in zip(found(search, names), oracle(who, "best"), strict=True):
        assert len(got) == 5
        check_turns(got, {name: true[name] for name in got}, rounds=1)
    chosen = [
        {names[n] for n in search_itself(gallery, max_probes=5, seed=k).searches.mated_subject_S}
        for k in range(4)
    ]
    assert len(set(map(frozenset, chosen))) > 1
    assert search_itself(gallery, max_probes=25).searches.draws == 2


def test_it_tells_how_far_it_is_and_can_be_stopped(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery(CONTRACT)
    enrolled(gallery, people(12, [2] * 6))
    told: list[float] = []
    search_itself(gallery, tell=told.append)
    assert told == sorted(told)
    assert len(told) >= 7
    assert 0 <= told[0] <= told[-1] <= 1

    def stop(done: float) -> None:
        if done > 0.05:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_itself(gallery, tell=stop)
    gallery.enroll(people(13, [1])["s0"])
    assert gallery.subject_count == 7


@pytest.mark.parametrize("strangers", [np.zeros((2, D + 1), np.float32), np.full((1, D), np.nan)])
def test_strangers_of_another_kind_are_refused(gallery: Any, strangers: Any) -> None:
    with pytest.raises(ValueError, match="Strangers"):
        search_itself(gallery, strangers_SD=strangers)


def test_targets_that_the_strangers_support(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery(CONTRACT)
    enrolled(gallery, people(14, [2] * 30))
    seen = calibrated(search_itself(gallery))
    (point,) = seen.points
    search = search_itself(gallery).searches
    # 60 searches for 30 strangers: 6 may reach the threshold. Those nearest to one another are
    # equal, so that it may be 5 that do; a lower threshold would let a seventh through.
    reached = [similarity for similarity in search.best_T if similarity >= point.threshold]
    assert 5 <= len(reached) <= 6
    assert (search.best_T >= np.nextafter(point.threshold, 0)).sum() > 6
    assert (point.target_fpir, point.fpir) == (0.1, len(reached) / 60)
    assert point.fpir_upper95 == upper_bound(3, 30)
    assert point.fnir is not None
    assert (seen.subjects, seen.nonmated_subjects, seen.mated_subjects) == (30, 30, 30)
    assert {u.target_fpir: u.reason for u in seen.unsupported} == {
        0.01: "30 strangers cannot show it, 300 are needed",
        0.003: "30 strangers cannot show it, 1000 are needed",
        0.001: "30 strangers cannot show it, 3000 are needed",
    }


def test_uploaded_strangers_count_with_the_enrolled(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery(CONTRACT)
    enrolled(gallery, people(15, [1] * 20))
    strangers = on_sphere(np.random.default_rng(2), 280)
    seen = calibrated(search_itself(gallery, strangers_SD=strangers))
    assert [p.target_fpir for p in seen.points] == [0.1, 0.01]
    # Nobody has two templates: nothing is said about misses.
    assert [p.fnir for p in seen.points] == [None, None]
    assert seen.mated_subjects == 0


@pytest.mark.parametrize(("subjects", "strangers"), [(0, 0), (1, 29), (5, 0), (29, 0), (10, 19)])
def test_too_little_data_is_refused_with_what_is_needed(
    open_gallery: GalleryOpener, subjects: int, strangers: int
) -> None:
    gallery = open_gallery(CONTRACT)
    enrolled(gallery, people(16, [2] * subjects))
    rows = on_sphere(np.random.default_rng(3), strangers)
    with pytest.raises(TooLittleDataError) as refused:
        calibrated(search_itself(gallery, strangers_SD=rows))
    words = str(refused.value)
    assert f"{strangers} further strangers" in words
    assert "30 for an FPIR of 10.0%, 300 for an FPIR of 1.0%" in words
    assert refused.value.needed == {0.1: 30, 0.01: 300, 0.003: 1000, 0.001: 3000}
    assert refused.value.uploaded == strangers


def test_a_gallery_of_one_person_under_many_names_is_refused(open_gallery: GalleryOpener) -> None:
    row = people(17, [1])["s0"]
    gallery = open_gallery(CONTRACT)
    enrolled(gallery, {f"s{n}": row for n in range(30)})
    with pytest.raises(TooLittleDataError, match="similarity 1"):
        calibrated(search_itself(gallery))


def test_no_miss_claims_no_more_than_so_many_people_can_show(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery(CONTRACT)
    enrolled(gallery, people(14, [2] * 40, spread=0.01))
    (point,) = calibrated(search_itself(gallery)).points
    assert point.fnir is not None
    assert (point.fnir.value, point.fnir.low95) == (0, 0)
    # (1 - p) ** 40 = 5 %: the rule of three.
    assert point.fnir.high95 == pytest.approx(1 - 0.05 ** (1 / 40))
