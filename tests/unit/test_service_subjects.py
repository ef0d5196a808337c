"""/v1/subjects, /healthz and /readyz."""

import pytest

from index.gallery import Gallery
from tests.conftest import Api, check_problem, face_photo

UNSENT_CURSORS = ("x", "-1", "1.5", "٣", "9" * 19, " 1")


@pytest.fixture
def five(api: Api) -> Api:
    """Five subjects, s0 to s4, in this order."""
    for number in range(5):
        api.enroll(face_photo(number), subject_id=f"s{number}", name=f"N{number}")
    return api


def test_a_new_service_has_no_subjects(api: Api) -> None:
    assert api.get("/v1/subjects").json() == {"subjects": [], "next_cursor": None}


def test_pages_follow_one_another_in_the_order_of_creation(five: Api) -> None:
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        answer = five.get(
            "/v1/subjects", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        )
        assert answer.status_code == 200
        seen += [subject["id"] for subject in answer.json()["subjects"]]
        cursor = answer.json()["next_cursor"]
        pages += 1
    assert (seen, pages) == (["s0", "s1", "s2", "s3", "s4"], 3)


def test_a_subject_is_shown_whole(five: Api) -> None:
    listed = five.get("/v1/subjects").json()["subjects"][3]
    assert listed == five.get("/v1/subjects/s3").json()
    assert listed | {"created_at": ""} == {
        "id": "s3",
        "name": "N3",
        "external_id": None,
        "metadata": {},
        "template_count": 1,
        "created_at": "",
        "expires_at": None,
        "consent_ref": None,
    }


def test_a_deleted_subject_is_gone(five: Api) -> None:
    answer = five.delete("/v1/subjects/s1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(answer.headers["x-request-id"]) == 32
    for again in (five.get("/v1/subjects/s1"), five.delete("/v1/subjects/s1")):
        problem = check_problem(again, 404, "subject_not_found")
        assert "'s1'" in problem["detail"]
    left = [subject["id"] for subject in five.get("/v1/subjects").json()["subjects"]]
    assert left == ["s0", "s2", "s3", "s4"]
    assert five.runtime.default.gallery.template_count == 4


def test_an_unknown_subject_is_not_found(api: Api) -> None:
    for subject_id in ("nobody", "%00", "%2e%2e", "a" * 500):
        check_problem(api.get(f"/v1/subjects/{subject_id}"), 404, "subject_not_found")
        check_problem(api.delete(f"/v1/subjects/{subject_id}"), 404, "subject_not_found")


@pytest.mark.parametrize("cursor", UNSENT_CURSORS)
def test_a_cursor_that_was_never_sent_is_refused(five: Api, cursor: str) -> None:
    answer = five.get("/v1/subjects", params={"cursor": cursor})
    problem = check_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["cursor"]


@pytest.mark.parametrize("limit", [0, 1001, "all"])
def test_a_limit_out_of_range_is_refused(api: Api, limit: object) -> None:
    problem = check_problem(
        api.get("/v1/subjects", params={"limit": str(limit)}), 422, "invalid_request"
    )
    assert [error["field"] for error in problem["errors"]] == ["limit"]


def test_healthz_answers_also_without_a_gallery(api: Api) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    api.runtime.default.gallery.close()
    assert api.get("/healthz").status_code == 200


def test_readyz_tells_what_is_served(five: Api) -> None:
    answer = five.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "bundle": {"id": "tiny@1.2.3", "sha256": five.runtime.default.bundle.bundle.sha256},
        "detector": "blocks",
        "embedder_runtime": "torchscript",
        "device": "cpu",
        "precision": five.runtime.default.bundle.embedder.precision,
        "subject_count": 5,
        "template_count": 5,
    }


def test_a_closed_gallery_is_not_ready(api: Api) -> None:
    api.runtime.default.gallery.close()
    for answer in (
        api.get("/readyz"),
        api.get("/v1/subjects"),
        api.get("/v1/subjects/x"),
        api.delete("/v1/subjects/x"),
        api.enroll(face_photo(1)),
        api.identify(face_photo(1)),
    ):
        check_problem(answer, 503, "gallery_unavailable")
        assert answer.headers["retry-after"] == "1"


def test_readyz_tries_model_and_gallery_each_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.get("/readyz").status_code == 200

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(type(api.runtime.default.bundle.embedder), "embed", broken)
        check_problem(api.get("/readyz"), 500, "internal_error")
    with monkeypatch.context() as patch:
        patch.setattr(Gallery, "subjects", broken)
        check_problem(api.get("/readyz"), 500, "internal_error")
    assert api.get("/readyz").status_code == 200
