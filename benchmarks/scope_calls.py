"""One call of each operation, with blanks for what it may be about.

A blank is `<collection>`, `<subject>`, `<template>`, `<job>`, `<export>`, `<import>`, `<feedback>`,
`<receipt>`, `<key>` or `<again>`, an Idempotency-Key. A file is `<image>`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

BLANK: Final = re.compile("<([a-z]+)>")
IMAGE: Final = "<image>"
OF_COLLECTION: Final = "?collection=<collection>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is sent. form: fields of a form; files: the names of its files."""

    operation: str
    method: str
    path: str
    form: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def filled(self, values: Mapping[str, str]) -> "Call":
        """With a value in each blank."""

        def fill(text: Any) -> Any:
            if text == IMAGE:
                return text
            if isinstance(text, list):
                return [fill(item) for item in text]
            if not isinstance(text, str):
                return text
            return BLANK.sub(lambda blank: values[blank[1]], text)

        def fill_all(texts: Mapping[str, Any]) -> dict[str, Any]:
            return {name: fill(text) for name, text in texts.items()}

        return replace(
            self,
            path=fill(self.path),
            form=fill_all(self.form),
            json=None if self.json is None else fill_all(self.json),
            headers=fill_all(self.headers),
        )


def _calls() -> list[Call]:
    in_form = {"collection": "<collection>"}
    of_one = "/v1/collections/<collection>"
    compreface = "/api/v1/recognition"
    photo = {"collection": "<collection>", "image": IMAGE}
    photos = {"collection": "<collection>", "images": [IMAGE]}
    again = {"Idempotency-Key": "<again>"}
    rows: list[tuple[str, str, str, dict[str, Any]]] = [
        ("get_metrics", "GET", "/metrics", {}),
        ("identify_faces", "POST", "/v1/identify", {"form": in_form, "files": ("image",)}),
        ("identify_base64_image", "POST", "/v1/identify", {"json": photo}),
        ("identify_photos", "POST", "/v1/identify/batch", {"form": in_form, "files": ("images",)}),
        (
            "verify_faces",
            "POST",
            "/v1/verify",
            {"form": {**in_form, "subject_id": "<subject>"}, "files": ("image",)},
        ),
        ("detect_faces", "POST", "/v1/detect", {"form": in_form, "files": ("image",)}),
        ("embed_faces", "POST", "/v1/embed", {"form": in_form, "files": ("image",)}),
        (
            "enroll_images",
            "POST",
            "/v1/enroll",
            {
                "form": {**in_form, "subject_id": "<subject>"},
                "files": ("images",),
                "headers": again,
            },
        ),
        ("enroll_base64_images", "POST", "/v1/enroll", {"json": photos, "headers": again}),
        ("list_subjects", "GET", f"/v1/subjects{OF_COLLECTION}", {}),
        ("get_subject", "GET", f"/v1/subjects/<subject>{OF_COLLECTION}", {}),
        (
            "update_subject",
            "PATCH",
            f"/v1/subjects/<subject>{OF_COLLECTION}",
            {"json": {"name": "Changed"}},
        ),
        (
            "merge_subject",
            "POST",
            f"/v1/subjects/<subject>/merge{OF_COLLECTION}",
            {"json": {"into": "nobody"}},
        ),
        ("delete_subject", "DELETE", f"/v1/subjects/<subject>{OF_COLLECTION}", {}),
        ("get_erasure", "GET", f"/v1/subjects/<subject>/erasure{OF_COLLECTION}", {}),
        ("list_templates", "GET", f"/v1/subjects/<subject>/templates{OF_COLLECTION}", {}),
        ("get_template", "GET", f"/v1/templates/<template>{OF_COLLECTION}", {}),
        ("get_crop", "GET", f"/v1/templates/<template>/crop{OF_COLLECTION}", {}),
        ("delete_template", "DELETE", f"/v1/templates/<template>{OF_COLLECTION}", {}),
        ("import_archive", "POST", "/v1/imports", {"form": in_form, "files": ("archive",)}),
        ("get_import_report", "GET", "/v1/imports/<import>/report", {}),
        (
            "give_feedback",
            "POST",
            "/v1/feedback",
            {"json": {"receipt": "<receipt>", "verdict": "confirmed"}},
        ),
        ("list_feedback", "GET", f"/v1/feedback{OF_COLLECTION}", {}),
        ("delete_feedback", "DELETE", f"/v1/feedback/<feedback>{OF_COLLECTION}", {}),
        ("calibrate", "POST", f"{of_one}/calibrations", {}),
        ("list_calibrations", "GET", f"{of_one}/calibrations", {}),
        ("report_health", "POST", f"{of_one}/health-reports", {}),
        ("get_job", "GET", "/v1/jobs/<job>", {}),
        ("list_collections", "GET", "/v1/collections", {}),
        ("get_collection", "GET", of_one, {}),
        ("list_bundles", "GET", "/v1/bundles", {}),
        ("create_collection", "POST", "/v1/collections", {"json": {"id": "<collection>"}}),
        ("delete_collection", "DELETE", of_one, {}),
        ("export_collection", "POST", "/v1/exports", {"json": {"collection": "<collection>"}}),
        ("get_export_file", "GET", "/v1/exports/<export>/file", {}),
        ("reembed", "POST", f"{of_one}/reembed", {"json": {"bundle": "tiny"}}),
        ("get_reembedding", "GET", f"{of_one}/reembed", {}),
        ("switch_bundle", "POST", f"{of_one}/reembed/switch", {}),
        ("roll_back_bundle", "POST", f"{of_one}/reembed/rollback", {}),
        ("abandon_reembedding", "DELETE", f"{of_one}/reembed", {}),
        ("drop_former_embeddings", "DELETE", f"{of_one}/reembed/former", {}),
        ("rekey", "POST", f"{of_one}/rekey", {}),
        (
            "create_key",
            "POST",
            "/v1/keys",
            {"json": {"name": "n", "scopes": ["admin"], "collections": ["<collection>"]}},
        ),
        ("list_keys", "GET", "/v1/keys", {}),
        ("delete_key", "DELETE", "/v1/keys/<key>", {}),
        ("list_audit", "GET", "/v1/audit", {}),
        ("compreface.add", "POST", f"{compreface}/subjects", {"json": {"subject": "<subject>"}}),
        ("compreface.list_all", "GET", f"{compreface}/subjects", {}),
        (
            "compreface.change",
            "PUT",
            f"{compreface}/subjects/<subject>",
            {"json": {"subject": "<subject>"}},
        ),
        ("compreface.remove", "DELETE", f"{compreface}/subjects/<subject>", {}),
        ("compreface.remove_all", "DELETE", f"{compreface}/subjects", {}),
        ("compreface.remove_of", "DELETE", f"{compreface}/faces?subject=<subject>", {}),
        ("compreface.remove_several", "POST", f"{compreface}/faces/delete", {}),
        ("compreface.image", "GET", f"{compreface}/faces/<template>/img", {}),
        ("compreface.recognize", "POST", f"{compreface}/recognize", {"files": ("file",)}),
        (
            "compreface.verify_stored",
            "POST",
            f"{compreface}/faces/<template>/verify",
            {"files": ("file",)},
        ),
        (
            "compreface.verify",
            "POST",
            "/api/v1/verification/verify",
            {"files": ("source_image", "target_image")},
        ),
        ("compreface.detect", "POST", "/api/v1/detection/detect", {"files": ("file",)}),
    ]
    return [
        Call(operation=operation, method=method, path=path, **what)
        for operation, method, path, what in rows
    ]


CALLS: Final = tuple(_calls())
