"""Examples of docs/api.md: read from the document, sent to a service, compared with its answers.

An example is a fenced `sh` block with one curl command, a paragraph that begins with the status in
bold, and, where the answer is JSON, a fenced `json` block. In shown answers:

- an object or list without `…` is shown whole; `…` inside stands for whatever else is in it;
- `…` in a string stands for any text, and alone for any value;
- a string in capitals, as `SUBJECT_ID`, is given its value by the answer that shows it first, is
  the same from then on, and is put into later commands;
- a header `Name: value` in the paragraph is one of the answer;
- numbers are shown for their type alone, any other value for itself.

In a command's JSON `$(base64 -w0 FILE)` stands for that file in Base64, as a shell puts it there.
"""

import argparse
import base64
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx

ELLIPSIS: Final = "…"
LINES: Final = "application/x-ndjson"
ORIGIN: Final = "http://127.0.0.1:8000"

_EXAMPLE = re.compile(
    r"^```sh\n(?P<command>(?:(?!^```).*\n)+)^```\n"
    r"(?:\n\*\*(?P<status>\d{3})\*\*(?P<words>.*\n(?:.+\n)*)"
    r"(?:\n^```json\n(?P<answer>(?:(?!^```).*\n)+)^```\n)?)?",
    re.MULTILINE,
)
_HEADER = re.compile(r"`([A-Z][\w-]+): ([^`]+)`")
_BASE64 = re.compile(r"\$\(base64 -w0 ([\w.-]+)\)")
_NAME = re.compile(r"[A-Z]+(?:_[A-Z]+)+")
# A string of JSON, or the sign outside of one.
_STRING_OR_ELLIPSIS = re.compile(r'"(?:[^"\\]|\\.)*"|…')


class DocumentError(AssertionError):
    """The document cannot be read as examples, or says something else than the service."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file of a form, by the field and the name that the command gives it."""

    field: str
    filename: str


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a curl command sends. path: without the query. body: of JSON, None if there is none."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[tuple[str, str], ...] = ()
    uploads: tuple[Upload, ...] = ()
    body: str | None = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """One command, and what is said of its answer. answer: None where no JSON is shown."""

    line: int
    command: str
    call: Call
    status: int
    words: str
    answer: str | None


class Service(Protocol):
    """What takes requests, as benchmarks.asgi.AsgiClient does."""

    def request(self, method: str, path: str, **what: Any) -> httpx.Response: ...


def examples(document: str) -> Iterator[Example]:
    """All examples in the order of the document. Raises DocumentError for one that is not whole."""
    for found in _EXAMPLE.finditer(document):
        line = document.count("\n", 0, found.start()) + 1
        if found["status"] is None:
            raise DocumentError(f"line {line}: no status is said of {found['command']!r}")
        yield Example(
            line=line,
            command=found["command"],
            call=parse_curl(found["command"]),
            status=int(found["status"]),
            words=found["words"],
            answer=found["answer"],
        )


class _Curl(argparse.ArgumentParser):
    """Those options of curl that the examples have."""

    def __init__(self) -> None:
        super().__init__("curl", add_help=False, allow_abbrev=False)
        self.add_argument("-X", dest="method")
        self.add_argument("-H", dest="headers", action="append", default=[])
        self.add_argument("-F", dest="form", action="append", default=[])
        self.add_argument("--json")
        self.add_argument("-o", dest="output")
        self.add_argument("url")

    def error(self, message: str) -> NoReturn:
        raise DocumentError(message)


def parse_curl(command: str) -> Call:
    """What curl would send. Raises DocumentError for options that are not known here."""
    program, *words = shlex.split(command.replace("\\\n", " "))
    if program != "curl":
        raise DocumentError(f"not a curl command: {command!r}")
    given = _Curl().parse_args(words)
    if not given.url.startswith(ORIGIN + "/"):
        raise DocumentError(f"no address of the service in {command!r}")
    url = urlsplit(given.url)
    headers = {name.lower(): value for name, value in _pairs(given.headers, ": ")}
    if given.json is not None:
        headers["content-type"] = "application/json"
    form = _pairs(given.form, "=")
    sends = given.json is not None or form
    return Call(
        method=given.method or ("POST" if sends else "GET"),
        path=url.path,
        query=tuple(parse_qsl(url.query, keep_blank_values=True)),
        headers=headers,
        fields=tuple((name, value) for name, value in form if not value.startswith("@")),
        uploads=tuple(
            Upload(field=name, filename=value[1:]) for name, value in form if value.startswith("@")
        ),
        body=given.json,
    )


def _pairs(texts: list[str], between: str) -> list[tuple[str, str]]:
    parted = (text.partition(between) for text in texts)
    return [(name, value) for name, _, value in parted]


