"""The OpenAPI description, made true where the framework says more than HTTP can.

A form field or a query parameter is text or a file: null cannot be sent in it, only left out. And a
form in which nothing is required may be absent as a whole. Keys are looked at outside of routes.
"""

from typing import Any, Final

from fastapi import FastAPI

from service.access.gate import KEY_HEADER
from service.access.scopes import OPEN, OPERATIONS, WHOLE_SERVICE

FORM: Final = "multipart/form-data"
EMPTY_FIELDS: Final = " An empty field counts as one that is not given, as browsers send it."
NULL: Final = {"type": "null"}
SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key"},
    "api_key": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "the same"},
}
# What any operation that needs a key may answer.
REFUSALS: Final = {
    "401": "No key, or one that is not known",
    "403": "The key is not for this",
    "429": "The key has asked too often",
}


class DescribedApp(FastAPI):
    """A FastAPI application whose description promises what can be sent."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made at the first call."""
        if self.openapi_schema is None:
            _mend(super().openapi())
        document = self.openapi_schema
        assert document is not None
        return document


def _mend(document: dict[str, Any]) -> None:
    schemas = document.get("components", {}).get("schemas", {})
    document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
    for operations in document["paths"].values():
        for operation in operations.values():
            _tell_key(operation)
            for parameter in operation.get("parameters", []):
                _drop_null(parameter["schema"])
            body = operation.get("requestBody", {})
            if FORM in body.get("content", {}):
                form = schemas[body["content"][FORM]["schema"]["$ref"].rpartition("/")[2]]
                for field in form["properties"].values():
                    _drop_null(field)
                if EMPTY_FIELDS not in form["description"]:
                    form["description"] += EMPTY_FIELDS
                body["required"] = bool(form.get("required"))


def _tell_key(operation: dict[str, Any]) -> None:
    """Say which key an operation needs, and how it answers without, in place."""
    name = operation["operationId"]
    scopes = OPERATIONS[name]
    if scopes == OPEN:
        operation["security"] = []
        return
    operation["security"] = [{scheme: []} for scheme in SECURITY_SCHEMES]
    words = " or ".join(f"`{scope}`" for scope in scopes)
    whole = " that is for all collections" if name in WHOLE_SERVICE else ""
    operation["description"] += f"\n\nScope of the key{whole}: {words}."
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, description in REFUSALS.items():
        operation["responses"][status] = {"description": description, "content": content}


def _drop_null(schema: dict[str, Any]) -> None:
    """Take null out of the alternatives, in place; the only one left needs no anyOf."""
    choices = [choice for choice in schema.pop("anyOf", []) if choice != NULL]
    if len(choices) == 1:
        schema.update(choices[0] | schema)
    elif choices:
        schema["anyOf"] = choices
