"""PATCH /v1/subjects/{id}, POST /v1/subjects/{id}/merge, and the filters of the list."""

import json
from typing import Any

import pytest

from tests.conftest import Api, Face, check_problem, face_photo

ANN, BOB = face_photo(1), face_photo(2)
FACTS: dict[str, Any] = {
    "name": "Ann",
    "external_id": "7",
    "metadata": {"team": "blue"},
    "expires_at": "2999-01-01T00:00:00.000Z",
    "consent_ref": "form 1",
}
OTHER: dict[str, Any] = {
    "name": "Anna",
    "external_id": "8",
    "metadata": {"floor": [2]},
    "expires_at": "2998-01-01T00:00:00.000Z",
    "consent_ref": "form 2",
}


@pytest.fixture
def ann(api: Api) -> Api:
    """Ann and Bob are enrolled; Ann with all her facts."""
    facts = {**FACTS, "metadata": json.dumps(FACTS["metadata"])}
    assert api.enroll(ANN, subject_id="ann", **facts).status_code == 201
    assert api.enroll(BOB, subject_id="bob", name="Bob", external_id="9").status_code == 201
    return api


def revision(api: Api) -> int:
    return int(api.runtime.default.gallery.revision)


@pytest.mark.parametrize("field", FACTS)
def test_one_fact_is_changed_and_taken_away_and_the_others_stay(ann: Api, field: str) -> None:
    before = ann.get("/v1/subjects/ann").json()
    changed = ann.patch("/v1/subjects/ann", json={field: OTHER[field]})
    assert changed.status_code == 200
    assert changed.json() == {**before, field: OTHER[field]}
    assert ann.get("/v1/subjects/ann").json() == changed.json()
    without = ann.patch("/v1/subjects/ann", json={field: None})
    assert without.json() == {**before, field: {} if field == "metadata" else None}
    assert ann.get("/v1/subjects/ann").json() == without.json()


def test_all_facts_are_changed_at_once_and_nothing_by_nothing(ann: Api) -> None:
    before = ann.get("/v1/subjects/ann").json()
    assert ann.patch("/v1/subjects/ann", json=OTHER).json() == {**before, **OTHER}
    at = revision(ann)
    assert ann.patch("/v1/subjects/ann", json={}).json() == {**before, **OTHER}
    assert revision(ann) == at
    assert ann.who(ANN) == "Anna"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "a" * 257}, "name"),
        ({"name": 7}, "name"),
        ({"name": "Good", "external_id": "e" * 129}, "external_id"),
        ({"consent_ref": "\u0000"}, "consent_ref"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "x" * 65_536}}, "metadata"),
        ({"id": "other"}, "id"),
        ({"template_count": 3}, "template_count"),
        ([], "body"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field(ann: Api, body: Any, field: str) -> None:
    before, at = ann.get("/v1/subjects/ann").json(), revision(ann)
    problem = check_problem(ann.patch("/v1/subjects/ann", json=body), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert ann.get("/v1/subjects/ann").json() == before
    assert revision(ann) == at


def nested(levels: int) -> str:
    return '{"metadata": ' + '{"a": ' * levels + "1" + "}" * levels + "}"


def test_metadata_may_nest_as_deep_as_answers_can_show(ann: Api) -> None:
    answer = ann.patch("/v1/subjects/ann", json=json.loads(nested(32)))
    assert answer.status_code == 200
    assert ann.get("/v1/subjects/ann").json() == answer.json()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (nested(33), "metadata"),
        ('{"metadata": {"a": NaN}}', "metadata"),
        ('{"metadata": {"a": 1e999}}', "metadata"),
        ('{"metadata": {"a": "\\ud800"}}', "metadata"),
        ('{"name": "\\ud800"}', "name"),
        ('{"\\ud800": 1}', "body"),
        ('{"name": "Ann"', "body"),
        ("", "body"),
    ],
)
def test_json_that_is_odd_is_refused_in_words(ann: Api, text: str, field: str) -> None:
    headers = {"content-type": "application/json"}
    answer = ann.patch("/v1/subjects/ann", content=text.encode(), headers=headers)
    problem = check_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("text", [nested(5_000), '{"metadata": {"a": ' + "1" * 5_000 + "}}"])
def test_json_that_cannot_even_be_read_is_malformed(ann: Api, text: str) -> None:
    headers = {"content-type": "application/json"}
    answer = ann.patch("/v1/subjects/ann", content=text.encode(), headers=headers)
    check_problem(answer, 400, "bad_request")


def test_an_external_id_of_another_is_a_conflict(ann: Api) -> None:
    answer = ann.patch("/v1/subjects/ann", json={"external_id": "9", "name": "Bob"})
    assert "'bob'" in check_problem(answer, 409, "subject_conflict")["detail"]
    assert ann.get("/v1/subjects/ann").json()["name"] == "Ann"
    assert ann.patch("/v1/subjects/ann", json={"external_id": "7"}).status_code == 200


def test_nobody_unknown_is_changed_or_merged(ann: Api) -> None:
    for subject_id in ("nobody", "%00", "a" * 500):
        url = f"/v1/subjects/{subject_id}"
        check_problem(ann.patch(url, json={"name": "X"}), 404, "subject_not_found")
        check_problem(ann.patch(url, json={}), 404, "subject_not_found")
        check_problem(ann.post(f"{url}/merge", json={"into": "ann"}), 404, "subject_not_found")
        check_problem(ann.get(f"{url}/templates"), 404, "subject_not_found")
    for into in ("nobody", "", "\0"):
        answer = ann.post("/v1/subjects/ann/merge", json={"into": into})
        check_problem(answer, 404, "subject_not_found")
    assert ann.runtime.default.gallery.subject_count == 2


