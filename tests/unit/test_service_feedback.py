"""Feedback over the API: on answers of this service and another one, kept, and calibrated with."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.asgi import AsgiTransport
from contract.calibration.searches import threshold_at
from index.calibrating import search_itself
from service.calibration import keep, measure, stored_calibration
from service.calibration_record import CollectionCalibration
from service.client import ApiError, Client
from service.receipt import contract_digest, decoded, encoded
from service.recognizer import Timing
from tests.conftest import (
    NO_FACE,
    Api,
    ApiMaker,
    Face,
    check_problem,
    face_photo,
)
from tests.unit.test_index_told_searches import untold

PATH = "/v1/feedback"
CALIBRATIONS = "/v1/collections/default/calibrations"
WAIT_S = 60.0


# Of float32: templates are stored turned by a secret.
NEAR = 1e-6


def enrol(api: Api, *people: int) -> None:
    """The plain face of each seed as the subject s<seed>."""
    for seed in people:
        answer = api.enroll(face_photo(seed), subject_id=f"s{seed}", duplicate_check="off")
        assert answer.status_code == 201, answer.text


def seen(api: Api, photo: bytes, **fields: Any) -> dict[str, Any]:
    (face,) = api.identify(photo, **fields).json()["faces"]
    return dict(face)


def say(api: Api, receipt: Any, verdict: Any = "confirmed", **more: Any) -> httpx.Response:
    return api.post(PATH, json={"receipt": receipt, "verdict": verdict, **more})


def listed(api: Api, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["feedback"])


def similarities(api: Api, photo: bytes) -> dict[str, float]:
    """Of each subject to a photo's face, by a loop over the stored embeddings."""
    recognizer = api.runtime.default.bundle.recognizer
    pixels, faces = recognizer.detect(photo, Timing())
    (probe,) = recognizer.embed(pixels, faces, Timing())
    sql = "SELECT s.id, t.embedding FROM templates t JOIN subjects s ON s.number = t.subject_number"
    found: dict[str, float] = {}
    gallery = api.runtime.default.gallery
    for name, packed in gallery.read(lambda scope: scope.c.execute(sql)):
        stored = np.frombuffer(packed, "<f4")[None]
        row = gallery.shown.of.protection.plain(stored)[0].astype(np.float64)
        gap = np.sqrt(np.square(row - probe.embedding.astype(np.float64)).sum())
        similarity = 1 - gap / api.runtime.default.gallery.contract.d_max
        found[name] = max(found.get(name, 0.0), similarity)
    return found


@pytest.fixture
def people(api: Api) -> Api:
    enrol(api, 1, 2, 3)
    return api


@pytest.mark.parametrize("top_k", [1, 3])
def test_a_right_answer_is_confirmed(people: Api, top_k: int) -> None:
    photo = face_photo(Face(1, noise=20))
    face = seen(people, photo, top_k=top_k)
    said = say(people, face["receipt"])
    assert said.status_code == 201, said.text
    true = similarities(people, photo)
    body = said.json()
    assert body == {
        "id": decoded(face["receipt"]).id,
        "collection": "default",
        "verdict": "confirmed",
        "answered": "match",
        "subject_id": "s1",
        "similarity": face["similarity"],
        "other_similarity": pytest.approx(max(true["s2"], true["s3"]), abs=NEAR),
        "gallery_revision": 3,
        "searched_at": body["searched_at"],
        "given_at": body["given_at"],
    }
    assert body["similarity"] == pytest.approx(true["s1"], abs=NEAR)
    assert listed(people) == [body]


def test_a_wrong_answer_is_rejected(people: Api) -> None:
    photo = face_photo(50)
    face = seen(people, photo, threshold=0.1)
    body = say(people, face["receipt"], "rejected").json()
    true = similarities(people, photo)
    best = max(true, key=lambda name: true[name])
    assert (body["verdict"], body["answered"], body["subject_id"]) == ("rejected", "match", best)
    assert body["similarity"] == body["other_similarity"] == pytest.approx(true[best], abs=NEAR)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_face_is_told_to_be_anybody_who_is_enrolled(people: Api, place: int) -> None:
    photo = face_photo(Face(2, noise=60))
    face = seen(people, photo, top_k=3, threshold=1)
    assert face["decision"] == "unknown"
    order = [candidate["subject"]["id"] for candidate in face["candidates"]]
    body = say(people, face["receipt"], subject_id=order[place]).json()
    true = similarities(people, photo)
    assert (body["subject_id"], body["answered"]) == (order[place], "unknown")
    # Only of the two best the service knows how similar they are.
    mine = None if place == 2 else pytest.approx(true[order[place]], abs=NEAR)
    assert body["similarity"] == mine
    others = [value for name, value in true.items() if name != order[place]]
    assert body["other_similarity"] == pytest.approx(max(others), abs=NEAR)


