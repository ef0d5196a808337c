"""A service against its own OpenAPI description: schemathesis, and rude requests beside it."""

import base64
from collections import Counter
from collections.abc import Callable, Mapping
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
SUBJECTS: Final = ("ada", "bob", "cleo", "dan")
# What no generator of texts would hit upon, where most operations refuse all else.
WORDS: Final = {
    "collection": ["default", "things"],
    "collection_id": ["default", "things", "x1", "x2"],
    "id": ["x1", "x2"],
    "bundle": ["tiny", "whole"],
    "metadata": ['{"team": "blue"}', "{}", '{"a": [1, null, {"b": 2.5}]}'],
    "expires_at": ["2999-12-31T23:59:59Z", "2999-01-01T00:00:00+02:00"],
    "subject_id": list(SUBJECTS),
    "external_id": ["1", "2"],
    "into": list(SUBJECTS),
}
WORDS_SHARE: Final = 0.6
MORE_CHAINS: Final = 20
# Said of chains whose invalid part an earlier answer has replaced: nothing in them was invalid.
NOT_INVALID: Final = "Invalid component: positive test case"
FORM: Final = "multipart/form-data"
BASE64: Final = "base64"
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
    """What was asked and what came of it.

    examples: requests of each operation; accepted: those of them that it did, 2xx. chains: of two
    operations and more, where one uses what another answered; steps: of all of them. rude: rude
    requests. faults: how often each came up.
    """

    examples: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    rude: int = 0
    chains: int = 0
    steps: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)


def config(
    *,
    examples: int,
    seed: int,
    words: Mapping[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> SchemathesisConfig:
    """All phases of schemathesis, valid and invalid data, on and on after a failure.

    words: values that are often taken for parameters and fields of those names, beside WORDS.
    headers: of every request, such as a key.
    """
    known = {**WORDS, **(words or {})}
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "headers": dict(headers or {}),
            "request-timeout": 60,
            "generation": {
                "mode": "all",
                "max-examples": examples,
                "database": "none",
            },
            "dictionaries": {name: {"values": values} for name, values in known.items()},
            "parameters": {
                place + name: {"dictionary": name, "probability": WORDS_SHARE}
                for place in ("body.", "query.", "path.")
                for name in known
            },
            "checks": {
                # Busy is an answer, too; problem_json sees to it that it says when to come back.
                "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
                NOT_CHECKED: {"enabled": False},
            },
            # Answered by 202: it is there when its job has succeeded, and not before.
            "operations": [
                {
                    "include-name": "GET /v1/exports/{export_id}/file",
                    "checks": {"ensure_resource_availability": {"enabled": False}},
                }
            ],
        }
    )


def photos_as_files(good: list[bytes], bad: list[bytes]) -> None:
    """Let schemathesis send these image files, and any bytes, where a file is asked for.

    Where a text in Base64 is, too, and there any other text as well.
    """
    files = st.sampled_from(good) | st.sampled_from(bad) | st.binary(max_size=200)
    schemathesis.openapi.format("binary", files)
    texts = files.map(lambda file: base64.b64encode(file).decode("ascii"))
    schemathesis.openapi.format(BASE64, texts | st.text(max_size=200))


def with_file_format(document: dict[str, Any]) -> dict[str, Any]:
    """The same description in which files have formats, which schemathesis can be told to make.

    OpenAPI 3.1 spells them as media type and encoding, and for these it makes text alone.
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
        if kept.get("contentEncoding") == BASE64:
            del kept["contentEncoding"]
            kept["format"] = BASE64
        return kept

    mended: dict[str, Any] = renamed(document)
    return mended


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: Case) -> bool:
    """Leave out forms that are not what they are said to be.

    A list of nothing sends nothing, and an empty field counts as not given, as the forms say: both
    are called invalid, and are not.
    """
    del context
    fields = case.body.values() if isinstance(case.body, dict) else ()
    return case.media_type != FORM or not any(_sends_nothing(value) for value in fields)


def _sends_nothing(value: Any) -> bool:
    if isinstance(value, list):
        return all(_sends_nothing(item) for item in value)
    # A file is a text for schemathesis, and as such empty.
    return value == {} or (type(value) is str and value == "")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The service to ask: at base_url, or `app` in this process. document: its description.

    words, headers: see config().
    """

    document: dict[str, Any]
    base_url: str | None = None
    app: Any = None
    words: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def schema(self, *, examples: int, seed: int) -> BaseSchema:
        """What schemathesis works on."""
        settings = config(examples=examples, seed=seed, words=self.words, headers=self.headers)
        if self.base_url is not None:
            settings.projects.default.update(base_url=self.base_url)
        document = with_file_format(self.document)
        schema = schemathesis.openapi.from_dict(document, config=settings)
        schema.app = self.app
        return schema


def run(target: Target, report: Report, *, examples: int, seed: int) -> None:
    """All phases over every operation; each is asked `examples` times at least, and so many chains.

    An operation that takes little has few different requests: those are sent again.
    """
    asked: dict[str, list[Case]] = {}
    schema = target.schema(examples=examples, seed=seed)
    _execute(schema, report, asked)
    # Hypothesis gives up early where most chains turn out to be no chains.
    for more in range(1, MORE_CHAINS + 1):
        if report.chains >= examples or schema.statistic.transitions.total == 0:
            break
        further = target.schema(examples=examples, seed=seed + more)
        further.config.phases.update(phases=["stateful"])
        _execute(further, report, asked)
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


def _execute(schema: BaseSchema, report: Report, asked: dict[str, list[Case]]) -> None:
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(event, report, asked)
        elif isinstance(event, (events.NonFatalError, events.FatalError, events.Interrupted)):
            _fault(report, getattr(event, "label", "schemathesis"), "the run itself", str(event))


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
            words = failure.message
            _fault(report, case.operation.label, type(failure).__name__, words, shown(case))


def _note(event: events.ScenarioFinished, report: Report, asked: dict[str, list[Case]]) -> None:
    """Count the requests of `event`, keep some of each operation, and what was wrong."""
    recorder = event.recorder
    cases = [node.value for node in recorder.cases.values()]
    if event.phase.value == "stateful":
        report.chains += len(cases) > 1
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
        case = recorder.cases[case_id].value
        for check in checks:
            if check.failure_info is not None:
                words = check.failure_info.failure.message
                if NOT_INVALID in words:
                    continue
                _fault(report, case.operation.label, check.name, words, shown(case))


def shown(case: Case) -> str:
    """What was asked, each file by its first bytes."""
    body = case.body
    if isinstance(body, dict):
        body = {name: _short(value) for name, value in body.items()}
    what = {"query": case.query, "headers": case.headers, "body": body}
    return f"{case.method} {case.formatted_path} {what}"


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(item) for item in value]
    data = getattr(value, "data", value)
    return value if not isinstance(data, bytes) or len(data) < 40 else f"{data[:20]!r}…"


def _count(report: Report, case: Case, response: schemathesis.Response | None) -> None:
    report.examples[case.operation.label] += 1
    if response is not None and response.status_code < 300:
        report.accepted[case.operation.label] += 1


def _fault(report: Report, operation: str, check: str, words: str, sample: str = "") -> None:
    report.faults[Fault(operation=operation, check=check, words=words[:500], sample=sample)] += 1