def test_a_merge_gives_all_templates_to_the_other(ann: Api) -> None:
    ann.enroll(face_photo(Face(1, noise=15)), subject_id="ann")
    templates = ann.get("/v1/subjects/ann/templates").json()["templates"]
    answer = ann.post("/v1/subjects/ann/merge", json={"into": "bob"})
    assert answer.status_code == 200
    merged = answer.json()
    assert merged == ann.get("/v1/subjects/bob").json()
    assert (merged["id"], merged["name"], merged["external_id"]) == ("bob", "Bob", "9")
    assert merged["template_count"] == 3
    # What the other one lacked comes from the merged one.
    assert merged["consent_ref"] == "form 1"
    check_problem(ann.get("/v1/subjects/ann"), 404, "subject_not_found")
    held = ann.get("/v1/subjects/bob/templates").json()["templates"]
    assert {t["id"] for t in templates} < {t["id"] for t in held}
    assert {t["subject_id"] for t in held} == {"bob"}
    assert (ann.who(ANN), ann.who(BOB)) == ("Bob", "Bob")


def test_wrong_merges_are_refused_and_change_nothing(ann: Api) -> None:
    at = revision(ann)
    for body, field in (({"into": "ann"}, "into"), ({}, "into"), ({"into": "bob", "x": 1}, "x")):
        problem = check_problem(
            ann.post("/v1/subjects/ann/merge", json=body), 422, "invalid_request"
        )
        assert [error["field"] for error in problem["errors"]] == [field]
    assert revision(ann) == at


def test_two_who_say_too_much_together_are_not_merged(ann: Api) -> None:
    for subject_id, key in (("ann", "a"), ("bob", "b")):
        body = {"metadata": {key: "x" * 40_000}}
        assert ann.patch(f"/v1/subjects/{subject_id}", json=body).status_code == 200
    answer = ann.post("/v1/subjects/ann/merge", json={"into": "bob"})
    assert "65536" in check_problem(answer, 422, "invalid_request")["detail"]
    assert ann.runtime.default.gallery.subject_count == 2
    ann.runtime.default.gallery.verify()


def listed(api: Api, **query: Any) -> list[str]:
    answer = api.get("/v1/subjects", params=query)
    assert answer.status_code == 200, answer.text
    return [subject["id"] for subject in answer.json()["subjects"]]


def test_the_list_is_filtered_by_name_and_by_external_id(ann: Api) -> None:
    for number in range(3):
        ann.enroll(face_photo(5 + number), subject_id=f"n{number}", name="Ann")
    assert listed(ann, name="Ann") == ["ann", "n0", "n1", "n2"]
    assert listed(ann, name="Bob") == ["bob"]
    assert listed(ann, name="ann") == listed(ann, name="An") == listed(ann, name="%") == []
    assert listed(ann, external_id="9") == ["bob"]
    assert listed(ann, name="Ann", external_id="7") == ["ann"]
    assert listed(ann, name="Ann", external_id="9") == []
    for nobody in ("", "\0", "x" * 1_000):
        assert listed(ann, name=nobody) == listed(ann, external_id=nobody) == []


def test_pages_of_one_name(ann: Api) -> None:
    for number in range(3):
        ann.enroll(face_photo(5 + number), subject_id=f"n{number}", name="Ann")
    first = ann.get("/v1/subjects", params={"name": "Ann", "limit": 3}).json()
    assert [subject["id"] for subject in first["subjects"]] == ["ann", "n0", "n1"]
    query = {"name": "Ann", "limit": 3, "cursor": first["next_cursor"]}
    second = ann.get("/v1/subjects", params=query).json()
    assert [subject["id"] for subject in second["subjects"]] == ["n2"]
    assert second["next_cursor"] is None


def test_every_operation_is_about_the_collection_that_it_names(ann: Api) -> None:
    gallery = ann.runtime.collections.create("staff", ann.runtime.default.bundle).gallery
    for subject_id in ("ann", "cy"):
        files = [("images", ("0.png", ANN))]
        data = {"subject_id": subject_id, "collection": "staff", "duplicate_check": "off"}
        assert ann.post("/v1/enroll", files=files, data=data).status_code == 201
    there = {"collection": "staff"}
    assert listed(ann, **there) == ["ann", "cy"]
    assert ann.patch("/v1/subjects/ann", json={"name": "A"}, params=there).json()["name"] == "A"
    assert len(ann.get("/v1/subjects/cy/templates", params=there).json()["templates"]) == 1
    check_problem(ann.get("/v1/subjects/cy/templates"), 404, "subject_not_found")
    merged = ann.post("/v1/subjects/cy/merge", json={"into": "ann"}, params=there)
    assert merged.json()["template_count"] == 2
    assert gallery.subject_count == 1
    assert ann.get("/v1/subjects/ann").json()["name"] == "Ann"
    nowhere = {"collection": "nowhere"}
    for answer in (
        ann.get("/v1/subjects", params=nowhere),
        ann.patch("/v1/subjects/ann", json={"name": "A"}, params=nowhere),
        ann.post("/v1/subjects/ann/merge", json={"into": "bob"}, params=nowhere),
        ann.get("/v1/subjects/ann/templates", params=nowhere),
    ):
        check_problem(answer, 404, "collection_not_found")
