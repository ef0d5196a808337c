"""POST /v1/embed: faces with their embeddings, good for computing similarities elsewhere."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from contract.bundle import load_bundle
from tests.conftest import (
    NO_FACE,
    Api,
    ApiMaker,
    BundleMaker,
    Face,
    check_problem,
    face_photo,
    texture,
)


def embed(api: Api, image: bytes, **fields: Any) -> httpx.Response:
    return api.post("/v1/embed", files={"image": ("photo.png", image)}, data=fields)


def blocks(face: Face) -> npt.NDArray[np.float64]:
    """The tiny bundle's embedding of a face that needs no scaling, written out in numpy."""
    grey = texture(face).astype(np.float64).mean(axis=2).reshape(8, 14, 8, 14).mean(axis=(1, 3))
    centred = (grey - grey.mean()).ravel()
    unit: npt.NDArray[np.float64] = centred / np.linalg.norm(centred)
    return unit


def test_each_face_has_its_embedding(api: Api) -> None:
    faces = Face(1), Face(2, noise=10)
    answer = embed(api, face_photo(*faces))
    assert answer.status_code == 200
    found = {face["bbox"]["x"]: face["embedding"] for face in answer.json()["faces"]}
    for x, face in zip((15, 142), faces, strict=True):
        np.testing.assert_allclose(found[x], blocks(face), atol=5e-3)


def test_others_compute_the_similarity_that_we_say(api: Api) -> None:
    enrolled, probe = face_photo(1), face_photo(Face(1, 90, noise=30))
    api.enroll(enrolled, name="Ann")
    said = api.identify(probe).json()["faces"][0]["similarity"]
    bodies = [embed(api, photo).json() for photo in (enrolled, probe)]
    a, b = (np.array(body["faces"][0]["embedding"]) for body in bodies)
    contract = bodies[0]["contract"]
    assert 1 - np.linalg.norm(a - b) / contract["d_max"] == pytest.approx(said, abs=1e-6)
    assert bodies[1]["contract"] == contract
    assert contract["size"] == len(a) == len(b)


def test_the_answer_says_what_the_embeddings_are(api: Api, tiny_bundle: Path) -> None:
    answer = embed(api, face_photo(Face(1, 120)))
    body = answer.json()
    manifest = load_bundle(tiny_bundle).manifest
    assert body["contract"] == {
        "id": manifest.contract.id,
        "size": 64,
        "space": "l2",
        "d_max": 2.0,
    }
    assert body["bundle"]["id"] == "tiny@1.2.3"
    assert set(body["timing_ms"]) == {"decode", "detect", "measure", "embed"}
    assert body["request_id"] == answer.headers["x-request-id"]


def test_it_says_the_rest_as_detect_does(api: Api) -> None:
    photo = face_photo(Face(1, 60), Face(2, 120), Face(3, 75))
    for count in (0, 2):
        files = {"image": ("photo.png", photo)}
        seen = api.post("/v1/detect", files=files, data={"max_faces": count}).json()
        body = embed(api, photo, max_faces=count).json()
        assert body["image"] == seen["image"]
        for face in body["faces"]:
            assert len(face.pop("embedding")) == 64
        assert body["faces"] == seen["faces"]


def test_the_collections_bundle_embeds(make_api: ApiMaker, make_bundle: BundleMaker) -> None:
    whole = make_bundle(fit="pad", name="whole")
    api = make_api(further_bundle_paths=str(whole))
    api.post("/v1/collections", json={"id": "cartoons", "bundle": "whole"})
    body = embed(api, face_photo(1, 2), collection="cartoons").json()
    assert body["bundle"]["id"] == "whole@1.2.3"
    assert body["contract"]["id"] == load_bundle(whole).manifest.contract.id
    (image,) = body["faces"]
    assert (image["landmarks"], image["quality"], len(image["embedding"])) == ([], None, 64)
    assert embed(api, face_photo(1, 2)).json()["bundle"]["id"] == "tiny@1.2.3"


def test_a_photo_without_a_face_has_no_faces(api: Api) -> None:
    body = embed(api, NO_FACE).json()
    assert body["faces"] == []
    assert body["contract"]["size"] == 64


def test_nothing_is_stored(api: Api) -> None:
    embed(api, face_photo(1))
    gallery = api.runtime.default.gallery
    assert (gallery.revision, gallery.template_count) == (0, 0)


def test_what_cannot_be_used_is_a_problem(api: Api) -> None:
    check_problem(embed(api, b"a letter"), 415, "not_an_image")
    check_problem(embed(api, face_photo(1), max_faces=-1), 422, "invalid_request")
    check_problem(embed(api, face_photo(1), collection="nowhere"), 404, "collection_not_found")


def test_no_other_operation_gives_embeddings_out(api: Api) -> None:
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    assert [name for name, s in schemas.items() if "embedding" in s.get("properties", {})] == [
        "EmbeddedFaceOut"
    ]
