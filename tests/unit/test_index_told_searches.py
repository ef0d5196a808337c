"""What feedback adds to a calibration, against plain loops over everybody; on both backends.

Shapes: N templates, D embedding size.
"""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from contract.calibration.operating_points import TARGET_FPIRS
from contract.calibration.searches import threshold_at
from contract.embedding_contract import EmbeddingContract
from index.calibrating import MAX_ROUNDS, SelfSearch, calibrated, search_itself
from index.feedback import Told, give_feedback
from index.gallery import Gallery
from index.reembedding import Reembedding
from tests.conftest import GalleryOpener

D = 12
D_MAX = 2.0
CONTRACT = EmbeddingContract(id="test:twelve", size=D, d_max=D_MAX)
OTHER = EmbeddingContract(id="test:other", size=D, d_max=D_MAX)
MANY = 10_000
Rows = npt.NDArray[np.float32]
Labelled = Counter[tuple[str, float]]


def unit(rows: npt.NDArray[Any]) -> Rows:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class World:
    """Subjects s0, s1, … around a centre each, and photos of them and of strangers."""

    def __init__(self, gallery: Gallery, seed: int, count: int, *, templates: int = 2) -> None:
        self.gallery, self.rng = gallery, np.random.default_rng(seed)
        self.centres = unit(self.rng.standard_normal((count, D)))
        self.held = {f"s{n}": self.photos(n, templates) for n in range(count)}
        for name, rows in self.held.items():
            gallery.enroll(rows, subject_id=name)
        self.given = 0

    def photos(self, number: int, count: int, spread: float = 0.5) -> Rows:
        return unit(self.centres[number] + spread * unit(self.rng.standard_normal((count, D))))

    def told(self, probe: Rows, **other: Any) -> Told:
        """A confirmed search of a face, as the service would tell it."""
        (found,) = self.gallery.search(probe[None], top_k=2).candidates
        self.given += 1
        stored = self.gallery.stored()
        said = Told(
            id=f"{self.given:032x}",
            verdict="confirmed",
            subject_id=found[0].subject.id,
            subject_similarity=found[0].similarity,
            other_id=found[1].subject.id,
            other_similarity=found[1].similarity,
            answered="match",
            contract_id=self.gallery.contract.id,
            scoring=self.gallery.scoring,
            gallery_subjects=stored.subject_count,
            gallery_templates=stored.template_count,
            gallery_revision=stored.revision,
            searched_at="2026-01-02T03:04:05.000Z",
        )
        return dataclasses.replace(said, **other)

    def confirm(self, probe: Rows, who: str) -> float:
        """Say who it is; the best similarity of anybody else."""
        said = self.told(probe)
        if said.subject_id != who:
            said = dataclasses.replace(
                said,
                subject_id=who,
                subject_similarity=said.other_similarity if said.other_id == who else None,
                other_id=said.subject_id,
                other_similarity=said.subject_similarity,
            )
        give_feedback(self.gallery, said, most=MANY)
        assert said.other_similarity is not None
        return said.other_similarity

    def reject(self, probe: Rows, **other: Any) -> tuple[str, float]:
        """Say that it is not the best candidate: who that is, and how similar."""
        said = self.told(probe)
        said = dataclasses.replace(
            said,
            verdict="rejected",
            other_id=said.subject_id,
            other_similarity=said.subject_similarity,
            **other,
        )
        give_feedback(self.gallery, said, most=MANY)
        assert said.other_similarity is not None
        return said.subject_id, said.other_similarity

    def easy(self, number: int) -> Rows:
        """A photo nearer to its subject than any two people are: no maximum is cut off there."""
        name = f"s{number}"
        return unit(self.held[name][:1] + 0.05 * unit(self.rng.standard_normal((1, D))))[0]

    @property
    def names(self) -> dict[int, str]:
        sql = "SELECT number, id FROM subjects"
        return dict(self.gallery.read(lambda scope: scope.c.execute(sql)))

    def search(self) -> SelfSearch:
        return search_itself(self.gallery, with_feedback=True)