def test_the_last_word_on_a_receipt_counts(people: Api) -> None:
    receipt = seen(people, face_photo(1))["receipt"]
    first = say(people, receipt)
    again = say(people, receipt)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    changed = say(people, receipt, "rejected")
    assert (changed.status_code, changed.json()["verdict"]) == (200, "rejected")
    assert listed(people) == [changed.json()]
    assert say(people, receipt, subject_id="s3").json()["subject_id"] == "s3"
    assert people.runtime.default.gallery.revision == 6


def test_each_answer_has_a_receipt_of_its_own(people: Api) -> None:
    photos = [face_photo(1, 2), face_photo(1), NO_FACE]
    files = [("images", (f"{n}.png", photo)) for n, photo in enumerate(photos)]
    answer = people.post("/v1/identify/batch", files=files).json()
    faces = [face for result in answer["results"] for face in result["answer"]["faces"]]
    assert len(faces) == 3
    ids = {say(people, face["receipt"]).json()["id"] for face in faces}
    assert len(ids) == 3
    assert [said["subject_id"] for said in listed(people)] == ["s1", "s2", "s1"]
    assert Counter(said["gallery_revision"] for said in listed(people)) == {3: 3}


def test_where_nobody_is_enrolled_there_is_nothing_to_say(api: Api) -> None:
    assert seen(api, face_photo(1))["receipt"] is None
    enrol(api, 1)
    # Of one subject alone nobody else can be the best.
    body = say(api, seen(api, face_photo(1))["receipt"]).json()
    assert (body["similarity"], body["other_similarity"]) == (1, None)


@pytest.mark.parametrize("fields", [{"mode": "investigate"}, {"min_quality": 1}])
def test_what_was_not_evaluated_can_be_told_of_too(people: Api, fields: dict[str, Any]) -> None:
    body = say(people, seen(people, face_photo(1), **fields)["receipt"], "rejected").json()
    assert (body["answered"], body["subject_id"]) == ("not_evaluated", "s1")


def test_another_replica_and_a_restart_know_the_receipt(people: Api, make_api: ApiMaker) -> None:
    receipt = seen(people, face_photo(1))["receipt"]
    say(people, seen(people, face_photo(2))["receipt"])
    before = listed(people)
    people.runtime.close()
    again = make_api()
    assert listed(again) == before
    assert say(again, receipt).status_code == 201


def test_replicas_share_it(make_api: ApiMaker, postgres_dsn: str) -> None:
    first, second = (make_api(gallery=postgres_dsn) for _ in range(2))
    enrol(first, 1, 2)
    receipt = seen(first, face_photo(1))["receipt"]
    said = say(second, receipt)
    assert said.status_code == 201, said.text
    assert say(first, receipt, "rejected").status_code == 200
    assert [body["verdict"] for body in listed(second)] == ["rejected"]
    assert first.delete(f"{PATH}/{said.json()['id']}").status_code == 204
    check_problem(second.delete(f"{PATH}/{said.json()['id']}"), 404, "feedback_not_found")
    assert listed(second) == []


