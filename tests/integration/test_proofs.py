"""The proofs can fail: what they count and compare, on cases where the answer is known."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import lfw, pictures
from benchmarks.bad_input import Seen
from benchmarks.lfw_people import DataMissingError, LfwPeople, trained_names
from benchmarks.strangers import Outcome, from_middle, passed, report
from contract.bundle import load_bundle
from contract.manifest import Manifest, Metric

SHOWN = {"value": 0.7, "source": "request", "evidence": None}


def test_a_manifest_that_says_something_else_is_seen(tiny_bundle: Path) -> None:
    manifest = load_bundle(tiny_bundle).manifest
    assert "no lfw_accuracy" in (lfw.disagreement(manifest, 0.9) or "")

    def saying(value: float) -> Manifest:
        metric = Metric(name="lfw_accuracy", value=value, data="x", protocol="x", command="x")
        return manifest.model_copy(update={"metrics": [metric]})

    assert lfw.disagreement(saying(0.9), 0.9019) is None
    assert "0.9000" in (lfw.disagreement(saying(0.9), 0.9021) or "")
    assert lfw.disagreement(saying(0.9), float("nan")) is not None


def test_a_missing_pack_names_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lfw.main(["--pack", str(tmp_path / "lfw")]) == 1
    assert "make pack-lfw" in capsys.readouterr().err


@pytest.mark.parametrize(("matched", "holds"), [(0, True), (2, True), (3, False), (50, False)])
def test_the_bar_on_strangers_is_below_five_percent(matched: int, holds: bool) -> None:
    outcome = Outcome(strangers_matched=matched, strangers_unknown=50 - matched, threshold=SHOWN)
    assert passed(outcome) is holds
    assert f"match: {matched} of 50" in report(outcome)[-1]


def test_a_service_that_decides_nothing_does_not_pass() -> None:
    outcome = Outcome(strangers_unknown=50, threshold=SHOWN)
    outcome.verdicts["not_evaluated"] = 1
    assert not passed(outcome)


def test_the_judged_face_is_the_one_in_the_middle() -> None:
    large = {"bbox": {"x": 0, "y": 0, "width": 120, "height": 120}}
    central = {"bbox": {"x": 100, "y": 90, "width": 40, "height": 50}}
    assert min([large, central], key=from_middle) is central


@pytest.mark.parametrize(
    ("seen", "holds"),
    [
        (Seen("x", 422, "c", "", 1.9, 199), True),
        (Seen("x", 201, "c", "", 0.1, 0), False),
        (Seen("x", 500, "c", "", 0.1, 0), False),
        (Seen("x", 422, "c", "", 2.1, 0), False),
        (Seen("x", 422, "c", "", 0.1, 201), False),
    ],
)
def test_a_bad_input_is_held_by_status_time_and_memory(seen: Seen, holds: bool) -> None:
    assert seen.held is holds


def test_missing_data_is_said_in_words(tmp_path: Path) -> None:
    assert trained_names(tmp_path) == frozenset()
    with pytest.raises(DataMissingError, match="ONEGLANCE_DATA_ROOT"):
        LfwPeople(tmp_path)


def test_the_cast_is_chosen_by_seed_and_nobody_in_it_is_in_training(tmp_path: Path) -> None:
    people = [f"Person_{chr(65 + i)}_{chr(65 + j)}" for i in range(10) for j in range(10)]
    with zipfile.ZipFile(tmp_path / "lfw-view2.zip", "w") as archive:
        for number, name in enumerate(people):
            for photo in range(1, 2 + number % 4):
                archive.writestr(f"lfw/{name}/{name}_{photo:04d}.jpg", name)
    with zipfile.ZipFile(tmp_path / "faces-train.zip", "w") as archive:
        for name in ("pubfig/PERSON A-D", "glint/person_b_d", "celeba/00001"):
            archive.writestr(f"{name}/1.webp", "")
    names = trained_names(tmp_path)
    assert names == {"personad", "personbd"}
    with LfwPeople(tmp_path) as lfw_people:
        chosen, other, again = (
            lfw_people.cast(enrolled=20, strangers=50, seed=seed, without=names)
            for seed in (0, 1, 0)
        )
        # 25 people have one photo only, and two of the 48 with three or more are in training.
        everyone = lfw_people.cast(enrolled=48, strangers=50, seed=0, without=names)
        with pytest.raises(DataMissingError, match="too few"):
            lfw_people.cast(enrolled=48, strangers=51, seed=0, without=names)
        assert lfw_people.read(chosen.probes[min(chosen.probes)]).decode() == min(chosen.probes)
    assert again == chosen != other
    for cast in (chosen, other, everyone):
        assert cast.enrolled.keys() == cast.probes.keys()
        assert not cast.enrolled.keys() & cast.strangers.keys()
        assert not {"Person_A_D", "Person_B_D"} & {*cast.enrolled, *cast.strangers}
        for person, photos in cast.enrolled.items():
            assert len({*photos, cast.probes[person]}) == 3
            assert all(f"/{person}/" in photo for photo in (*photos, cast.probes[person]))


def test_the_huge_png_is_a_valid_one() -> None:
    """A smaller sister of the same maker can be decoded whole."""
    with Image.open(io.BytesIO(pictures.huge_png(301))) as image:
        assert image.size == (301, 301)
        assert not np.asarray(image).any()