def similarity(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    gap = a.astype(np.float64) - b.astype(np.float64)
    return 1.0 - float(np.sqrt((gap * gap).sum())) / D_MAX


def brute_force(world: World, probe: Rows, *, without: str | None = None) -> tuple[float, str]:
    """The best of everybody but one, by a loop over every template."""
    return max(
        (similarity(probe, row), name)
        for name, rows in world.held.items()
        for row in rows
        if name != without
    )


def labelled(world: World, search: SelfSearch) -> Labelled:
    """Whom each non-mated search is for and its maximum; strangers by their negative numbers."""
    s = search.searches
    names = world.names
    return Counter(
        (names.get(number, str(number)), round(best, 9))
        for number, best in zip(s.nonmated_subject_T.tolist(), s.best_T.tolist(), strict=True)
    )


def untold(maxima: list[float], cut_offs: list[float]) -> list[float]:
    """The maxima of the searches that nobody could confirm, from those that nothing cuts off."""
    added: list[float] = []
    total = 0.0
    for best in sorted(maxima, reverse=True):
        for cut_off in cut_offs:
            if best > cut_off:
                total += 1 / sum(other <= cut_off for other in maxima)
        while len(added) < total - 1e-9:
            added.append(best)
    return added


@pytest.fixture
def world(open_gallery: GalleryOpener) -> World:
    return World(open_gallery(CONTRACT), 1, 8)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_its_maxima_are_those_of_searches_without_the_subject(
    open_gallery: GalleryOpener, seed: int
) -> None:
    world = World(open_gallery(CONTRACT), seed, 12)
    plain = search_itself(world.gallery)
    middle = float(np.median(plain.searches.best_T))
    expected, counted = labelled(world, plain), 0
    strangers: dict[str, list[float]] = {}
    cut_offs = []
    for number in range(12):
        who = f"s{number}"
        maxima = []
        for probe in (world.easy(number), world.photos(number, 1, spread=0.9)[0]):
            own = max(similarity(probe, row) for row in world.held[who])
            other, _ = brute_force(world, probe, without=who)
            assert world.confirm(probe, who) == pytest.approx(other, abs=1e-12)
            if own < other:
                maxima.insert(0, (other, 1.0))
            elif own >= middle:
                maxima.insert(0, (other, own))
        counted += len(maxima)
        # Two rounds, as there are templates: in turn, the newest first.
        for turn in range(2 if maxima else 0):
            best, cut_off = maxima[turn % len(maxima)]
            expected[who, round(best, 9)] += 1
            cut_offs.append(cut_off)
    for probe in unit(world.rng.standard_normal((5, D))):
        best, who = brute_force(world, probe)
        told = world.reject(probe)
        assert told == (who, pytest.approx(best, abs=1e-12))
        # The newest comes first, and with it the stranger that it is of.
        strangers = {who: [best, *strangers.pop(who, [])], **strangers}
        counted += 1
    for place, maxima in enumerate(strangers.values()):
        for best in maxima:
            expected[str(-1 - place), round(best, 9)] += 2
    search = world.search()
    found = labelled(world, search)
    assert not expected - found
    # Those that nobody could confirm are others' over again.
    copies = found - expected
    assert set(copies) <= set(labelled(world, plain))
    values = [best for (_, best), times in copies.items() for _ in range(times)]
    own_maxima = plain.searches.best_T.tolist()
    assert sorted(values) == pytest.approx(sorted(untold(own_maxima, cut_offs)), abs=1e-9)
    assert values, "a test of what is cut off needs some that is"
    assert (search.feedback, search.feedback_left_out) == (counted, 29 - counted)
    assert search.rejected == len(strangers)
    assert counted > 12
    s = search.searches
    assert (s.draws, s.nonmated_subjects) == (2, 12 + len(strangers))
    # Nothing of it is a mated search.
    assert np.array_equal(s.similarity_S, plain.searches.similarity_S)
    assert np.array_equal(s.mated_subject_S, plain.searches.mated_subject_S)


def test_thresholds_are_those_of_all_maxima_together(open_gallery: GalleryOpener) -> None:
    world = World(open_gallery(CONTRACT), 4, 40)
    world.confirm(world.easy(0), "s0")
    highs = [world.reject(world.photos(n, 1, spread=0.1)[0])[1] for n in range(3)]
    plain, seen = calibrated(search_itself(world.gallery)), calibrated(world.search())
    best = world.search().searches.best_T
    assert [p.target_fpir for p in seen.points] == [0.1]
    assert seen.points[0].threshold == threshold_at(best, 0.1)
    assert sorted(best)[-6:] == pytest.approx(sorted(highs * 2))
    assert seen.points[0].threshold > plain.points[0].threshold
    assert (seen.nonmated_subjects, plain.nonmated_subjects) == (43, 40)
    assert seen.draws == plain.draws
    assert seen.mated_searches == plain.mated_searches


def test_without_being_asked_none_of_it_counts(world: World) -> None:
    before = search_itself(world.gallery)
    world.confirm(world.easy(0), "s0")
    world.reject(world.easy(1))
    after = search_itself(world.gallery)
    assert labelled(world, after) == labelled(world, before)
    assert (after.feedback, after.feedback_left_out, after.rejected) == (0, 0, 0)
    assert world.search().feedback == 2


def test_errors_alone_say_nothing_of_a_rate(world: World) -> None:
    before = labelled(world, search_itself(world.gallery))
    world.reject(world.easy(1))
    world.confirm(world.easy(2), "s3")
    search = world.search()
    assert labelled(world, search) == before
    assert (search.feedback, search.feedback_left_out, search.rejected) == (0, 2, 0)
    world.confirm(world.easy(4), "s4")
    search = world.search()
    assert (search.feedback, search.feedback_left_out, search.rejected) == (3, 0, 1)


def test_what_is_cut_off_below_the_middle_would_stand_for_too_many(world: World) -> None:
    middle = float(np.median(search_itself(world.gallery).searches.best_T))
    for similarity, counted in ((middle - 1e-9, 0), (middle + 1e-9, 1)):
        said = world.told(
            world.easy(0), subject_similarity=similarity, other_similarity=middle - 0.1
        )
        give_feedback(world.gallery, said, most=MANY)
        assert world.search().feedback == counted
    assert world.search().feedback_left_out == 1


def test_that_an_unknown_face_is_nobody_is_no_news(world: World) -> None:
    world.confirm(world.easy(0), "s0")
    world.reject(world.easy(1), answered="unknown")
    assert world.search().feedback == 1
    world.reject(world.easy(1), answered="not_evaluated")
    assert world.search().feedback == 2


def test_many_who_are_taken_for_one_subject_are_one_stranger(world: World) -> None:
    world.confirm(world.easy(0), "s0")
    for number in (3, 3, 3, 5):
        world.reject(world.easy(number))
    search = world.search()
    assert (search.feedback, search.rejected, search.searches.nonmated_subjects) == (5, 2, 10)
    # Each is a search all the same, once a round.
    numbers = Counter(n for n in search.searches.nonmated_subject_T.tolist() if n < 0)
    assert numbers == {-1: 2, -2: 6}


def test_strangers_that_are_uploaded_have_numbers_of_their_own(world: World) -> None:
    world.confirm(world.easy(0), "s0")
    world.reject(world.easy(3))
    photos = unit(world.rng.standard_normal((3, D)))
    search = search_itself(world.gallery, strangers_SD=photos, with_feedback=True)
    assert (search.uploaded, search.rejected, search.searches.nonmated_subjects) == (3, 1, 12)
    negative = [n for n in search.searches.nonmated_subject_T.tolist() if n < 0]
    assert Counter(negative) == {-1: 2, -2: 2, -3: 2, -4: 2}


def test_of_one_subject_the_newest_count_and_nobody_counts_for_more(world: World) -> None:
    maxima = [world.confirm(world.easy(0), "s0") for _ in range(MAX_ROUNDS + 3)]
    search = world.search()
    assert (search.feedback, search.feedback_left_out) == (MAX_ROUNDS, 3)
    counted = labelled(world, search)
    for best in maxima[3:]:
        assert counted["s0", round(best, 9)] == 1
    # As many rounds of everybody, each template in turn; and of misses as before.
    totals: Counter[str] = Counter()
    for (name, _), times in counted.items():
        totals[name] += times
    assert totals == {f"s{n}": (20 if n == 0 else 10) for n in range(8)}
    assert search.searches.draws == 2
    assert len(search.searches.rank_S) == 16


def test_of_other_embeddings_and_another_way_to_score_it_says_nothing(world: World) -> None:
    world.confirm(world.easy(0), "s0")
    told = world.told(world.easy(1), scoring="mean")
    give_feedback(world.gallery, told, most=MANY)
    assert (world.search().feedback, world.search().feedback_left_out) == (1, 1)
    job = Reembedding.begin(world.gallery, OTHER)
    for page in job.pending():
        job.stage({t.id: unit(world.rng.standard_normal((1, D)))[0] for t in page})
    job.switch()
    assert (world.search().feedback, world.search().feedback_left_out) == (0, 2)


@pytest.mark.parametrize("many", ["subjects", "templates"])
def test_a_gallery_outgrows_it(world: World, many: str) -> None:
    world.confirm(world.easy(0), "s0")
    # Eight subjects are four fifths of ten, 16 templates those of 20.
    rows = unit(world.rng.standard_normal((6, D)))
    if many == "subjects":
        world.gallery.enroll(rows[:1], subject_id="n0")
        world.gallery.enroll(rows[1:2], subject_id="n1")
    else:
        world.gallery.enroll(rows[:4], subject_id="s1")
    assert world.search().feedback == 1
    world.gallery.enroll(rows[5:], subject_id="n2" if many == "subjects" else "s2")
    assert (world.search().feedback, world.search().feedback_left_out) == (0, 1)


def test_by_the_mean_templates_do_not_outgrow_it(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "g.db", CONTRACT, scoring="mean") as gallery:
        world = World(gallery, 1, 8)
        told = world.told(world.held["s0"].mean(axis=0))
        give_feedback(gallery, told, most=MANY)
        world.gallery.enroll(unit(world.rng.standard_normal((9, D))), subject_id="s1")
        assert world.search().feedback == 1


def test_who_was_alone_or_is_no_probe_says_nothing(open_gallery: GalleryOpener) -> None:
    world = World(open_gallery(CONTRACT), 1, 30)
    for number in range(30):
        world.confirm(world.easy(number), f"s{number}")
    give_feedback(world.gallery, world.told(world.easy(0), other_id=None), most=MANY)
    assert (world.search().feedback, world.search().feedback_left_out) == (30, 1)
    some = search_itself(world.gallery, with_feedback=True, max_probes=12)
    assert (some.feedback, some.feedback_left_out) == (12, 19)
    assert some.searches.nonmated_subjects == 12
    world.gallery.remove_template(world.gallery.templates("s0")[0].id)
    world.gallery.remove_template(world.gallery.templates("s0")[0].id)
    assert world.search().feedback == 29


def test_where_nobody_is_searched_for_nothing_is_told(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery(CONTRACT)
    photos = unit(np.random.default_rng(1).standard_normal((3, D)))
    assert len(search_itself(gallery, with_feedback=True).searches.best_T) == 0
    alone = World(gallery, 1, 1)
    said = dict.fromkeys(("other_id", "other_similarity"))
    other = World(gallery, 2, 0)
    gallery.enroll(photos[:1], subject_id="other")
    give_feedback(gallery, alone.told(alone.easy(0)), most=MANY)
    give_feedback(gallery, dataclasses.replace(other.told(photos[0]), id="f" * 32, **said), most=9)
    gallery.remove_template(gallery.templates("other")[0].id)
    for strangers in (None, photos):
        search = search_itself(gallery, strangers_SD=strangers, with_feedback=True)
        assert (search.feedback, search.feedback_left_out) == (0, 2)
        assert search.searches.nonmated_subjects == search.uploaded


def held_out_fpir(world: World, threshold: float, count: int = 4_000) -> float:
    """Share of the searches for enrolled people in which somebody else reaches a threshold."""
    rows = np.concatenate(list(world.held.values())).astype(np.float64)
    owners = np.repeat(np.arange(len(world.held)), [len(held) for held in world.held.values()])
    people = world.rng.integers(0, len(world.held), count)
    probes = unit(world.centres[people] + 0.9 * unit(world.rng.standard_normal((count, D))))
    gaps = np.sqrt(np.maximum(0, 2 - 2 * probes.astype(np.float64) @ rows.T))
    gaps[people[:, None] == owners[None, :]] = D_MAX
    return float((1 - gaps.min(axis=1) / D_MAX >= threshold).mean())


def test_who_confirms_right_answers_only_makes_no_threshold_looser(tmp_path: Path) -> None:
    """Photos are poor, so that in many searches somebody else is nearest: nobody confirms those."""
    with Gallery.open(tmp_path / "g.db", CONTRACT) as gallery:
        world = World(gallery, 9, 120, templates=1)
        confirmed: list[float] = []
        missed = 0
        for number in range(120):
            for probe in world.photos(number, 4, spread=0.9):
                said = world.told(probe)
                if said.subject_id == f"s{number}":
                    give_feedback(gallery, said, most=MANY)
                    assert said.other_similarity is not None
                    confirmed.append(said.other_similarity)
                else:
                    missed += 1
        assert missed > len(confirmed) / 4
        plain = calibrated(search_itself(gallery), fpirs=TARGET_FPIRS[:1]).points[0]
        search = world.search()
        with_it = calibrated(search, fpirs=TARGET_FPIRS[:1]).points[0]
        naive = threshold_at(np.array(confirmed), 0.1)
        assert naive is not None
        # What was confirmed, taken as it comes, lets far more through than the tenth stated.
        assert held_out_fpir(world, naive) > 0.2
        assert search.feedback > len(confirmed) / 2
        assert with_it.threshold == pytest.approx(plain.threshold, abs=0.01)
        assert 0.08 < held_out_fpir(world, with_it.threshold) < 0.12
