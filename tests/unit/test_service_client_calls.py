"""The client's calls are those of docs/openapi.json: paths, fields, words to choose from, answers.

Nothing is sent here.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from benchmarks.openapi import SNAPSHOT
from service.client import (
    AsyncClient,
    Client,
    audit_calls,
    collection_calls,
    export_calls,
    feedback_calls,
    import_calls,
    key_calls,
    photo_calls,
    reembed_calls,
    rekey_calls,
    service_calls,
    subject_calls,
)
from service.client.call import Call
from service.client.photo import Photo
from service.client.subject_calls import update_subject
from tests.unit.test_training_imports import loaded_by

API = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
BESIDES = {
    "close", "iter_subjects", "save_export_file", "save_import_report", "send", "wait_for_job",
}  # fmt: skip
# Where a name of the API would be a poor one in Python.
NAMES = {"Idempotency-Key": "idempotency_key", ("/v1/collections", "id"): "collection_id"}

# Of answers that are no JSON; all others have no body.
BODIES = {
    "get_crop": bytes,
    "get_import_report": bytes,
    "get_export_file": bytes,
    "get_metrics": str,
}

Builder = Callable[..., Call[Any]]


def builders() -> dict[str, Builder]:
    found = {}
    for module in (
        photo_calls,
        feedback_calls,
        subject_calls,
        collection_calls,
        import_calls,
        export_calls,
        reembed_calls,
        rekey_calls,
        key_calls,
        audit_calls,
        service_calls,
    ):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__:
                found[name] = function
    return found


def given(build: Builder, only: Callable[[inspect.Parameter], bool]) -> dict[str, Any]:
    """A value for each parameter; of text its own name, to be known again."""
    hints = get_type_hints(build)
    parameters = inspect.signature(build).parameters.values()
    return {p.name: sample(p.name, hints[p.name]) for p in parameters if only(p)}


def sample(name: str, hint: Any) -> Any:
    choices = words(hint)
    kinds = get_args(hint)
    if set(get_args(Photo)) <= set(kinds):
        return b"photo"
    if any(get_origin(kind) is Mapping or kind is Mapping for kind in kinds) or "metadata" in name:
        return {"a": 1}
    if any(get_origin(kind) is Sequence for kind in (hint, *kinds)):
        return sorted(choices)[:1] or [name]
    if int in kinds:
        return 3
    if float in kinds:
        return 0.5
    return sorted(choices)[0] if choices else name


def words(hint: Any) -> set[str]:
    """What a Literal inside a hint names."""
    if get_origin(hint) is Literal:
        return {word for word in get_args(hint) if isinstance(word, str)}
    return set().union(*(words(inner) for inner in get_args(hint)))


CALLS = builders()
WHOLE = {name: build(**given(build, lambda _: True)) for name, build in CALLS.items()}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in API["paths"].items()
        for method, operation in methods.items()
    }


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return API["components"]["schemas"][name] if name else schema


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    """Schema of the body, the form where JSON is taken, too; empty where there is none."""
    contents = operation.get("requestBody", {}).get("content", {})
    if len(contents) > 1:
        contents = {"multipart/form-data": contents["multipart/form-data"]}
    for content in contents.values():
        return resolved(content["schema"])
    return {}


def parameters_of(operation: dict[str, Any], where: str) -> set[str]:
    return {p["name"] for p in operation.get("parameters", []) if p["in"] == where}


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_a_client_has_every_call_as_a_method_and_little_else(client: type) -> None:
    methods = {name for name in vars(client) if not name.startswith("_")}
    assert methods == set(CALLS) | BESIDES
    for name, build in CALLS.items():
        shown = inspect.signature(getattr(client, name))
        assert list(shown.parameters) == ["self", *inspect.signature(build).parameters]
        assert getattr(client, name).__doc__ == build.__doc__


def test_the_calls_are_the_operations_of_the_api() -> None:
    made = [(call.method, call.path) for call in WHOLE.values()]
    assert len(set(made)) == len(made)
    assert set(made) == set(operations())


@pytest.mark.parametrize("name", CALLS)
def test_a_call_can_say_all_that_its_operation_takes(name: str) -> None:
    call = WHOLE[name]
    operation = operations()[call.method, call.path]
    sent = {**call.data, **(call.json or {}), **{field: b"" for field, _ in call.files}}
    assert set(sent) == set(body_of(operation).get("properties", {}))
    assert set(call.params) == parameters_of(operation, "query")
    assert set(call.ids) == parameters_of(operation, "path")
    assert set(call.headers) == parameters_of(operation, "header")
    expected = given(CALLS[name], lambda _: True)
    for field, value in {**sent, **call.params, **call.ids, **call.headers}.items():
        mine = expected[NAMES.get(field) or NAMES.get((call.path, field)) or field]
        if isinstance(mine, bytes):
            continue
        assert value in (mine, str(mine), json.dumps(mine)), field


@pytest.mark.parametrize("name", CALLS)
def test_a_call_offers_the_words_that_its_operation_knows(name: str) -> None:
    fields = body_of(operations()[WHOLE[name].method, WHOLE[name].path]).get("properties", {})
    hints = get_type_hints(CALLS[name])
    for field, schema in fields.items():
        offered = schema.get("items", {}).get("enum", []) + schema.get("enum", [])
        assert words(hints.get(field)) == set(offered), field


@pytest.mark.parametrize("name", CALLS)
def test_a_call_answers_with_the_model_of_its_operation(name: str) -> None:
    operation = operations()[WHOLE[name].method, WHOLE[name].path]
    (status,) = {s for s in operation["responses"] if s.startswith("2")} - (
        {"200"} if name in ("enroll", "give_feedback") else set()
    )
    schema = operation["responses"][status].get("content", {}).get("application/json", {})
    (answer,) = get_args(get_type_hints(CALLS[name])["return"])
    if "schema" not in schema:
        assert answer is BODIES.get(name, type(None))
        return
    assert schema["schema"]["$ref"].rpartition("/")[2] == answer.__name__


@pytest.mark.parametrize("name", CALLS)
def test_what_is_not_given_is_not_sent(name: str) -> None:
    build = CALLS[name]
    call = build(**given(build, lambda p: p.default is inspect.Parameter.empty))
    operation = operations()[call.method, call.path]
    needed = set(call.data) | {field for field, _ in call.files} | set(call.json or {})
    assert needed == set(body_of(operation).get("required", []))
    assert call.params == {}


def test_a_change_takes_away_what_is_none_and_keeps_what_is_not_given() -> None:
    assert update_subject("s", name=None).json == {"name": None}
    assert update_subject("s", metadata={}, consent_ref="c").json == {
        "metadata": {},
        "consent_ref": "c",
    }


def test_an_id_stays_one_part_of_the_path() -> None:
    assert subject_calls.get_subject("b?c#d").url == "/v1/subjects/b%3Fc%23d"
    for text in ("", ".", "..", "a/templates"):
        with pytest.raises(ValueError, match="subject_id must be an id"):
            _ = subject_calls.get_subject(text).url


def test_importing_the_client_loads_no_model_and_no_server() -> None:
    loaded = loaded_by(["service.client"])
    assert {"httpx", "pydantic", "service"} <= loaded
    heavy = {"torch", "torchvision", "fastapi", "starlette", "uvicorn", "faiss", "apsw"}
    assert not loaded & (heavy | {"facenet_pytorch", "pydantic_settings", "psycopg"})
