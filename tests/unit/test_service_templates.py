"""/v1/templates/{id} and /v1/subjects/{id}/templates."""

import io

import numpy as np
import pytest
from PIL import Image

from service.crops import decode_crop, image_type
from tests.conftest import Api, Face, check_problem, face_photo, texture

ANN = face_photo(1)
MISSING = ("nothing", "%00", "a" * 500)


@pytest.fixture
def ann(api: Api) -> tuple[Api, list[str]]:
    """Ann with two templates, the first one with its crop."""
    api.enroll(ANN, subject_id="ann", name="Ann", store_image="crop")
    api.enroll(face_photo(Face(1, noise=15)), subject_id="ann")
    templates = api.get("/v1/subjects/ann/templates").json()["templates"]
    return api, [template["id"] for template in templates]


def test_templates_of_a_subject_are_listed_oldest_first(ann: tuple[Api, list[str]]) -> None:
    api, ids = ann
    answer = api.get("/v1/subjects/ann/templates")
    assert answer.status_code == 200
    found = answer.json()["templates"]
    assert [template["has_crop"] for template in found] == [True, False]
    assert [template["created_at"] for template in found] == sorted(
        template["created_at"] for template in found
    )
    for template in found:
        assert template.keys() == {"id", "subject_id", "created_at", "has_crop"}
        assert template["subject_id"] == "ann"
        assert api.get(f"/v1/templates/{template['id']}").json() == template
    assert len(set(ids)) == 2


def test_the_crop_is_what_the_model_took(ann: tuple[Api, list[str]]) -> None:
    api, (first, second) = ann
    answer = api.get(f"/v1/templates/{first}/crop")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    shown = decode_crop(answer.content, api.runtime.default.bundle.bundle.manifest.input)
    # An independent reader, and the texture that the photo was made of.
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), shown)
    np.testing.assert_allclose(shown.astype(int), texture(Face(1)).astype(int), atol=2)
    problem = check_problem(api.get(f"/v1/templates/{second}/crop"), 404, "crop_not_found")
    assert "store_image=crop" in problem["detail"]


@pytest.mark.parametrize("name", MISSING)
def test_a_template_that_is_not_there(api: Api, name: str) -> None:
    for answer in (
        api.get(f"/v1/templates/{name}"),
        api.get(f"/v1/templates/{name}/crop"),
        api.delete(f"/v1/templates/{name}"),
    ):
        check_problem(answer, 404, "template_not_found")


def test_a_removed_template_is_gone_and_its_subject_stays(ann: tuple[Api, list[str]]) -> None:
    api, ids = ann
    for left, template_id in enumerate(reversed(ids)):
        answer = api.delete(f"/v1/templates/{template_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        for again in (
            api.get(f"/v1/templates/{template_id}"),
            api.get(f"/v1/templates/{template_id}/crop"),
            api.delete(f"/v1/templates/{template_id}"),
        ):
            check_problem(again, 404, "template_not_found")
        assert api.get("/v1/subjects/ann").json()["template_count"] == 1 - left
    # The last one has gone: she is known and nobody finds her, until she is enrolled again.
    assert api.get("/v1/subjects/ann/templates").json() == {"templates": []}
    assert api.who(ANN) is None
    assert api.enroll(ANN, subject_id="ann").status_code == 200
    assert api.who(ANN) == "Ann"
    api.runtime.default.gallery.verify()


def test_a_template_is_looked_for_in_its_collection_only(ann: tuple[Api, list[str]]) -> None:
    api, (first, _) = ann
    api.runtime.collections.create("staff", api.runtime.default.bundle)
    for collection, code in (("staff", "template_not_found"), ("nowhere", "collection_not_found")):
        query = {"collection": collection}
        for answer in (
            api.get(f"/v1/templates/{first}", params=query),
            api.get(f"/v1/templates/{first}/crop", params=query),
            api.delete(f"/v1/templates/{first}", params=query),
        ):
            check_problem(answer, 404, code)
    assert api.get(f"/v1/templates/{first}", params={"collection": "default"}).status_code == 200


def test_a_closed_gallery_is_not_ready(ann: tuple[Api, list[str]]) -> None:
    api, (first, _) = ann
    api.runtime.default.gallery.close()
    for answer in (
        api.get(f"/v1/templates/{first}"),
        api.get(f"/v1/templates/{first}/crop"),
        api.delete(f"/v1/templates/{first}"),
        api.get("/v1/subjects/ann/templates"),
        api.patch("/v1/subjects/ann", json={"name": "A"}),
        api.post("/v1/subjects/ann/merge", json={"into": "bob"}),
    ):
        check_problem(answer, 503, "gallery_unavailable")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_the_type_of_a_picture_is_told_from_its_bytes(kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, kind)
    expected = "application/octet-stream" if kind == "GIF" else f"image/{kind.lower()}"
    assert image_type(buffer.getvalue()) == expected


def test_a_stored_file_that_is_no_picture_is_given_as_plain_bytes(api: Api) -> None:
    page = b"<script>alert(1)</script>"
    size = api.runtime.default.gallery.contract.size
    row = np.ones((1, size), np.float32) / np.sqrt(size)
    done = api.runtime.default.gallery.enroll(row.astype(np.float32), crops=[page])
    answer = api.get(f"/v1/templates/{done.template_ids[0]}/crop")
    assert answer.content == page
    assert answer.headers["content-type"] == "application/octet-stream"
    assert image_type(b"") == image_type(b"RIFF") == "application/octet-stream"
