"""The health report by `oneglance gallery health` and by HTTP, and delete-template beside it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from service import cli
from service.routes.health_reports import KIND
from tests.conftest import Api, ApiMaker, check_problem

SIZE = 64
CONTRACT = EmbeddingContract(id="test:health", size=SIZE, d_max=2.0)

Run = Callable[..., list[str]]


def photos(person: int, count: int) -> np.ndarray:
    """float32 (count, SIZE), of length 1: the person's direction and some noise."""
    face = np.random.default_rng(person).normal(size=SIZE)
    noise = np.random.default_rng(1_000 * person + count).normal(size=(count, SIZE)) / 3
    rows = face / np.linalg.norm(face) + noise / np.sqrt(SIZE)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def fill(gallery: Gallery) -> dict[str, tuple[str, ...]]:
    """30 people without a fault, and ann, twin, dee, eve and fay; these ones' template ids."""
    for person in range(30):
        gallery.enroll(photos(person, 2), subject_id=f"s{person}")
    planted = {
        "ann": photos(100, 3),
        # Somebody's second id.
        "twin": photos(5, 1),
        # A photo of somebody else, who is enrolled.
        "dee": np.concatenate([photos(101, 2), photos(7, 1)]),
        # A photo of a stranger.
        "eve": np.concatenate([photos(102, 3), photos(103, 1)]),
        # Two photos of two people.
        "fay": np.concatenate([photos(104, 1), photos(105, 1)]),
    }
    return {
        name: gallery.enroll(rows, subject_id=name).template_ids for name, rows in planted.items()
    }


