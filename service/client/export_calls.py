"""The calls about exports."""

from typing import Any

from service.client.call import Call, answer, content
from service.export_answer import ExportAnswer


def export(*, collection: str | None = None, crops: bool | None = None) -> Call[ExportAnswer]:
    """Write a collection into a gallery file, in the background."""
    wanted: dict[str, Any] = {"collection": collection, "crops": crops}
    return Call(
        method="POST",
        path="/v1/exports",
        json={name: value for name, value in wanted.items() if value is not None},
        parse=answer(ExportAnswer),
    )


def get_export_file(export_id: str) -> Call[bytes]:
    """The gallery file of an export whose job has succeeded; `save_export_file` streams it."""
    return Call(
        method="GET",
        path="/v1/exports/{export_id}/file",
        ids={"export_id": export_id},
        parse=content,
    )
