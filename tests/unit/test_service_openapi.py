"""The API that is served is the one that docs/openapi.json shows."""

import json
from typing import Any

import pytest

from benchmarks.openapi import SNAPSHOT, schema
from tests.conftest import Api

SNAP: dict[str, Any] = json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_the_running_service_describes_itself_as_the_snapshot_does(api: Api) -> None:
    served = api.get("/openapi.json")
    assert served.status_code == 200
    assert served.json() == SNAP, "The API has changed: run `make openapi` and read the difference."
    assert schema() == SNAP


def test_the_snapshot_has_every_route() -> None:
    routes = {(method, path) for path, methods in SNAP["paths"].items() for method in methods}
    assert routes == {
        ("post", "/v1/enroll"),
        ("post", "/v1/identify"),
        ("post", "/v1/identify/batch"),
        ("post", "/v1/feedback"),
        ("get", "/v1/feedback"),
        ("delete", "/v1/feedback/{feedback_id}"),
        ("post", "/v1/verify"),
        ("post", "/v1/detect"),
        ("post", "/v1/embed"),
        ("get", "/v1/subjects"),
        ("get", "/v1/subjects/{subject_id}"),
        ("patch", "/v1/subjects/{subject_id}"),
        ("delete", "/v1/subjects/{subject_id}"),
        ("post", "/v1/subjects/{subject_id}/merge"),
        ("get", "/v1/subjects/{subject_id}/templates"),
        ("get", "/v1/templates/{template_id}"),
        ("get", "/v1/templates/{template_id}/crop"),
        ("delete", "/v1/templates/{template_id}"),
        ("get", "/v1/collections"),
        ("post", "/v1/collections"),
        ("get", "/v1/collections/{collection_id}"),
        ("delete", "/v1/collections/{collection_id}"),
        ("get", "/v1/bundles"),
        ("post", "/v1/collections/{collection_id}/calibrations"),
        ("get", "/v1/collections/{collection_id}/calibrations"),
        ("post", "/v1/collections/{collection_id}/health-reports"),
        ("post", "/v1/collections/{collection_id}/rekey"),
        ("post", "/v1/collections/{collection_id}/reembed"),
        ("get", "/v1/collections/{collection_id}/reembed"),
        ("delete", "/v1/collections/{collection_id}/reembed"),
        ("post", "/v1/collections/{collection_id}/reembed/switch"),
        ("post", "/v1/collections/{collection_id}/reembed/rollback"),
        ("delete", "/v1/collections/{collection_id}/reembed/former"),
        ("post", "/v1/imports"),
        ("get", "/v1/imports/{import_id}/report"),
        ("post", "/v1/exports"),
        ("get", "/v1/exports/{export_id}/file"),
        ("get", "/v1/jobs/{job_id}"),
        ("post", "/v1/keys"),
        ("get", "/v1/keys"),
        ("delete", "/v1/keys/{key_id}"),
        ("get", "/v1/audit"),
        ("get", "/v1/subjects/{subject_id}/erasure"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }


@pytest.mark.parametrize("path", SNAP["paths"])
def test_every_route_says_in_words_what_it_does_and_how_it_fails(path: str) -> None:
    for operation in SNAP["paths"][path].values():
        assert operation["description"]
        assert operation["tags"]
        for status, answer in operation["responses"].items():
            if status >= "4":
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}


def test_a_problem_is_described_once() -> None:
    fields = SNAP["components"]["schemas"]["Problem"]["properties"].keys()
    assert {"type", "title", "status", "detail", "instance", "code", "request_id"} <= fields


def test_the_page_of_the_documentation_is_served(api: Api) -> None:
    answer = api.get("/docs")
    assert answer.status_code == 200
    assert "OneGlance" in answer.text