@pytest.fixture
def oneglance(no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; the lines of its answer, or the one line of its refusal."""

    def run(*words: object, fails: bool = False) -> list[str]:
        status = cli.main(["gallery", *map(str, words)])
        said = capsys.readouterr()
        assert status == int(fails), said.err
        return (said.err if fails else said.out).splitlines()

    return run


@pytest.fixture
def faulty(gallery_location: Path | str) -> dict[str, tuple[str, ...]]:
    """A gallery with a fault of each kind at `gallery_location`; nobody has it open."""
    with Gallery.open(gallery_location, CONTRACT) as gallery:
        return fill(gallery)


def test_health_says_what_is_wrong_and_what_to_do(
    oneglance: Run,
    faulty: dict[str, tuple[str, ...]],
    gallery_location: Path | str,
    no_settings: pytest.MonkeyPatch,
) -> None:
    no_settings.setenv("ONEGLANCE_GALLERY", str(gallery_location))
    said = oneglance("health")
    assert said[0] == "35 subjects with 73 templates, 1 of them with one, at revision 35"
    assert said[1] == "subjects that are probably one: 1"
    assert said[2].startswith("  s5 and twin: similarity 0.")
    assert "2 of 2 and 1 of 1 templates have the other nearest" in said[2]
    assert said[2].endswith("if so: oneglance gallery merge twin --into s5")
    assert said[3] == "templates that look like another subject: 1"
    wrong = faulty["dee"][2]
    assert said[4].startswith(f"  {wrong} of dee: like s7 (similarity 0.")
    assert said[4].endswith(f"if so: oneglance gallery delete-template {wrong}")
    assert said[5] == "templates that are like nobody: 2"
    assert {line.split(":")[0] for line in said[6:]} == {
        f"  {faulty['eve'][3]} of eve",
        f"  {faulty['fay'][0]} or {faulty['fay'][1]} of fay",
    }
    (eve,) = (line for line in said if "of eve" in line)
    assert "a bad photo or somebody else" in eve
    (fay,) = (line for line in said if "of fay" in line)
    assert "one or more is wrong, which cannot be told" in fay


def test_what_it_proposes_to_do_leaves_a_gallery_without_a_report(
    oneglance: Run,
    faulty: dict[str, tuple[str, ...]],
    gallery_location: Path | str,
    no_settings: pytest.MonkeyPatch,
) -> None:
    no_settings.setenv("ONEGLANCE_GALLERY", str(gallery_location))
    oneglance("merge", "twin", "--into", "s5", "--yes")
    for template_id in (faulty["dee"][2], faulty["eve"][3], faulty["fay"][0]):
        assert oneglance("delete-template", template_id, "--yes") == [
            f"removed the template {template_id}"
        ]
    assert oneglance("health") == [
        "34 subjects with 70 templates, 1 of them with one, at revision 39",
        "subjects that are probably one: 0",
        "templates that look like another subject: 0",
        "templates that are like nobody: 0",
    ]


def test_health_as_json(
    oneglance: Run,
    faulty: dict[str, tuple[str, ...]],
    gallery_location: Path | str,
) -> None:
    (line,) = oneglance("health", "--json", "--gallery", gallery_location)
    report = json.loads(line)
    check_report(report, faulty)


def check_report(report: dict[str, Any], faulty: dict[str, tuple[str, ...]]) -> None:
    assert (report["subject_count"], report["template_count"], report["gallery_revision"]) == (
        35,
        73,
        35,
    )
    assert report["too_little"] is None
    (pair,) = report["duplicates"]
    assert pair["first"] == {"subject_id": "s5", "template_count": 2, "nearest_count": 2}
    assert pair["second"] == {"subject_id": "twin", "template_count": 1, "nearest_count": 1}
    (wrong,) = report["mislabelled"]
    assert (wrong["template_id"], wrong["subject_id"], wrong["looks_like"]) == (
        faulty["dee"][2],
        "dee",
        "s7",
    )
    assert 0 < wrong["own_similarity"] < wrong["similarity"] < pair["similarity"] < 1
    assert {tuple(each["template_ids"]) for each in report["outlying"]} == {
        (faulty["eve"][3],),
        faulty["fay"],
    }


@pytest.mark.usefixtures("faulty")
def test_the_proposals_name_the_gallery_that_was_named(
    oneglance: Run, gallery_location: Path | str
) -> None:
    said = oneglance("health", "--gallery", gallery_location, "--collection", "default")
    shown = gallery_location if isinstance(gallery_location, Path) else "LOCATION"
    assert said[2].endswith(
        f"oneglance gallery merge --gallery {shown} --collection default twin --into s5"
    )


@pytest.mark.usefixtures("faulty")
def test_a_larger_gallery_than_allowed_is_refused(
    oneglance: Run, gallery_location: Path | str
) -> None:
    where = ("--gallery", gallery_location)
    (line,) = oneglance("health", *where, "--max-health-report-templates", 72, fails=True)
    assert "has 73 templates" in line
    assert "--max-health-report-templates" in line
    assert len(oneglance("health", *where, "--max-health-report-templates", 73)) == 8


def test_too_few_subjects_in_words(oneglance: Run, gallery_location: Path | str) -> None:
    with Gallery.open(gallery_location, CONTRACT) as gallery:
        gallery.enroll(photos(0, 2), subject_id="only")
    said = oneglance("health", "--gallery", gallery_location)
    assert len(said) == 2
    assert said[1].startswith("The collection has 1 subjects")


def test_delete_template_asks_and_refuses(
    oneglance: Run, faulty: dict[str, tuple[str, ...]], gallery_location: Path | str
) -> None:
    where = ("--gallery", gallery_location)
    name = faulty["ann"][0]
    (line,) = oneglance("delete-template", *where, name, fails=True)
    assert f"Remove the template '{name}'? This cannot be undone: agree by --yes." in line
    oneglance("delete-template", *where, name, "--yes")
    with Gallery.open(gallery_location) as gallery:
        assert [template.id for template in gallery.templates("ann")] == list(faulty["ann"][1:])
    (line,) = oneglance("delete-template", *where, name, "--yes", fails=True)
    assert f"no template '{name}'" in line


def test_the_service_reports_in_the_background(api: Api) -> None:
    faulty = fill(api.runtime.default.gallery)
    answer = api.post("/v1/collections/default/health-reports")
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    assert job["kind"] == KIND
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert api.runtime.jobs.wait(job["id"], timeout_s=30).ended
    ended = api.get(f"/v1/jobs/{job['id']}").json()
    assert (ended["status"], ended["progress"], ended["error"]) == ("succeeded", 1.0, None)
    check_report(ended["result"], faulty)


def test_another_collection_is_not_served(api: Api) -> None:
    check_problem(api.post("/v1/collections/other/health-reports"), 404, "collection_not_found")


def test_a_gallery_that_is_too_large_fails_the_job_in_words(make_api: ApiMaker) -> None:
    api = make_api(max_health_report_templates=72)
    fill(api.runtime.default.gallery)
    job = api.post("/v1/collections/default/health-reports").json()["job"]
    api.runtime.jobs.wait(job["id"], timeout_s=30)
    failed = api.get(f"/v1/jobs/{job['id']}").json()
    assert failed["status"] == "failed"
    assert (failed["error"]["status"], failed["error"]["code"]) == (422, "gallery_too_large")
    assert "73 templates" in failed["error"]["detail"]
