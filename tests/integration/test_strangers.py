"""Real photos, real detector, the shipped bundle: enrolled people are named, strangers are not.

The same measurement as `make proof-strangers`.
"""

import sys
from pathlib import Path

import pytest

from benchmarks.lfw_people import LfwPeople, trained_names
from benchmarks.strangers import ENROLLED, STRANGERS, measure, passed, report
from training.evaluation.lfw import person_key


def test_strangers_are_unknown_and_enrolled_people_are_named(
    lfw_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = measure(lfw_root, tmp_path / "gallery.sqlite3")
    with capsys.disabled():
        sys.stdout.write(f"\n{report(outcome)[-1]}\n")
    assert outcome.photos == 3 * ENROLLED + STRANGERS
    assert outcome.strangers_matched + outcome.strangers_unknown == STRANGERS
    assert outcome.named_rightly + outcome.named_wrongly + outcome.enrolled_unknown == ENROLLED
    assert outcome.threshold["source"] == "default"
    assert outcome.threshold["gallery_subjects"] == ENROLLED - outcome.without_template
    assert outcome.named_rightly > outcome.named_wrongly, "Knows nobody: refusing all is no art."
    assert passed(outcome), report(outcome)[-1]


def test_the_cast_is_chosen_by_seed_and_by_name(lfw_root: Path) -> None:
    names = trained_names(lfw_root)
    with LfwPeople(lfw_root) as people:
        chosen = {
            seed: people.cast(enrolled=ENROLLED, strangers=STRANGERS, seed=seed, without=names)
            for seed in (0, 1)
        }
        again = people.cast(enrolled=ENROLLED, strangers=STRANGERS, seed=0, without=names)
    assert again == chosen[0] != chosen[1]
    for cast in chosen.values():
        assert (len(cast.enrolled), len(cast.strangers)) == (ENROLLED, STRANGERS)
        assert cast.enrolled.keys() == cast.probes.keys()
        assert not cast.enrolled.keys() & cast.strangers.keys()
        assert not {person_key(p) for p in [*cast.enrolled, *cast.strangers]} & names
        for person, photos in cast.enrolled.items():
            assert len({*photos, cast.probes[person]}) == 3
            assert all(f"/{person}/" in photo for photo in (*photos, cast.probes[person]))
