"""Re-embedding over HTTP while others enrol, identify and stop the service: nobody is lost."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from service import reembedding_run
from service.collections import Collections
from service.embedder import TorchScriptEmbedder
from service.recognizer import Timing
from tests.conftest import Api, ApiMaker, Face, check_problem, face_photo
from tests.reembedded import (
    ANN,
    BOB,
    CY,
    NEXT,
    OLD,
    PATH,
    WAIT_S,
    ended,
    enrol,
    found,
    reembed,
    start,
    state,
    step,
)


def enrol_here(api: Api, photo: bytes, subject_id: str) -> None:
    """In the thread that calls, by the bundle of the moment."""
    served = api.runtime.default
    pixels, faces = served.bundle.recognizer.detect(photo, Timing())
    (face,) = served.bundle.recognizer.embed(pixels, faces, Timing())
    crop = served.bundle.recognizer.stored_crop(face)
    served.gallery.enroll(face.embedding[None], subject_id=subject_id, crops=[crop])


class Gate:
    """Holds the thread of the jobs in an embedder, after `free` calls of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        self.held, self.open = threading.Event(), threading.Event()
        self._left = free
        real = TorchScriptEmbedder.embed

        def embed(embedder: TorchScriptEmbedder, crops: Any) -> Any:
            if threading.current_thread().name == "jobs":
                if self._left == 0:
                    self.held.set()
                    assert self.open.wait(WAIT_S)
                else:
                    self._left -= 1
            return real(embedder, crops)

        monkeypatch.setattr(TorchScriptEmbedder, "embed", embed)


def test_a_job_that_was_stopped_goes_on_when_it_is_sent_again(
    make_api: ApiMaker, two_bundles: Api, next_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(7):
        enrol(two_bundles, face_photo(seed), f"s{seed}")
    monkeypatch.setattr("service.reembedding._BATCH", 2)
    with monkeypatch.context() as patch:
        gate = Gate(patch, free=2)
        job_id = start(two_bundles)
        assert gate.held.wait(WAIT_S)
        closing = threading.Thread(target=two_bundles.runtime.jobs.close)
        closing.start()
        while not two_bundles.runtime.jobs._closing.is_set():
            pass
        gate.open.set()
        closing.join(WAIT_S)
    job = two_bundles.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]["code"]) == ("failed", "job_cancelled")
    two_bundles.runtime.close()
    again = make_api(further_bundle_paths=str(next_bundle))
    shown = state(again)
    # Three batches of two were staged when the thread heard that it should stop.
    assert (shown["state"], shown["staged_count"], shown["missing_count"]) == ("under_way", 6, 1)
    assert reembed(again)["outcomes"] == {"embedded": 1}
    step(again, "switch")
    assert [found(again, face_photo(seed))[1] for seed in range(7)] == [f"s{n}" for n in range(7)]


