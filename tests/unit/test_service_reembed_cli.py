"""`oneglance collections reembed`: what it asks the real application, and says."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import service.client
from benchmarks.asgi import AsgiTransport
from service import cli
from service.client import Client
from tests.conftest import Api, ApiMaker, BundleMaker, Face, face_photo

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def both(make_api: ApiMaker, make_bundle: BundleMaker) -> Api:
    """The service with two bundles, and Ann and Bob with two photos each, Cy without a crop."""
    further = make_bundle(drift=2e5, name="next")
    api = make_api(further_bundle_paths=str(further))
    for seed, name in ((1, "ann"), (2, "bob")):
        photos = (face_photo(seed), face_photo(Face(seed, noise=10)))
        assert api.enroll(*photos, subject_id=name, store_image="crop").status_code == 201
    assert api.enroll(face_photo(3), subject_id="cy").status_code == 201
    return api


@pytest.fixture
def run(both: Api, no_settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command on `default`: status, lines of the answer, what it said on stderr."""
    transport = AsgiTransport(both)
    no_settings.setattr(service.client, "Client", partial(Client, transport=transport))

    def reembed(*words: str, collection: str = "default") -> tuple[int, list[str], str]:
        status = cli.main(["collections", "reembed", collection, *words])
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return reembed


def test_there_and_back(run: Run) -> None:
    assert run() == (0, ["5 templates are searched, by tiny@1.2.3"], "")
    status, said, _ = run("--bundle", "next")
    assert (status, said) == (
        0,
        [
            "4 embedded, 1 no_crop",
            "on the way from tiny@1.2.3 to next@1.2.3: under way",
            "5 templates are searched, 4 are embedded anew, 1 of those searched are not; "
            "subjects without a new one: 1",
            "nearest other template is of the same subject: 100.0% now (of 4 templates), 100.0% "
            "with the new ones (of 4), 2 subjects",
        ],
    )
    status, said, words = run("--switch")
    assert (status, said) == (1, [])
    assert "'cy'" in words
    assert "templates_missing" in words
    status, said, _ = run("--switch", "--allow-missing")
    assert (status, said) == (
        0,
        [
            "4 templates are searched, by next@1.2.3",
            "--rollback goes back to tiny@1.2.3 with 5 templates",
        ],
    )
    status, said, _ = run("--rollback")
    assert (status, said[0]) == (0, "on the way from tiny@1.2.3 to next@1.2.3: under way")


def test_both_at_once(run: Run, both: Api) -> None:
    assert both.delete("/v1/subjects/cy").status_code == 204
    status, said, _ = run("--bundle", "next", "--switch")
    assert (status, said[0]) == (0, "4 embedded")
    assert said[-2] == "4 templates are searched, by next@1.2.3"


def test_what_cannot_be_undone_asks(run: Run) -> None:
    run("--bundle", "next", "--switch", "--allow-missing")
    assert "agree by --yes" in run("--drop-former")[2]
    assert run("--drop-former", "--yes")[:2] == (0, ["4 templates are searched, by next@1.2.3"])
    assert "no former embeddings" in run("--rollback")[2]
    assert "agree by --yes" in run("--abandon")[2]
    assert run("--abandon", "--yes")[0] == 0


def test_json(run: Run) -> None:
    def shown(*words: str) -> list[dict[str, Any]]:
        status, said, _ = run(*words, "--json")
        assert status == 0
        return [json.loads(line) for line in said]

    made, switched = shown("--bundle", "next", "--switch", "--allow-missing")
    assert made["outcomes"] == {"embedded": 4, "no_crop": 1}
    assert made["reembedding"]["missing_subjects"] == ["cy"]
    assert (switched["state"], switched["bundle"]["id"]) == ("none", "next@1.2.3")
    (dropped,) = shown("--drop-former", "--yes")
    assert dropped["former"] is None


def test_refusals(run: Run) -> None:
    assert "embed, alone or with --switch" in run("--bundle", "next", "--rollback")[2]
    assert "bundle_not_found" in run("--bundle", "none")[2]
    assert "collection_not_found" in run(collection="staff")[2]
    assert "is not being re-embedded" in run("--switch")[2]