def test_pages(people: Api) -> None:
    given = [say(people, seen(people, face_photo(1))["receipt"]).json()["id"] for _ in range(5)]
    found: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = people.get(PATH, params=query).json()
        found += [said["id"] for said in page["feedback"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == given[::-1]
    problem = check_problem(people.get(PATH, params={"cursor": "x"}), 422, "invalid_request")
    assert problem["errors"][0]["field"] == "cursor"
    check_problem(people.get(PATH, params={"limit": 0}), 422, "invalid_request")
    check_problem(people.get(PATH, params={"collection": "x"}), 404, "collection_not_found")


def test_the_newest_are_kept(make_api: ApiMaker) -> None:
    api = make_api(max_feedback_per_collection=2)
    enrol(api, 1, 2)
    given = [say(api, seen(api, face_photo(1))["receipt"]).json()["id"] for _ in range(4)]
    assert [said["id"] for said in listed(api)] == given[:1:-1]


def test_a_mistaken_click_is_taken_back(people: Api) -> None:
    feedback_id = say(people, seen(people, face_photo(1))["receipt"]).json()["id"]
    assert people.delete(f"{PATH}/{feedback_id}").status_code == 204
    assert listed(people) == []
    for gone in (feedback_id, "x", "%00"):
        check_problem(people.delete(f"{PATH}/{gone}"), 404, "feedback_not_found")


def test_a_collection_has_its_own(people: Api) -> None:
    assert people.post("/v1/collections", json={"id": "staff"}).status_code == 201
    people.enroll(face_photo(7), subject_id="s7", collection="staff")
    receipt = seen(people, face_photo(7), collection="staff")["receipt"]
    body = say(people, receipt).json()
    assert (body["collection"], body["subject_id"]) == ("staff", "s7")
    assert (listed(people), listed(people, collection="staff")) == ([], [body])
    check_problem(people.delete(f"{PATH}/{body['id']}"), 404, "feedback_not_found")
    assert people.delete("/v1/collections/staff").status_code == 204
    check_problem(say(people, receipt), 404, "collection_not_found")
    # Another one of that name is not the one that was searched.
    people.post("/v1/collections", json={"id": "staff"})
    people.enroll(face_photo(7), subject_id="s7", collection="staff")
    check_problem(say(people, receipt), 404, "collection_not_found")
    assert listed(people, collection="staff") == []


def test_nothing_of_it_outlives_a_subject(people: Api, tmp_path: Path) -> None:
    right = seen(people, face_photo(1))["receipt"]
    say(people, right)
    other = seen(people, face_photo(2), top_k=2)
    say(people, other["receipt"])
    assert people.delete("/v1/subjects/s1").status_code == 204
    names = {candidate["subject"]["id"] for candidate in other["candidates"]}
    assert len(listed(people)) == ("s1" not in names)
    check_problem(say(people, right), 404, "subject_not_found")
    tables = [row[0] for row in people.runtime.default.gallery.read(
        lambda scope: scope.c.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    )]  # fmt: skip
    for table in set(tables) - {"audit", "sqlite_sequence"}:
        rows = people.runtime.default.gallery.read(
            lambda scope, table=table: scope.c.execute(f"SELECT * FROM {table}")
        )
        assert "'s1'" not in repr(rows), table


def test_a_merge_moves_it(people: Api) -> None:
    say(people, seen(people, face_photo(1))["receipt"], subject_id="s3")
    people.post("/v1/subjects/s3/merge", json={"into": "s2"})
    assert [said["subject_id"] for said in listed(people)] == ["s2"]


def test_a_receipt_that_is_none_is_refused_in_words(people: Api) -> None:
    receipt = seen(people, face_photo(1))["receipt"]
    for wrong in ("", "x", receipt[:-1], receipt + "A", receipt.swapcase(), "é", "x" * 2_000):
        problem = check_problem(say(people, wrong), 422, "invalid_request")
        assert problem["errors"][0]["field"] == "receipt"
        assert "receipt" in problem["detail"]
    assert listed(people) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verdict": "confirmed"}, "receipt"),
        ({"receipt": None, "verdict": "confirmed"}, "receipt"),
        ({"receipt": "OK"}, "verdict"),
        ({"receipt": "OK", "verdict": "maybe"}, "verdict"),
        ({"receipt": "OK", "verdict": "confirmed", "subject_id": 7}, "subject_id"),
        ({"receipt": "OK", "verdict": "rejected", "subject_id": "s2"}, "subject_id"),
        ({"receipt": "OK", "verdict": "confirmed", "collection": "default"}, "collection"),
    ],
)
def test_a_request_that_is_wrong_is_told_where(
    people: Api, body: dict[str, Any], field: str
) -> None:
    if body.get("receipt") == "OK":
        body = {**body, "receipt": seen(people, face_photo(1))["receipt"]}
    problem = check_problem(people.post(PATH, json=body), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert listed(people) == []


@pytest.mark.parametrize("nobody", ["zoe", "", "\0", "x" * 500])
def test_who_is_not_enrolled_cannot_be_confirmed(people: Api, nobody: str) -> None:
    receipt = seen(people, face_photo(1))["receipt"]
    check_problem(say(people, receipt, subject_id=nobody), 404, "subject_not_found")
    assert listed(people) == []


def test_half_a_surrogate_pair_names_nobody(people: Api) -> None:
    receipt = seen(people, face_photo(1))["receipt"]
    said = {"receipt": receipt, "verdict": "confirmed", "subject_id": "\ud83d"}
    headers = {"content-type": "application/json"}
    answer = people.post(PATH, content=json.dumps(said).encode(), headers=headers)
    check_problem(answer, 404, "subject_not_found")
    assert listed(people) == []


def test_of_other_embeddings_a_receipt_says_nothing(people: Api) -> None:
    known = decoded(seen(people, face_photo(1))["receipt"])
    gallery = dataclasses.replace(known.gallery, contract=contract_digest("other"))
    other = encoded(dataclasses.replace(known, gallery=gallery))
    problem = check_problem(say(people, other), 409, "feedback_outdated")
    assert "Identify the photo again" in problem["detail"]
    assert listed(people) == []


def calibrated(api: Api, **fields: str) -> dict[str, Any]:
    answer = api.post(CALIBRATIONS, data=fields)
    assert answer.status_code == 202, answer.text
    job = api.runtime.jobs.wait(answer.json()["job"]["id"], timeout_s=WAIT_S)
    assert job.ended
    assert job.error is None
    (made,) = api.get(CALIBRATIONS).json()["calibrations"]
    assert made == job.result
    return dict(made)


def test_a_calibration_counts_it_from_enrolment_to_threshold(api: Api) -> None:
    enrol(api, *range(30))
    gallery = api.runtime.default.gallery
    plain = search_itself(gallery).searches.best_T
    middle = np.median(plain)
    cut_offs = []
    expected = list(plain)
    counted = 0
    for seed in range(6):
        photo = face_photo(Face(seed, noise=10))
        true = similarities(api, photo)
        own = true.pop(f"s{seed}")
        say(api, seen(api, photo)["receipt"], subject_id=f"s{seed}")
        if own < max(true.values()) or own >= middle:
            expected.append(max(true.values()))
            cut_offs.append(1.0 if own < max(true.values()) else own)
            counted += 1
    taken_for = set()
    for seed in range(100, 106):
        photo = face_photo(seed)
        true = similarities(api, photo)
        say(api, seen(api, photo, threshold=0.01)["receipt"], "rejected")
        expected.append(max(true.values()))
        taken_for.add(max(true, key=lambda name: true[name]))
        counted += 1
    say(api, seen(api, face_photo(110), threshold=1)["receipt"], "rejected")
    thresholds = api.runtime.default.thresholds
    before = thresholds.threshold(target_fpir=0.1)
    made = calibrated(api)
    assert made["strangers"] == {
        "enrolled": 30,
        "uploaded": 0,
        "failures_to_acquire": 0,
        "uploaded_photos": 0,
        "rejected": len(taken_for),
        "feedback": counted,
        "feedback_left_out": 13 - counted,
    }
    assert counted > 6
    added = untold(plain.tolist(), cut_offs)
    expected += added
    assert made["nonmated_searches"] == 30 + counted + len(added)
    assert made["points"][0]["target_fpir"] == 0.1
    true_threshold = threshold_at(np.array(expected), 0.1)
    assert true_threshold is not None
    assert made["points"][0]["threshold"] == pytest.approx(true_threshold, abs=NEAR)
    after = thresholds.threshold(target_fpir=0.1)
    assert after.value == made["points"][0]["threshold"] != before.value
    assert after.evidence is not None
    assert after.evidence.strangers == 30 + len(taken_for)
    ignored = calibrated(api, feedback="ignore")
    assert (ignored["strangers"]["feedback"], ignored["strangers"]["rejected"]) == (0, 0)
    assert ignored["strangers"]["feedback_left_out"] == 0
    assert ignored["points"][0]["threshold"] == threshold_at(plain, 0.1)
    asked_for = calibrated(api, feedback="use")
    assert (asked_for["points"], asked_for["strangers"]) == (made["points"], made["strangers"])
    check_problem(api.post(CALIBRATIONS, data={"feedback": "no"}), 422, "invalid_request")


def test_nothing_changes_until_somebody_calibrates(people: Api) -> None:
    thresholds = people.runtime.default.thresholds
    before = thresholds.threshold(target_fpir=0.1)
    for seed in (1, 2, 3):
        say(people, seen(people, face_photo(seed))["receipt"], "rejected")
    assert thresholds.threshold(target_fpir=0.1) == before
    assert people.get(CALIBRATIONS).json() == {"calibrations": []}


def test_a_calibration_from_before_there_was_feedback_can_be_read(api: Api) -> None:
    enrol(api, *range(30))
    gallery = api.runtime.default.gallery
    record = measure(gallery, bundle="tiny@1.2.3", quality_policy="off")
    fields = json.loads(record.model_dump_json())
    for new in ("rejected_strangers", "feedback", "feedback_left_out"):
        assert fields.pop(new) == 0
    gallery.set_calibration(
        json.dumps(fields), contract_id=record.contract_id, made_at=record.made_at
    )
    assert stored_calibration(gallery) == record
    assert CollectionCalibration.model_validate_json(json.dumps(fields)) == record
    keep(gallery, record)
    assert stored_calibration(gallery) == record


def test_the_client_says_it(people: Api) -> None:
    with Client("http://oneglance", transport=AsgiTransport(people)) as client:
        (face,) = client.identify(face_photo(1)).faces
        assert face.receipt is not None
        said = client.give_feedback(face.receipt, "confirmed")
        again = client.give_feedback(face.receipt, "confirmed", subject_id="s2")
        assert (said.subject_id, again.subject_id, again.id) == ("s1", "s2", said.id)
        assert client.list_feedback(limit=1).feedback == [again]
        client.delete_feedback(said.id)
        assert client.list_feedback(collection="default").feedback == []
        with pytest.raises(ApiError) as refused:
            client.give_feedback("x", "rejected")
    assert (refused.value.status, refused.value.errors[0]["field"]) == (422, "receipt")