def test_who_is_enrolled_while_the_job_runs_is_not_lost(
    two_bundles: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(two_bundles, ANN, "ann")
    gate = Gate(monkeypatch, free=0)
    job_id = start(two_bundles)
    assert gate.held.wait(WAIT_S)
    enrol(two_bundles, BOB, "bob")
    assert found(two_bundles, BOB)[:2] == (OLD, "bob")
    refused = two_bundles.post(PATH, json={"bundle": "next"})
    assert "under way" in check_problem(refused, 503, "overloaded")["detail"]
    gate.open.set()
    assert ended(two_bundles, job_id)["result"]["outcomes"]["embedded"] == 2
    step(two_bundles, "switch")
    assert [found(two_bundles, photo)[:2] for photo in (ANN, BOB)] == [(NEXT, "ann"), (NEXT, "bob")]


def test_an_abandoned_job_ends_in_words(two_bundles: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(two_bundles, ANN, "ann")
    gate = Gate(monkeypatch, free=0)
    job_id = start(two_bundles)
    assert gate.held.wait(WAIT_S)
    assert two_bundles.delete(PATH).status_code == 204
    gate.open.set()
    error = ended(two_bundles, job_id)["error"]
    assert (error["status"], error["code"]) == (409, "reembedding_ended")
    assert state(two_bundles)["state"] == "none"


def test_who_comes_in_between_the_job_and_the_switch_is_embedded(two_bundles: Api) -> None:
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    enrol(two_bundles, BOB, "bob")
    assert state(two_bundles)["missing_count"] == 1
    step(two_bundles, "switch")
    enrol(two_bundles, CY, "cy")
    assert [found(two_bundles, photo)[1] for photo in (ANN, BOB, CY)] == ["ann", "bob", "cy"]
    # And so on the way back.
    step(two_bundles, "rollback")
    assert [found(two_bundles, p)[:2] for p in (ANN, BOB, CY)] == [
        (OLD, "ann"),
        (OLD, "bob"),
        (OLD, "cy"),
    ]
    two_bundles.runtime.default.gallery.verify()


@pytest.mark.parametrize("score", ["best", "mean"])
def test_who_comes_in_at_the_moment_of_the_switch_is_embedded(
    make_api: ApiMaker, next_bundle: Path, monkeypatch: pytest.MonkeyPatch, score: str
) -> None:
    api = make_api(further_bundle_paths=str(next_bundle), subject_score=score)
    enrol(api, ANN, "ann")
    reembed(api)
    real, late = Collections.change_over, [(BOB, "bob"), (CY, "cy")]

    def change_over(self: Collections, *given: Any) -> Any:
        # After the catching up, before the write.
        enrol_here(api, *late.pop())
        enrol_here(api, face_photo(Face(1, noise=len(late) + 5)), "ann")
        return real(self, *given)

    monkeypatch.setattr(Collections, "change_over", change_over)
    step(api, "switch")
    assert [found(api, p)[:2] for p in (ANN, CY)] == [(NEXT, "ann"), (NEXT, "cy")]
    api.runtime.default.gallery.verify()
    step(api, "rollback")
    assert [found(api, p)[:2] for p in (ANN, BOB, CY)] == [
        (OLD, "ann"),
        (OLD, "bob"),
        (OLD, "cy"),
    ]
    api.runtime.default.gallery.verify()


def test_too_many_who_came_in_are_embedded_a_part_at_a_time(
    two_bundles: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reembedding_run, "LATE_MOST", 2)
    monkeypatch.setattr("index.reembedding._PAGE_TEMPLATES", 2)
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    for seed in range(10, 14):
        enrol(two_bundles, face_photo(seed), f"s{seed}")
    problem = check_problem(two_bundles.post(f"{PATH}/switch"), 409, "reembedding_conflict")
    assert "Send the same again" in problem["detail"]
    assert found(two_bundles, ANN)[0] == OLD
    step(two_bundles, "switch")
    assert found(two_bundles, face_photo(13))[:2] == (NEXT, "s13")


async def entered(api: Api) -> None:
    """Wait until a request stands before the detector's gate."""
    assert await asyncio.to_thread(api.detector.entered.wait, WAIT_S)
    api.detector.entered.clear()


@pytest.mark.parametrize("where", ["file", "postgres"])
def test_a_request_under_way_ends_by_one_bundle_and_an_enrolment_by_the_new(
    request: pytest.FixtureRequest,
    make_api: ApiMaker,
    next_bundle: Path,
    tmp_path: Path,
    where: str,
) -> None:
    """Embedded by the old bundle, it must never be searched for or stored among the new."""
    dsn = request.getfixturevalue("postgres_dsn") if where == "postgres" else None
    api = make_api(
        further_bundle_paths=str(next_bundle),
        worker_threads=4,
        gallery=dsn or str(tmp_path / "g.sqlite3"),
    )
    enrol(api, ANN, "ann")
    reembed(api)
    api.detector.entered.clear()
    api.detector.gate.clear()

    async def story() -> tuple[httpx.Response, httpx.Response]:
        photo = ("photo.png", ANN)
        finding = asyncio.create_task(api.http.post("/v1/identify", files={"image": photo}))
        await entered(api)
        form = {"subject_id": "bob", "store_image": "crop"}
        files = [("images", ("bob.png", BOB))]
        enrolling = asyncio.create_task(api.http.post("/v1/enroll", data=form, files=files))
        await entered(api)
        switched = await api.http.post(f"{PATH}/switch")
        assert switched.status_code == 200, switched.text
        api.detector.gate.set()
        return await finding, await enrolling

    identified, enrolled = api.run(story())
    assert identified.status_code == 200, identified.text
    assert identified.json()["faces"][0]["subject"]["id"] == "ann"
    # A file's search ends on what it began with; PostgreSQL's is done again.
    assert identified.json()["bundle"]["id"] == (OLD if where == "file" else NEXT)
    assert identified.json()["faces"][0]["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert enrolled.status_code == 201, enrolled.text
    assert enrolled.json()["bundle"]["id"] == NEXT
    assert found(api, BOB) == (NEXT, "bob", pytest.approx(1.0, abs=1e-6))
    api.runtime.default.gallery.verify()


def test_nobody_is_lost_among_switches_and_ways_back(two_bundles_anywhere: Api) -> None:
    """Enrolments all the time, photos embedded by whichever bundle is the present one."""
    api = two_bundles_anywhere
    enrol(api, ANN, "ann")
    reembed(api)
    enrolled: list[int] = []
    faults: list[str] = []

    async def enrol_on(over: asyncio.Event) -> None:
        while not over.is_set() or not enrolled:
            seed = 100 + len(enrolled)
            form = {"subject_id": f"s{seed}", "store_image": "crop"}
            files = [("images", ("photo.png", face_photo(seed)))]
            answer = await api.http.post("/v1/enroll", data=form, files=files)
            if answer.status_code == 503:
                # Switched again and again in the meantime: it is to be sent again.
                check_problem(answer, 503, "bundle_switched")
                assert answer.headers["retry-after"]
                continue
            enrolled.append(seed)
            if answer.status_code != 201:
                faults.append(answer.text)

    async def story() -> None:
        over = asyncio.Event()
        enrolling = asyncio.create_task(enrol_on(over))
        for name in (*("switch", "rollback") * 4, "switch"):
            answer = await api.http.post(f"{PATH}/{name}")
            if answer.status_code != 200:
                faults.append(answer.text)
        over.set()
        await enrolling

    api.run(story())
    assert faults == []
    assert enrolled
    for seed in enrolled:
        bundle, who, similarity = found(api, face_photo(seed))
        assert (bundle, who) == (NEXT, f"s{seed}")
        assert similarity == pytest.approx(1.0, abs=1e-6)
    api.runtime.default.gallery.verify()