def operation_of(schema: Mapping[str, Any], call: Call) -> tuple[str, str]:
    """(method, path template) of an OpenAPI document. Raises DocumentError if it has none."""
    for template, operations in schema["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, call.path) and call.method.lower() in operations:
            known = {p["name"] for p in operations[call.method.lower()].get("parameters", ())}
            unknown = [name for name, _ in call.query if name not in known]
            if unknown:
                raise DocumentError(f"{call.method} {template} takes no {unknown}")
            return call.method.lower(), template
    raise DocumentError(f"the API has no {call.method} {call.path}")


def all_operations(schema: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(method, path template) of everything that an OpenAPI document has."""
    return {(method, path) for path, methods in schema["paths"].items() for method in methods}


class Checker:
    """Sends examples to a service, and remembers what their names stand for.

    photo: the bytes of a file by its name. before: hears each call, its names filled in.
    """

    def __init__(
        self,
        service: Service,
        photo: Callable[[str], bytes],
        before: Callable[[Call], None] = lambda call: None,
    ) -> None:
        self._service, self._photo, self._before = service, photo, before
        self.values: dict[str, Any] = {}

    def check(self, example: Example) -> None:
        """Raises DocumentError if the service answers otherwise than is shown."""
        call = parse_curl(self._filled(example.command))
        self._before(call)
        answer = self._send(call)
        where = f"line {example.line}, {call.method} {call.path}"
        if answer.status_code != example.status:
            raise DocumentError(
                f"{where}: {answer.status_code}, not {example.status}: {answer.text[:600]}"
            )
        is_json = "json" in answer.headers.get("content-type", "")
        if is_json != (example.answer is not None):
            raise DocumentError(f"{where}: JSON is {'not ' if is_json else ''}shown: {answer.text}")
        if example.answer is not None:
            self._compare_bodies(example.answer, answer, where)
        for name, value in _HEADER.findall(example.words):
            given = answer.headers.get(name)
            _require(given == self._filled(value), f"{where}: {name} is {given}, not {value}")

    def _compare_bodies(self, shown: str, answer: httpx.Response, where: str) -> None:
        if answer.headers["content-type"] == LINES:
            texts = answer.text.splitlines()
            lines = [shown_json(line) for line in shown.splitlines()]
            self._compare(lines, [json.loads(text) for text in texts], where)
        else:
            self._compare(shown_json(shown), answer.json(), where)

    def _filled(self, text: str) -> str:
        def value(found: re.Match[str]) -> str:
            if found[0] not in self.values:
                raise DocumentError(f"nothing has shown {found[0]} before {text!r}")
            return str(self.values[found[0]])

        return _NAME.sub(value, text)

    def _send(self, call: Call) -> httpx.Response:
        what: dict[str, Any] = {"headers": dict(call.headers)}
        if call.query:
            what["params"] = list(call.query)
        if call.body is not None:
            what["content"] = _BASE64.sub(self._base64, call.body).encode()
        if call.fields or call.uploads:
            # A form without a file is multipart all the same, as curl's is.
            files: list[tuple[str, Any]] = [(n, (None, v.encode())) for n, v in call.fields]
            files += [(u.field, (u.filename, self._photo(u.filename))) for u in call.uploads]
            what["files"] = files
        return self._service.request(call.method, call.path, **what)

    def _base64(self, found: re.Match[str]) -> str:
        return base64.b64encode(self._photo(found[1])).decode()

    def _compare(self, shown: Any, given: Any, where: str) -> None:
        if shown == ELLIPSIS:
            return
        if isinstance(shown, dict):
            self._compare_objects(shown, given, where)
        elif isinstance(shown, list):
            self._compare_lists(shown, given, where)
        elif isinstance(shown, str):
            self._compare_texts(shown, given, where)
        elif isinstance(shown, bool) or shown is None:
            _require(given is shown, f"{where} is {given!r}, not {shown!r}")
        else:
            kinds = int if isinstance(shown, int) else (int, float)
            is_number = isinstance(given, kinds) and not isinstance(given, bool)
            _require(is_number, f"{where} is {given!r}, no number as {shown!r}")

    def _compare_objects(self, shown: dict[str, Any], given: Any, where: str) -> None:
        _require(isinstance(given, dict), f"{where} is {given!r}, no object")
        # In the order of the document, in which names are given their values.
        keys = [key for key in shown if key != ELLIPSIS]
        missing = shown.keys() - {ELLIPSIS} - given.keys()
        _require(not missing, f"{where} has no {sorted(missing)}")
        hidden = given.keys() - shown.keys()
        _require(ELLIPSIS in shown or not hidden, f"{where} does not show {sorted(hidden)}")
        for key in keys:
            self._compare(shown[key], given[key], f"{where}: {key}")

    def _compare_lists(self, shown: list[Any], given: Any, where: str) -> None:
        _require(isinstance(given, list), f"{where} is {given!r}, no list")
        items = shown[:-1] if shown[-1:] == [ELLIPSIS] else shown
        _require(
            len(items) <= len(given) if items is not shown else len(items) == len(given),
            f"{where} has {len(given)} items, not {len(items)}",
        )
        for index, item in enumerate(items):
            self._compare(item, given[index], f"{where}[{index}]")

    def _compare_texts(self, shown: str, given: Any, where: str) -> None:
        _require(isinstance(given, str), f"{where} is {given!r}, no text")
        for name in dict.fromkeys(_NAME.findall(shown)):
            if name not in self.values:
                _require(shown == name, f"{where}: {name} is shown first inside another text")
                self.values[name] = given
        parts = self._filled(shown).split(ELLIPSIS)
        pattern = ".+".join(map(re.escape, parts))
        _require(
            re.fullmatch(pattern, given, re.DOTALL) is not None,
            f"{where} is {given!r}, not {shown!r}",
        )


def shown_json(text: str) -> Any:
    """JSON that is shortened by `…`. Raises DocumentError for what is none."""

    def quoted(found: re.Match[str]) -> str:
        if found[0] != ELLIPSIS:
            return found[0]
        before, after = text[: found.start()].rstrip()[-1:], text[found.end() :].lstrip()[:1]
        # In an object `…` stands where a key would: after the brace or a comma, before the brace.
        return f'"{ELLIPSIS}": 0' if after == "}" and before in "{," else f'"{ELLIPSIS}"'

    try:
        return json.loads(_STRING_OR_ELLIPSIS.sub(quoted, text))
    except ValueError as error:
        raise DocumentError(f"not JSON: {error}: {text}") from error


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DocumentError(otherwise)
