"""What every answer of the service must be, whatever it was asked."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TEXTS: Final = ("type", "title", "detail", "instance", "code", "request_id")
REQUEST_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer over HTTP. headers: all values of each name in lower case."""

    method: str
    status: int
    headers: Mapping[str, list[str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.headers.get(name, [])), None)


def faults_of(answer: Answer) -> list[str]:
    """What is wrong with an answer, in words; nothing if it is as it has to be.

    No 5xx but a 503 that says when to come back; every answer has one request id; every error is
    problem+json (RFC 9457) with code and request_id.
    """
    faults = []
    if answer.status >= 500 and answer.status != 503:
        faults.append(f"status {answer.status}")
    if answer.status in (429, 503) and not (answer.header("retry-after") or "").isdigit():
        faults.append(f"status {answer.status} without Retry-After")
    ids = answer.headers.get("x-request-id", [])
    if len(ids) != 1 or not REQUEST_ID.fullmatch(ids[0]):
        faults.append(f"x-request-id is {ids}")
    if answer.status >= 400:
        faults += _faults_of_problem(answer)
    return faults


def _faults_of_problem(answer: Answer) -> list[str]:
    kind = answer.header("content-type")
    if kind != "application/problem+json":
        return [f"status {answer.status} is {kind}, not application/problem+json"]
    if answer.method == "HEAD":
        return []
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return ["the problem is not JSON"]
    if not isinstance(problem, dict):
        return ["the problem is not a JSON object"]
    return _faults_of_members(answer, problem)


def _faults_of_members(answer: Answer, problem: dict[str, Any]) -> list[str]:
    faults = [
        f"the problem's {name} is {problem.get(name)!r}"
        for name in TEXTS
        if not isinstance(problem.get(name), str) or not problem[name]
    ]
    if problem.get("status") != answer.status:
        faults.append(f"the problem's status is {problem.get('status')!r}, not {answer.status}")
    if problem.get("request_id") != answer.header("x-request-id"):
        faults.append("the problem's request_id is not that of the header")
    return faults
