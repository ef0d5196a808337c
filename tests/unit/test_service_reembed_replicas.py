"""Replicas on one PostgreSQL: what one has switched, the others serve with their next answer."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.conftest import Api, ApiMaker, check_problem
from tests.reembedded import ANN, BOB, CY, NEXT, OLD, PATH, WAIT_S


@pytest.fixture
def one(make_api: ApiMaker, postgres_dsn: str, next_bundle: Path) -> Api:
    """The replica that embeds anew: Ann is enrolled, and staged by the next bundle."""
    api = make_api(gallery=postgres_dsn, further_bundle_paths=str(next_bundle))
    assert api.enroll(ANN, subject_id="ann", store_image="crop").status_code == 201
    job = api.post(PATH, json={"bundle": "next"}).json()["job"]
    assert api.runtime.jobs.wait(job["id"], timeout_s=WAIT_S).status == "succeeded"
    return api


@pytest.fixture
def other(one: Api, make_api: ApiMaker, postgres_dsn: str, next_bundle: Path) -> Api:
    return make_api(gallery=postgres_dsn, further_bundle_paths=str(next_bundle))


def answered(answer: httpx.Response) -> tuple[str, str | None, float]:
    """The bundle that answered an identification, who it was, and how similar."""
    assert answer.status_code == 200, answer.text
    (face,) = answer.json()["faces"]
    who = face["subject"]["id"] if face["subject"] else None
    return answer.json()["bundle"]["id"], who, pytest.approx(face["similarity"], abs=1e-6)


def change(api: Api, name: str) -> None:
    answer = api.post(f"{PATH}/{name}")
    assert answer.status_code == 200, answer.text


def test_a_switch_and_the_way_back_are_seen_by_the_other_replica(one: Api, other: Api) -> None:
    assert answered(other.identify(ANN)) == (OLD, "ann", 1.0)
    assert other.get(PATH).json()["state"] == "ready"
    # What a job has compared is known where it ran.
    assert one.get(PATH).json()["comparison"] is not None
    assert other.get(PATH).json()["comparison"] is None
    change(one, "switch")
    assert other.get("/readyz").json()["bundle"]["id"] == NEXT
    assert answered(other.identify(ANN)) == (NEXT, "ann", 1.0)
    assert answered(other.identify(ANN, collection="default")) == (NEXT, "ann", 1.0)
    stored = other.enroll(BOB, subject_id="bob", store_image="crop")
    assert (stored.status_code, stored.json()["bundle"]["id"]) == (201, NEXT)
    assert answered(one.identify(BOB)) == (NEXT, "bob", 1.0)
    change(other, "rollback")
    assert [answered(one.identify(photo)) for photo in (ANN, BOB)] == [
        (OLD, "ann", 1.0),
        (OLD, "bob", 1.0),
    ]
    assert one.delete("/v1/subjects/ann").status_code == 204
    assert answered(other.identify(ANN))[1] is None


def test_an_enrolment_under_way_there_is_stored_by_the_new_bundle(one: Api, other: Api) -> None:
    other.detector.entered.clear()
    other.detector.gate.clear()

    async def story() -> list[httpx.Response]:
        bob = {"data": {"subject_id": "bob"}, "files": [("images", ("bob.png", BOB))]}
        calls = [
            asyncio.create_task(other.http.post("/v1/enroll", **bob)),
            asyncio.create_task(other.http.post("/v1/identify", files={"image": ("ann.png", ANN)})),
        ]
        assert await asyncio.to_thread(other.detector.entered.wait, WAIT_S)
        await asyncio.to_thread(change, one, "switch")
        other.detector.gate.set()
        return [await call for call in calls]

    enrolled, identified = other.run(story())
    assert (enrolled.status_code, enrolled.json()["bundle"]["id"]) == (201, NEXT)
    assert answered(identified) == (NEXT, "ann", 1.0)
    assert answered(one.identify(BOB)) == (NEXT, "bob", 1.0)


def test_a_replica_without_the_bundle_says_so_until_it_is_gone_back_from(
    one: Api, make_api: ApiMaker, postgres_dsn: str
) -> None:
    alone = make_api(gallery=postgres_dsn)
    assert answered(alone.identify(ANN)) == (OLD, "ann", 1.0)
    change(one, "switch")
    for answer in (
        alone.identify(ANN),
        alone.enroll(CY, subject_id="cy"),
        alone.get("/v1/subjects"),
        alone.get("/readyz"),
    ):
        check_problem(answer, 409, "bundle_mismatch")
    (listed,) = alone.get("/v1/collections").json()["collections"]
    assert (listed["bundle"], listed["default"]) == (None, True)
    change(one, "rollback")
    assert answered(alone.identify(ANN)) == (OLD, "ann", 1.0)
    assert alone.get("/readyz").status_code == 200


def test_a_collection_that_was_removed_and_made_anew_elsewhere_is_another(
    one: Api, other: Api
) -> None:
    for api in (one, other):
        assert api.post("/v1/collections", json={"id": "staff"}).status_code in (201, 409)
    one.enroll(ANN, subject_id="ann", collection="staff")
    assert answered(other.identify(ANN, collection="staff"))[1] == "ann"
    assert one.delete("/v1/collections/staff").status_code == 204
    check_problem(other.identify(ANN, collection="staff"), 404, "collection_not_found")
    assert one.post("/v1/collections", json={"id": "staff", "bundle": "next"}).status_code == 201
    answer = other.identify(ANN, collection="staff").json()
    assert (answer["bundle"]["id"], answer["faces"][0]["candidates"]) == (NEXT, [])
