"""The OpenAPI description, made true where the framework says more than HTTP can.

A form field or a query parameter is text or a file: null cannot be sent in it, only left out. And a
form in which nothing is required may be absent as a whole.
"""

from typing import Any, Final

from fastapi import FastAPI

FORM: Final = "multipart/form-data"
EMPTY_FIELDS: Final = " An empty field counts as one that is not given, as browsers send it."
NULL: Final = {"type": "null"}


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
    for operations in document["paths"].values():
        for operation in operations.values():
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


def _drop_null(schema: dict[str, Any]) -> None:
    """Take null out of the alternatives, in place; the only one left needs no anyOf."""
    choices = [choice for choice in schema.pop("anyOf", []) if choice != NULL]
    if len(choices) == 1:
        schema.update(choices[0] | schema)
    elif choices:
        schema["anyOf"] = choices
