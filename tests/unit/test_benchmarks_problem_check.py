"""What an answer must be: each way of being wrong is found, and a sound answer has no fault."""

import json
from typing import Any

import pytest

from benchmarks.problem_check import Answer, faults_of

ID = "0123456789abcdef" * 2
PROBLEM = {
    "type": "/problems/not-found",
    "title": "Not Found",
    "status": 404,
    "detail": "There is none.",
    "instance": "/v1/x",
    "code": "not_found",
    "request_id": ID,
    "errors": [],
}


def answer(
    status: int = 404,
    *,
    method: str = "GET",
    kind: str = "application/problem+json",
    body: bytes | None = None,
    ids: tuple[str, ...] = (ID,),
    more: dict[str, list[str]] | None = None,
    **changes: Any,
) -> Answer:
    problem = {**PROBLEM, "status": status, **changes}
    return Answer(
        method=method,
        status=status,
        headers={"content-type": [kind], "x-request-id": list(ids), **(more or {})},
        body=json.dumps(problem).encode() if body is None else body,
    )


@pytest.mark.parametrize(
    "sound",
    [
        answer(),
        answer(200, kind="application/json", body=b"[]"),
        answer(204, body=b""),
        answer(503, more={"retry-after": ["1"]}),
        answer(429, more={"retry-after": ["30"]}),
        answer(405, method="HEAD", body=b""),
    ],
)
def test_a_sound_answer_has_no_fault(sound: Answer) -> None:
    assert faults_of(sound) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (answer(500), "status 500"),
        (answer(507), "status 507"),
        (answer(503), "without Retry-After"),
        (answer(503, more={"retry-after": ["soon"]}), "without Retry-After"),
        (answer(429), "without Retry-After"),
        (answer(kind="application/json"), "not application/problem+json"),
        (answer(kind="text/plain; charset=utf-8", body=b"no"), "not application/problem+json"),
        (answer(405, method="HEAD", kind="text/html"), "not application/problem+json"),
        (answer(body=b"no"), "not JSON"),
        (answer(body=b"\xff"), "not JSON"),
        (answer(body=b"[]"), "not a JSON object"),
        (answer(code=""), "code is ''"),
        (answer(code=None), "code is None"),
        (answer(detail=7), "detail is 7"),
        (answer(request_id="f" * 32), "not that of the header"),
        (answer(ids=()), "x-request-id is []"),
        (answer(200, ids=(ID, ID)), "x-request-id is ["),
        (answer(200, ids=("mine",)), "x-request-id is ['mine']"),
        (answer(404, body=json.dumps({**PROBLEM, "status": 400}).encode()), "status is 400"),
    ],
)
def test_each_way_of_being_wrong_is_found(wrong: Answer, words: str) -> None:
    faults = faults_of(wrong)
    assert any(words in fault for fault in faults), faults


@pytest.mark.parametrize("member", ["type", "title", "detail", "instance", "code", "request_id"])
def test_a_problem_without_one_of_its_members_is_found(member: str) -> None:
    short = {name: value for name, value in PROBLEM.items() if name != member}
    assert any(member in fault for fault in faults_of(answer(body=json.dumps(short).encode())))
