"""Requests that no generator of valid or invalid data makes: broken below what a schema can say.

Made of an OpenAPI description: for each operation odd paths, queries, headers and bodies, and for
each path every method.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
NO_METHOD: Final = "BREW"  # HTTP does not know it, so that no route is asked.
UNKNOWN_PATHS: Final = (
    "/nowhere",
    "/v1",
    "/v1/",
    "//",
    "/v1//subjects",
    "/%00",
    "/%ff",
    "/" + "x" * 5000,
)
ODD_TEXTS: Final = (
    b"", b"\x00", b"a\x00b", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"..", b"../../etc",
    b"%", b"null", b"NaN", b"-1", b"1e999", b"9" * 400, b"9" * 5000, b"[]", b"{}", b"' OR 1=1 --",
    b"x" * 5000,
)  # fmt: skip
ODD_JSON: Final = (
    b"", b"null", b"[]", b'"x"', b"1", b"NaN", b"{", b"\xff", b"\xef\xbb\xbf{}", b"[" * 100_000,
    b'{"a":' * 100_000, b'{"a": "\\ud800"}', b'{"\\ud800": 1}', b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 1, "a": 2}',
)  # fmt: skip
ODD_JSON_VALUES: Final = (
    b"null", b"{}", b"[]", b"[[]]", b'""', b"true", b"-1", b"1e999", b"NaN", b"Infinity",
    b"9" * 400, b"9" * 5000, b'"\\ud800"', b'"\\u0000"', b'{"\\ud800": "\\udfff"}',
    b'{"\\u0000": null}', b'{"a": 1e999}', b"[" * 500 + b"]" * 500, b'"' + b"x" * 5000 + b'"',
)  # fmt: skip
ODD_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"accept", b"application/xml"), (b"accept", b"\xff"), (b"accept-encoding", b"identity;q=0"),
    (b"authorization", b"Bearer \xff"), (b"x-api-key", b"\xff"), (b"content-encoding", b"gzip"),
    (b"cookie", b"=;=\xff"), (b"expect", b"a miracle"), (b"host", b"a b"), (b"host", b""),
    (b"idempotency-key", b"\xff"), (b"idempotency-key", b""), (b"idempotency-key", b"x" * 5000),
    (b"if-match", b"\xff"), (b"origin", b"null"), (b"range", b"bytes=9-1"),
    (b"x-forwarded-for", b"\xff"), (b"x-http-method-override", b"DELETE"),
    (b"x-request-id", b"\xff"),
)  # fmt: skip
ODD_CONTENT_TYPES: Final = (
    b"", b";;;", b"\xff", b"application", b"application/json", b"application/json; charset=utf-16",
    b"application/json; charset=nonsense", b"application/x-www-form-urlencoded", b"image/png",
    b"multipart/form-data", b"multipart/form-data; boundary=", b'multipart/form-data; boundary="',
    b"multipart/form-data; boundary=\xff", b"multipart/form-data; boundary=b; charset=nonsense",
    b"multipart/form-data; boundary=b; charset=utf-16",
    b"multipart/form-data; boundary=" + b"b" * 500, b"multipart/mixed; boundary=b", b"text/plain",
)  # fmt: skip
MULTIPART: Final = b"multipart/form-data; boundary=b"


@dataclass(frozen=True, slots=True, kw_only=True)
class RudeRequest:
    """One request. target: path and query as on the wire. path: of the description, None if it has
    none. statuses: that may answer it."""

    name: str
    method: str
    target: str
    statuses: frozenset[int]
    path: str | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    description: dict[str, Any] = field(repr=False)
    path: str
    method: str
    known: dict[str, str]

    @property
    def says(self) -> dict[str, Any]:
        says: dict[str, Any] = self.description["paths"][self.path][self.method.lower()]
        return says

    def request(self, name: str, target: str | None = None, **what: Any) -> RudeRequest:
        return RudeRequest(
            name=name,
            method=self.method,
            target=self.filled() if target is None else target,
            path=self.path,
            statuses=frozenset(map(int, self.says["responses"])),
            **what,
        )

    def filled(self, value: str | None = None) -> str:
        return _filled(self.path, self.known, value)

    def body_schema(self, media_type: str) -> dict[str, Any] | None:
        content = self.says.get("requestBody", {}).get("content", {})
        if media_type not in content:
            return None
        schema: dict[str, Any] = content[media_type]["schema"]
        if "$ref" in schema:
            schema = self.description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema


def rude_requests(
    description: dict[str, Any], photo: bytes, known: dict[str, str]
) -> Iterator[RudeRequest]:
    """All of them. `photo` is a good image file and `known` has ids that are there by the names of
    path parameters, so that what comes after them is reached; deletions come last."""
    not_found, not_allowed = frozenset({404}), frozenset({405})
    for path in UNKNOWN_PATHS:
        yield RudeRequest(name="unknown path", method="GET", target=path, statuses=not_found)
    operations = []
    for path, methods in description["paths"].items():
        target = _filled(path, known, None)
        documented = {method.upper() for method in methods}
        for method in METHODS:
            slash = f"{target}/"
            yield RudeRequest(
                name="a slash too many", method=method, target=slash, statuses=not_found
            )
            if method not in documented:
                yield RudeRequest(
                    name="method", method=method, target=target, path=path, statuses=not_allowed
                )
        yield RudeRequest(
            name="no method of HTTP", method=NO_METHOD, target=target, statuses=frozenset({400})
        )
        operations += [
            _Operation(description=description, path=path, method=method, known=known)
            for method in sorted(documented)
        ]
    for operation in sorted(operations, key=lambda operation: operation.method == "DELETE"):
        yield from _to(operation, photo)


def _to(operation: _Operation, photo: bytes) -> Iterator[RudeRequest]:
    for text in ODD_TEXTS:
        odd = quote(text, safe="")
        if "{" in operation.path and odd not in ("", ".."):
            yield operation.request("path", operation.filled(odd))
        for parameter in operation.says.get("parameters", []):
            if parameter["in"] == "query":
                query = f"{operation.filled()}?{parameter['name']}={odd}"
                yield operation.request(f"query {parameter['name']}", query)
    yield operation.request("unknown query", operation.filled() + "?%ff=%00&&=&a")
    for header in ODD_HEADERS:
        yield operation.request(f"header {header[0].decode()}", headers=[header])
    for content_type in ODD_CONTENT_TYPES:
        for body in (b"", b"{}", b"--b\r\n"):
            yield operation.request("content type", headers=[_kind(content_type)], body=body)
    json_schema = operation.body_schema("application/json")
    if json_schema is not None:
        yield from _json_bodies(operation, json_schema)
    form = operation.body_schema("multipart/form-data")
    if form is not None:
        yield from _multipart_bodies(operation, form, photo)


def _json_bodies(operation: _Operation, schema: dict[str, Any]) -> Iterator[RudeRequest]:
    headers = [_kind(b"application/json")]
    for body in ODD_JSON:
        yield operation.request("JSON", headers=headers, body=body)
    for name in schema.get("properties", {}):
        for value in ODD_JSON_VALUES:
            others = {other: "x" for other in schema.get("required", []) if other != name}
            body = json.dumps(others)[:-1].encode() + (b", " if others else b"")
            body += json.dumps(name).encode() + b": " + value + b"}"
            yield operation.request(f"JSON of {name}", headers=headers, body=body)


def _multipart_bodies(
    operation: _Operation, schema: dict[str, Any], photo: bytes
) -> Iterator[RudeRequest]:
    headers = [_kind(MULTIPART)]
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    files = [name for name, says in properties.items() if is_file(says)]
    good = b"".join(_part(name, photo, b'; filename="x"') for name in files)
    end = b"--b--\r\n"
    bodies = {
        "multipart that is cut": good[: len(good) // 2] or b"--b\r\nContent-Disp",
        "multipart without an end": good,
        "multipart of nothing": end,
        "multipart and more": good + end + b"more",
        "part without a name": good + b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + end,
        "part without headers": good + b"--b\r\n\r\nx\r\n" + end,
        "part with a broken header": good + b"--b\r\n: \xff\r\n\r\nx\r\n" + end,
        "part with an encoding": good
        + b"--b\r\nContent-Disposition: form-data; name=a\r\n"
        + b"Content-Transfer-Encoding: base64\r\n\r\n!\r\n"
        + end,
        "a name of odd bytes": good + _part("\x00", b"x", b"", raw=b"\xff\x00") + end,
        "many fields": good + b"".join(_part(f"f{i}", b"x") for i in range(1100)) + end,
        "many files": b"".join(_part(f"f{i}", b"x", b'; filename="x"') for i in range(1100)) + end,
    }
    for name, body in bodies.items():
        yield operation.request(name, headers=headers, body=body)
    for name in files:
        for odd in (b"\xff", b"\x00", b"", b"../../x", b"x" * 5000, b'\\"', b"\xf0\x9f\x98\x80"):
            body = _part(name, photo, b'; filename="' + odd + b'"') + end
            yield operation.request("file name", headers=headers, body=body)
        yield operation.request("file as text", headers=headers, body=_part(name, b"x") + end)
    for name in properties.keys() - set(files):
        for odd in (*ODD_TEXTS, *ODD_JSON_VALUES):
            yield operation.request(
                f"field {name}", headers=headers, body=good + _part(name, odd) + end
            )
        as_file = _part(name, b"x", b'; filename="x"')
        yield operation.request(f"{name} as a file", headers=headers, body=good + as_file + end)
        twice = _part(name, b"x") * 2
        yield operation.request(f"{name} twice", headers=headers, body=good + twice + end)


def is_file(schema: dict[str, Any]) -> bool:
    """A property of a multipart form that takes a file, or several."""
    return bool(
        schema.get("contentMediaType") == "application/octet-stream"
        or (schema.get("type") == "array" and is_file(schema.get("items", {})))
        or any(is_file(choice) for choice in schema.get("anyOf", []))
    )


def _part(name: str, value: bytes, more: bytes = b"", *, raw: bytes | None = None) -> bytes:
    shown = name.encode() if raw is None else raw
    head = b'--b\r\nContent-Disposition: form-data; name="' + shown + b'"' + more
    return head + b"\r\n\r\n" + value + b"\r\n"


def _kind(content_type: bytes) -> tuple[bytes, bytes]:
    return (b"content-type", content_type)


def _filled(path: str, known: dict[str, str], value: str | None) -> str:
    """The path with every {parameter} replaced by `value`, or by what is known of it."""
    parts = (
        part if not part.startswith("{") else value or known.get(part.strip("{}"), "unknown")
        for part in path.split("/")
    )
    return "/".join(parts)
