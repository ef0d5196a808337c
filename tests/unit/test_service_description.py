"""The description promises what HTTP can carry; a 405 names all methods of its path."""

from typing import Any

import pytest

from benchmarks.openapi import schema
from tests.conftest import Api, check_problem, face_photo

DOCUMENT = schema()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    pytest.param(operation, id=f"{method} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def form_of(operation: dict[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" not in content:
        return None
    form: dict[str, Any] = SCHEMAS[
        content["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    ]
    return form


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_that_is_sent_as_text_can_be_null(operation: dict[str, Any]) -> None:
    sent = [parameter["schema"] for parameter in operation.get("parameters", [])]
    form = form_of(operation)
    if form is not None:
        sent += form["properties"].values()
        assert operation["requestBody"]["required"] is bool(form.get("required"))
    for says in sent:
        assert {"type": "null"} not in says.get("anyOf", [])
        assert says.keys() & {"type", "anyOf", "$ref", "enum", "const"}, says


def test_what_stays_of_a_field_that_may_be_absent() -> None:
    threshold = SCHEMAS["IdentifyForm"]["properties"]["threshold"]
    assert threshold["type"] == "number"
    assert (threshold["minimum"], threshold["maximum"]) == (0, 1)
    assert threshold["description"]


def test_an_empty_field_counts_as_not_given_and_the_forms_say_so(api: Api) -> None:
    assert "empty field" in SCHEMAS["IdentifyForm"]["description"]
    empty = {"mode": "", "threshold": "", "collection": "", "top_k": ""}
    assert api.identify(face_photo(1), **empty).json()["threshold"]["source"] == "default"
    assert api.enroll(face_photo(1), subject_id="", name="").json()["subject"]["name"] is None


def test_null_stays_where_json_can_carry_it() -> None:
    assert {"type": "null"} in SCHEMAS["SubjectPatch"]["properties"]["name"]["anyOf"]


def test_a_calibration_may_be_asked_for_without_a_body(api: Api) -> None:
    path = "/v1/collections/{collection_id}/calibrations"
    assert DOCUMENT["paths"][path]["post"]["requestBody"]["required"] is False
    assert api.post("/v1/collections/default/calibrations").status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/subjects/x", "DELETE, GET, PATCH"),
        ("OPTIONS", "/v1/collections", "GET, POST"),
        ("HEAD", "/v1/collections/default/calibrations", "GET, POST"),
        ("POST", "/healthz", "GET"),
        ("BREW", "/v1/enroll", "POST"),
    ],
)
def test_a_405_names_all_methods_of_its_path(
    api: Api, method: str, path: str, allowed: str
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/v1/subjects/", "/healthz/", "/v1/enroll/", "/docs/"])
def test_a_slash_too_many_is_a_path_that_is_not_there(api: Api, path: str) -> None:
    check_problem(api.get(path), 404, "not_found")
