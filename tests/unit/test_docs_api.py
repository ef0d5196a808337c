"""docs/api.md is true: its examples are sent to the service, its tables are the code's."""

import http
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.openapi import SNAPSHOT
from service.problems import INTERNAL, TABLE
from service.settings import Settings
from tests.calibrated import calibration, measured
from tests.conftest import Api, ApiMaker, BundleMaker, Face, face_photo
from tests.documented import (
    Call,
    Checker,
    DocumentError,
    Example,
    Upload,
    all_operations,
    examples,
    operation_of,
    parse_curl,
    shown_json,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
SCHEMA: dict[str, Any] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
WAIT_S = 60.0

# A photo's people, from left to right, as seeds of faces. ada-2.jpg is another photo of ada.jpg.
PHOTOS: dict[str, tuple[Face | int, ...]] = {
    "ada.jpg": (1,),
    "ada-2.jpg": (Face(1, 140, noise=20),),
    "ada-3.jpg": (Face(1, noise=30),),
    "grace.jpg": (2,),
    "group.jpg": (Face(1, 140, noise=20), Face(60, 90)),
    "stranger.jpg": (50,),
}
STAFF = 40


def photo(filename: str) -> bytes:
    """The bytes of a file that an example sends."""
    if filename == "photos.zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("1917/joan.jpg", face_photo(3))
            archive.writestr("1917/notes.jpg", b"Not a picture.\n")
        return packed.getvalue()
    if filename == "notes.txt":
        return b"Not a picture.\n"
    return face_photo(*PHOTOS[filename])


def documented() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture
def service(make_api: ApiMaker, make_bundle: BundleMaker) -> Api:
    """The service of the document: its bundles, and 40 people with two photos each in `staff`."""
    world = calibration(measured(10, 4_000), measured(100, 3_000), measured(1_000, 1_000))
    further = (
        make_bundle(fit="pad", name="oneglance-simpsons"),
        make_bundle(drift=1.0, name="oneglance-faces-resnet"),
    )
    api = make_api(
        bundle_path=make_bundle(calibration=world, name="oneglance-faces"),
        further_bundle_paths=",".join(map(str, further)),
    )
    assert api.post("/v1/collections", json={"id": "staff"}).status_code == 201
    gallery = api.runtime.collections.of("staff").gallery
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((STAFF, 64))
    # One of them is enrolled twice.
    centres[-1] = centres[0]
    for number, centre in enumerate(centres):
        rows = centre + 0.5 * rng.standard_normal((2, 64))
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        gallery.enroll(unit.astype(np.float32), subject_id=f"s{number}")
    return api


def checker(api: Api) -> Checker:
    """Asks for a job once it has ended."""

    def before(call: Call) -> None:
        found = re.fullmatch(r"/v1/jobs/(\w+)", call.path)
        if found and call.method == "GET":
            assert api.runtime.jobs.wait(found[1], timeout_s=WAIT_S).ended

    return Checker(api, photo, before)


def test_the_service_answers_as_the_document_says(service: Api) -> None:
    asks = checker(service)
    for example in examples(documented()):
        asks.check(example)


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ('"template_count": 1, ', "", "does not show ['template_count']"),
        ('"external_id"', '"externalId"', "has no ['externalId']"),
        ('"gallery_revision": 1', '"gallery_revision": "1"', "no text"),
        ("**201**", "**200**", "201, not 200"),
        ("external_id=1815", "externalid=1815", "422, not 201"),
        ("@notes.txt", "@ada.jpg", "accepted has 2 items, not 1"),
    ],
)
def test_a_document_that_is_not_true_is_found_out(
    service: Api, written: str, instead: str, said: str
) -> None:
    assert written in documented()
    first = next(examples(documented().replace(written, instead, 1)))
    with pytest.raises(DocumentError) as told:
        checker(service).check(first)
    assert said in str(told.value)


def test_every_operation_has_an_example_below_its_own_heading() -> None:
    shown = {operation_of(SCHEMA, example.call) for example in examples(documented())}
    assert shown == all_operations(SCHEMA), "docs/api.md lacks these, or shows too many"
    headings = re.findall(r"^### ([A-Z]+) (\S+)$", documented(), re.MULTILINE)
    assert {(m.lower(), p) for m, p in headings} == all_operations(SCHEMA)
    assert len(headings) == len(set(headings))


