"""A service against its own OpenAPI description: schemathesis, and rude requests beside it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Err
from schemathesis.engine import events, from_schema
from schemathesis.schemas import BaseSchema

from benchmarks.problem_check import Answer, faults_of
from benchmarks.rude_requests import RudeRequest

# Whether valid data is taken is not asked: no schema can say which photos show a face, or that two
# wishes contradict each other.
NOT_CHECKED: Final = "positive_data_acceptance"
# What no generator of texts would hit upon, where most operations refuse all else.
WORDS: Final = {
    "collection": ["default", "things"],
    "collection_id": ["default", "things", "x1", "x2"],
    "id": ["x1", "x2"],
    "bundle": ["tiny", "whole"],
    "metadata": ['{"team": "blue"}', "{}", '{"a": [1, null, {"b": 2.5}]}'],
    "expires_at": ["2999-12-31T23:59:59Z", "2999-01-01T00:00:00+02:00"],
    "subject_id": ["ada", "bob"],
    "external_id": ["1", "2"],
    "into": ["ada", "bob"],
}
WORDS_SHARE: Final = 0.6
REMEMBERED_CASES: Final = 50

Case = schemathesis.Case[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One sort of what went wrong. operation: method and path. sample: how to see it again."""

    operation: str
    check: str
    words: str
    sample: str = field(compare=False)


@dataclass(slots=True)
class Report:
    """examples: requests of each operation. accepted: those of them that it did, 2xx. steps: of
    chains of operations. faults: how often each came up."""

    examples: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    rude: int = 0
    steps: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)


def config(*, examples: int, seed: int) -> SchemathesisConfig:
    """All phases of schemathesis, valid and invalid data, on and on after a failure."""
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "request-timeout": 60,
            "generation": {
                "mode": "all",
                "max-examples": examples,
                "database": "none",
            },
            "dictionaries": {name: {"values": words} for name, words in WORDS.items()},
            "parameters": {
                place + name: {"dictionary": name, "probability": WORDS_SHARE}
                for place in ("body.", "query.", "path.")
                for name in WORDS
            },
            "checks": {
                # Busy is an answer, too; problem_json sees to it that it says when to come back.
                "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
                NOT_CHECKED: {"enabled": False},
            },
        }
    )


def photos_as_files(good: list[bytes], bad: list[bytes]) -> None:
    """Let schemathesis send these image files, and any bytes, where a file is asked for."""
    files = st.sampled_from(good) | st.sampled_from(bad) | st.binary(max_size=200)
    schemathesis.openapi.format("binary", files)


def with_file_format(document: dict[str, Any]) -> dict[str, Any]:
    """The same description in which files are called `binary`, which schemathesis has a word for.

    OpenAPI 3.1 spells it as a media type, and for that it makes text alone.
    """

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        kept = {name: renamed(item) for name, item in value.items()}
        if kept.get("contentMediaType") == "application/octet-stream":
            del kept["contentMediaType"]
            kept["format"] = "binary"
        return kept

    mended: dict[str, Any] = renamed(document)
    return mended


@schemathesis.check
def problem_json(_: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> None:
    """No 5xx but a 503 with Retry-After; errors are problem+json with code and request_id."""
    faults = faults_of(
        Answer(
            method=str(response.request.method),
            status=response.status_code,
            headers=response.headers,
            body=response.content,
        )
    )
    if faults:
        raise Failure(operation=case.operation.label, title="Not as agreed", message=str(faults))


def run(schema: BaseSchema, report: Report, *, examples: int) -> None:
    """All phases over every operation; each is asked `examples` times at least.

    An operation that takes little has few different requests: those are sent again.
    """
    asked: dict[str, list[Case]] = {}
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(event, report, asked)
        elif isinstance(event, (events.NonFatalError, events.FatalError, events.Interrupted)):
            _fault(report, getattr(event, "label", "schemathesis"), "the run itself", str(event))
    for result in schema.get_all_operations():
        if isinstance(result, Err):
            _fault(report, "schemathesis", "the description", str(result.err()))
            continue
        label = result.ok().label
        if label not in asked:
            _fault(report, label, "examples", "it was never asked")
            continue
        for case in islice(cycle(asked[label]), max(examples - report.examples[label], 0)):
            _send_again(case, report)


def send_rudely(
    send: Callable[[RudeRequest], Answer], request: RudeRequest, report: Report
) -> None:
    """One rude request; `send` may raise OSError where the line is cut."""
    report.rude += 1
    label = f"{request.method} {request.path or request.target[:40]}"
    try:
        answer = send(request)
    except OSError as error:
        _fault(report, label, request.name, f"no answer: {error}", repr(request)[:1000])
        return
    faults = faults_of(answer)
    if answer.status not in request.statuses:
        faults.append(f"status {answer.status}, not one of {sorted(request.statuses)}")
    for words in faults:
        _fault(report, label, request.name, words, repr(request)[:1000])


def _send_again(case: Case, report: Report) -> None:
    response = case.call()
    _count(report, case, response)
    try:
        case.validate_response(response)
    except FailureGroup as group:
        for failure in group.exceptions:
            _fault(report, case.operation.label, type(failure).__name__, failure.message)


def _note(event: events.ScenarioFinished, report: Report, asked: dict[str, list[Case]]) -> None:
    """Count the requests of `event`, keep some of each operation, and what was wrong."""
    recorder = event.recorder
    cases = [node.value for node in recorder.cases.values()]
    if event.phase.value == "stateful":
        report.steps += len(cases)
        cases = []
    for case in cases:
        # Some ask another method than the operation's, to be refused.
        if case.method == case.operation.method.upper():
            _count(report, case, recorder.find_response(case_id=case.id))
            kept = asked.setdefault(case.operation.label, [])
            if len(kept) < REMEMBERED_CASES:
                kept.append(case)
    for case_id, checks in recorder.checks.items():
        label = recorder.cases[case_id].value.operation.label
        for check in checks:
            if check.failure_info is not None:
                words = check.failure_info.failure.message
                _fault(report, label, check.name, words, check.failure_info.code_sample)


def _count(report: Report, case: Case, response: schemathesis.Response | None) -> None:
    report.examples[case.operation.label] += 1
    if response is not None and response.status_code < 300:
        report.accepted[case.operation.label] += 1


def _fault(report: Report, operation: str, check: str, words: str, sample: str = "") -> None:
    report.faults[Fault(operation=operation, check=check, words=words[:500], sample=sample)] += 1
