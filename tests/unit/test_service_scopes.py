"""Every operation has its scope, and a key of another one is refused it."""

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from service.access.gate import OPEN_PATHS, is_open
from service.access.scopes import ADMIN, OPEN, OPERATIONS, SCOPES, WHOLE_SERVICE, Scope
from service.refusal import COMPREFACE
from tests.conftest import Api, ApiMaker, check_problem
from tests.keyed import ADMIN_KEY, bearer, made

IDS = "0" * 32


def routes_of(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """All of them, those of included routers, too."""
    for route in routes:
        inside = getattr(route, "original_router", None)
        if inside is None:
            yield route
        else:
            yield from routes_of(inside.routes)


def operation_of(route: APIRoute) -> str:
    return f"compreface.{route.name}" if route.path.startswith(COMPREFACE) else route.name


@pytest.fixture
def keyed(make_api: ApiMaker) -> Api:
    return make_api(admin_key=ADMIN_KEY)


def test_every_route_has_an_entry_and_every_entry_a_route(api: Api) -> None:
    found = list(routes_of(api.app.routes))
    operations = {operation_of(route) for route in found if isinstance(route, APIRoute)}
    assert operations == set(OPERATIONS)
    others = {route.path for route in found if not isinstance(route, APIRoute)}  # type: ignore[attr-defined]
    assert others < OPEN_PATHS
    assert set(OPERATIONS) >= WHOLE_SERVICE


def test_what_needs_no_key_is_what_operators_and_readers_need(api: Api) -> None:
    needs_none = {name for name, scopes in OPERATIONS.items() if scopes == OPEN}
    assert needs_none == {"healthz", "readyz", "page", "page_file"}
    for route in routes_of(api.app.routes):
        if isinstance(route, APIRoute):
            assert is_open(route.path) == (OPERATIONS[operation_of(route)] == OPEN)


def test_each_operation_lets_in_its_scopes_and_no_other(keyed: Api) -> None:
    keys = {scope: made(keyed, scope) for scope in SCOPES}
    asked = 0
    for route in routes_of(keyed.app.routes):
        if not isinstance(route, APIRoute):
            continue
        operation = operation_of(route)
        needed = OPERATIONS[operation]
        path = route.path_format.format(**dict.fromkeys(route.param_convertors, IDS))
        (method,) = route.methods
        for scope, key in keys.items():
            refused = bool(needed) and scope not in (*needed, *ADMIN)
            headers = {"x-api-key": key} | kind_of(operation)
            answer = keyed.request(method, path, headers=headers)
            assert (answer.status_code == 403) == refused, (operation, scope, answer.text)
            if refused and not path.startswith(COMPREFACE):
                problem = check_problem(answer, 403, "scope_missing")
                assert problem["errors"] == [{"scope": word} for word in needed]
                assert all(word in problem["detail"] for word in needed)
            asked += 1
    assert asked > 5 * 50


def kind_of(operation: str) -> dict[str, str]:
    """What leads to the route of JSON where a path has two."""
    return {"content-type": "application/json"} if "base64" in operation else {}


@pytest.mark.parametrize("operation", sorted(WHOLE_SERVICE))
def test_the_whole_service_is_for_keys_of_all_collections(keyed: Api, operation: str) -> None:
    scopes: tuple[Scope, ...] = ("admin", "metrics")
    here, everywhere = made(keyed, *scopes, collections=["default"]), made(keyed, *scopes)
    for route in routes_of(keyed.app.routes):
        if isinstance(route, APIRoute) and route.name == operation:
            path, (method,) = route.path.format(key_id=IDS), route.methods
            refused = keyed.request(method, path, headers=bearer(here))
            check_problem(refused, 403, "collection_forbidden")
            assert keyed.request(method, path, headers=bearer(everywhere)).status_code != 403


def test_the_description_says_of_every_operation_which_key_it_needs(keyed: Api) -> None:
    document = keyed.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "api_key"}
    for methods in document["paths"].values():
        for operation in methods.values():
            needed = OPERATIONS[operation["operationId"]]
            if needed == OPEN:
                assert operation["security"] == []
                assert not {"401", "403", "429"} & set(operation["responses"])
                continue
            assert operation["security"] == [{"bearer": []}, {"api_key": []}]
            assert {"401", "403", "429"} <= set(operation["responses"])
            assert all(f"`{scope}`" in operation["description"] for scope in needed)