def asked_for(operation: dict[str, Any]) -> set[str]:
    """Names of all that a request may say: parameters, form fields, keys of its JSON."""
    named = {p["name"] for p in operation.get("parameters", ()) if p["in"] != "path"}
    for body in operation.get("requestBody", {}).get("content", {}).values():
        model = SCHEMA["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        named |= model["properties"].keys()
    return named


@pytest.mark.parametrize("operation", sorted(all_operations(SCHEMA)), ids=" ".join)
def test_all_that_a_request_may_say_is_named_in_its_section(operation: tuple[str, str]) -> None:
    method, path = operation
    section = documented().split(f"\n### {method.upper()} {path}\n")[1].split("\n##")[0]
    # What is meant by it is said once, for all operations.
    names = asked_for(SCHEMA["paths"][path][method]) - {"collection"}
    words = {*re.findall(r"[A-Za-z][\w-]*", section)}
    if "Idempotency-Key" in names:
        words |= {*re.findall(r"[A-Z][a-z]+-Key", documented())}
    assert names <= words


def test_every_shell_block_of_the_document_is_an_example() -> None:
    assert documented().count("```sh\n") == len(list(examples(documented())))
    assert documented().count("```json\n") == sum(
        example.answer is not None for example in examples(documented())
    )


def rows(heading: str) -> set[tuple[str, ...]]:
    """Cells of the table below a heading, without those two rows that head it."""
    section = documented().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return {tuple(cell.strip(" `") for cell in line.split("|")[1:-1]) for line in lines[2:]}


def test_the_table_of_problems_is_the_services() -> None:
    ours = {(str(kind.status), kind.code, kind.title) for kind in (*TABLE.values(), INTERNAL)}
    frameworks = {
        (str(status), status.phrase.lower().replace(" ", "_"), status.phrase)
        for status in map(http.HTTPStatus, (400, 404, 405))
    }
    assert rows("Statuses and problems") == ours | frameworks


def test_every_status_of_the_description_is_in_the_table_of_problems() -> None:
    answers = [
        status
        for path, method in ((p, m) for m, p in all_operations(SCHEMA))
        for status in SCHEMA["paths"][path][method]["responses"]
        if status >= "4"
    ]
    assert set(answers) <= {status for status, *_ in rows("Statuses and problems")}


def test_the_table_of_limits_is_that_of_the_settings() -> None:
    fields = Settings.model_fields
    limits = {
        (name, _shown(field.default), field.description)
        for name, field in fields.items()
        if name.startswith("max_")
    }
    assert rows("Limits") == limits


def _shown(default: int | None) -> str:
    return "by the workers" if default is None else f"{default:,}"


def test_the_settings_that_are_named_exist() -> None:
    named = re.findall(r"`(\w+_(?:s|ms|hours|bytes|pixels))`", documented())
    assert {"idempotency_keep_s", "max_image_bytes"} <= {*named}
    assert {*named} <= Settings.model_fields.keys()


def answering(status: int, body: Any = None, **headers: str) -> Any:
    """A service that always answers so."""

    class Fixed:
        def request(self, method: str, path: str, **what: Any) -> httpx.Response:
            if body is None:
                return httpx.Response(status, headers=headers)
            return httpx.Response(status, json=body, headers=headers)

    return Fixed()


def example_of(answer: str | None, status: str = "200", words: str = ":") -> Example:
    block = "" if answer is None else f"\n```json\n{answer}\n```\n"
    text = f"```sh\ncurl http://127.0.0.1:8000/v1/x\n```\n\n**{status}**{words}\n{block}"
    (example,) = examples(text)
    return example


def wrong(shown: str | None, given: Any, **more: str) -> str:
    """What is said against a document that shows this, where the service gives that; '' if none."""
    try:
        Checker(answering(200, given), photo).check(example_of(shown, **more))
    except DocumentError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        ('{"a": 1, "b": 0.5}', {"a": 7, "b": 1}),
        ('{"a": 1, …}', {"a": 7, "b": 1}),
        ("{…}", {"a": 7}),
        ("{…}", {}),
        ("[1, …]", [1, "x"]),
        ("[…]", []),
        ('{"a": …}', {"a": None}),
        ('{"a": "…"}', {"a": [1]}),
        ('{"a": "x@…"}', {"a": "x@1"}),
        ('{"a": null, "b": true}', {"a": None, "b": True}),
        ('{"a": "AN_ID", "b": "is AN_ID"}', {"a": "7f", "b": "is 7f"}),
    ],
)
def test_a_true_answer_is_taken(shown: str, given: Any) -> None:
    assert wrong(shown, given) == ""


@pytest.mark.parametrize(
    ("shown", "given", "said"),
    [
        ('{"a": 1}', {"b": 1}, "has no ['a']"),
        ('{"a": 1}', {"a": 1, "b": 1}, "does not show ['b']"),
        ('{"a": {"b": 1, …}}', {"a": {"c": 1}}, "a has no ['b']"),
        ('{"a": 1}', {"a": "1"}, "no number"),
        ('{"a": 1}', {"a": 1.5}, "no number"),
        ('{"a": 1}', {"a": True}, "no number"),
        ('{"a": "x"}', {"a": "y"}, "not 'x'"),
        ('{"a": "x"}', {"a": 1}, "no text"),
        ('{"a": "x@…"}', {"a": "y@1"}, "not 'x@…'"),
        ('{"a": null}', {"a": 1}, "not None"),
        ('{"a": true}', {"a": False}, "not True"),
        ('{"a": true}', {"a": 1}, "not True"),
        ("[1]", [1, 2], "2 items, not 1"),
        ("[1, 2, …]", [1], "1 items, not 2"),
        ("[1]", {"a": 1}, "no list"),
        ('{"a": {…}}', {"a": [1]}, "no object"),
        ('{"a": "AN_ID", "b": "AN_ID"}', {"a": "7f", "b": "8f"}, "not 'AN_ID'"),
        (None, {"a": 1}, "JSON is shown"),
    ],
)
def test_an_answer_of_another_shape_is_told(shown: str | None, given: Any, said: str) -> None:
    assert said in wrong(shown, given) or said.replace("shown", "not shown") in wrong(shown, given)


def test_another_status_or_header_is_told() -> None:
    assert "200, not 201" in wrong("{…}", {}, status="201")
    assert "Location is None, not /x" in wrong("{…}", {}, words=" with `Location: /x`:")
    asks = Checker(answering(200, {}, location="/x"), photo)
    asks.check(example_of("{…}", words=" with `Location: /x`:"))


def test_a_name_that_nothing_has_shown_is_told() -> None:
    (example,) = examples("```sh\ncurl http://127.0.0.1:8000/v1/x/AN_ID\n```\n\n**204**\n")
    with pytest.raises(DocumentError, match="nothing has shown AN_ID"):
        Checker(answering(204), photo).check(example)


@pytest.mark.parametrize(
    "command",
    [
        "curl http://127.0.0.1:8000/v1/nothing",
        "curl -X DELETE http://127.0.0.1:8000/v1/enroll",
        "curl http://127.0.0.1:8000/v1/subjects?sort=name",
        "curl http://127.0.0.1:8000/v1/subjects/a/b",
    ],
)
def test_an_operation_or_parameter_that_is_not_there_is_told(command: str) -> None:
    with pytest.raises(DocumentError):
        operation_of(SCHEMA, parse_curl(command))


def test_an_operation_without_an_example_is_found() -> None:
    left_out = re.sub(r"```sh\n[^`]*/v1/embed\n```\n", "", documented())
    shown = {operation_of(SCHEMA, example.call) for example in examples(left_out)}
    assert all_operations(SCHEMA) - shown == {("post", "/v1/embed")}


def test_curl_is_read_as_curl_reads_it() -> None:
    call = parse_curl(
        'curl -H "Idempotency-Key: a b" -F images=@a.jpg -F name="Ada L" \\\n'
        '     -F metadata=\'{"a": "="}\' "http://127.0.0.1:8000/v1/enroll?x=1&y="'
    )
    assert (call.method, call.path) == ("POST", "/v1/enroll")
    assert call.query == (("x", "1"), ("y", ""))
    assert call.headers == {"idempotency-key": "a b"}
    assert call.fields == (("name", "Ada L"), ("metadata", '{"a": "="}'))
    assert call.uploads == (Upload(field="images", filename="a.jpg"),)
    patch = parse_curl("curl -X PATCH --json '{}' http://127.0.0.1:8000/v1/x")
    assert (patch.method, patch.body) == ("PATCH", "{}")
    assert patch.headers == {"content-type": "application/json"}
    assert parse_curl("curl -o a.png http://127.0.0.1:8000/v1/x").method == "GET"


@pytest.mark.parametrize(
    "command",
    [
        "wget http://127.0.0.1:8000/v1/x",
        "curl",
        "curl https://example.org/v1/x",
        "curl --compressed http://127.0.0.1:8000/v1/x",
        "curl http://127.0.0.1:8000/v1/x http://127.0.0.1:8000/v1/y",
    ],
)
def test_a_command_that_cannot_be_sent_is_told(command: str) -> None:
    with pytest.raises(DocumentError):
        parse_curl(command)


def test_an_example_that_says_no_status_is_told() -> None:
    with pytest.raises(DocumentError, match="no status"):
        list(examples("```sh\ncurl http://127.0.0.1:8000/v1/x\n```\n\nIt answers.\n"))


def test_shortened_json_is_read() -> None:
    assert shown_json('{"a": […], "b": {"c": "…, x", …}, "d": …}') == {
        "a": ["…"],
        "b": {"c": "…, x", "…": 0},
        "d": "…",
    }
    with pytest.raises(DocumentError, match="not JSON"):
        shown_json('{"a": }')
