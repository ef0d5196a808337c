"""CompreFace's interface over our core, as its clients call it."""

import asyncio
import base64
import uuid
from typing import Any

import httpx
import pytest

from tests.conftest import THRESHOLD, Api, ApiMaker, Face, face_photo

BASE = "/api/v1/recognition"
KEY = {"x-api-key": "any"}
TWO = face_photo(Face(1, side=120), Face(2))
NOBODY = face_photo()


def call(api: Api, method: str, path: str, key: str = "any", **what: Any) -> httpx.Response:
    """One request with a key, as every client sends it."""
    return api.request(method, path, headers={"x-api-key": key}, **what)


def add(api: Api, subject: str, photo: bytes, **what: Any) -> httpx.Response:
    files = {"file": ("photo.png", photo)}
    params = {"subject": subject, **what.pop("params", {})}
    return call(api, "POST", f"{BASE}/faces", params=params, files=files, **what)


def look(api: Api, path: str, photo: bytes, key: str = "any", **params: Any) -> httpx.Response:
    return call(api, "POST", path, key, params=params, files={"file": ("photo.png", photo)})


def names(api: Api, key: str = "any") -> list[str]:
    return call(api, "GET", f"{BASE}/subjects", key).json()["subjects"]


def faces(api: Api, **params: Any) -> dict[str, Any]:
    answer = call(api, "GET", f"{BASE}/faces", params=params)
    assert answer.status_code == 200
    return answer.json()


def refused(answer: httpx.Response) -> tuple[int, int]:
    """Status and code of an error in CompreFace's form."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"message", "code"}
    assert body["message"]
    return answer.status_code, body["code"]


def test_a_subject_is_added_listed_renamed_and_removed(api: Api) -> None:
    added = call(api, "POST", f"{BASE}/subjects", json={"subject": "Ada Lovelace", "more": 1})
    assert (added.status_code, added.json()) == (201, {"subject": "Ada Lovelace"})
    again = call(api, "POST", f"{BASE}/subjects", json={"subject": "Ada Lovelace"})
    assert refused(again) == (400, 43)
    assert names(api) == ["Ada Lovelace"]
    listed = call(api, "GET", f"{BASE}/subjects/")
    assert listed.json() == {"subjects": ["Ada Lovelace"]}

    path = f"{BASE}/subjects/Ada Lovelace"
    assert call(api, "PUT", path, json={"subject": "Ada"}).json() == {"updated": True}
    assert call(api, "PUT", f"{BASE}/subjects/Ada", json={"subject": "Ada"}).json() == {
        "updated": False
    }
    assert refused(call(api, "PUT", path, json={"subject": "Ada"})) == (404, 42)
    assert names(api) == ["Ada"]
    assert call(api, "DELETE", f"{BASE}/subjects/Ada").json() == {"subject": "Ada"}
    assert refused(call(api, "DELETE", f"{BASE}/subjects/Ada")) == (404, 42)
    assert names(api) == []


def test_our_own_api_shows_the_subject_by_name_and_external_id(api: Api) -> None:
    add(api, "Ada", face_photo(1))
    (subject,) = api.get("/v1/subjects").json()["subjects"]
    assert (subject["name"], subject["external_id"]) == ("Ada", "Ada")
    assert (subject["template_count"], api.who(face_photo(1))) == (1, "Ada")

    call(api, "PUT", f"{BASE}/subjects/Ada", json={"subject": "Countess"})
    assert api.who(face_photo(1)) == "Countess"


def test_subjects_of_our_own_api_go_by_external_id_or_id(api: Api) -> None:
    api.enroll(face_photo(1), subject_id="s1", name="Ada", external_id="x1")
    api.enroll(face_photo(2), subject_id="s2", name="Bob")
    assert names(api) == ["x1", "s2"]
    for name in ("x1", "s2"):
        assert add(api, name, face_photo(3)).json()["subject"] == name
    assert names(api) == ["x1", "s2"]
    # s1 goes by another name, so this is somebody else.
    assert refused(call(api, "DELETE", f"{BASE}/subjects/s1")) == (404, 42)
    call(api, "PUT", f"{BASE}/subjects/x1", json={"subject": "x9"})
    assert api.get("/v1/subjects/s1").json()["name"] == "Ada"


def test_renaming_to_a_name_that_is_there_merges(api: Api) -> None:
    add(api, "Ada", face_photo(1))
    add(api, "Lady", face_photo(2))
    assert call(api, "PUT", f"{BASE}/subjects/Lady", json={"subject": "Ada"}).json()["updated"]
    assert names(api) == ["Ada"]
    assert {face["subject"] for face in faces(api)["faces"]} == {"Ada"}
    assert faces(api)["total_elements"] == 2


def test_names_that_need_escapes_and_slashes_are_one_subject(api: Api) -> None:
    for name in ("Zoë/Müller", "a+b", "50 %"):
        assert add(api, name, face_photo(1)).status_code == 201
        path = f"{BASE}/subjects/{name.replace('%', '%25')}"
        assert call(api, "DELETE", path).json() == {"subject": name}


def test_all_subjects_are_removed_at_once(api: Api) -> None:
    for number in range(3):
        add(api, f"s{number}", face_photo(number))
    # A path that ends in a slash names nobody.
    assert refused(call(api, "DELETE", f"{BASE}/subjects/"))[0] == 400
    assert len(names(api)) == 3
    assert call(api, "DELETE", f"{BASE}/subjects").json() == {"deleted": 3}
    assert names(api) == []
    assert api.who(face_photo(1)) is None
    assert call(api, "DELETE", f"{BASE}/subjects").json() == {"deleted": 0}


def test_a_face_is_added_and_recognized(api: Api) -> None:
    added = add(api, "Ada", face_photo(1))
    assert added.status_code == 201
    body = added.json()
    assert body["subject"] == "Ada"
    assert str(uuid.UUID(body["image_id"])) == body["image_id"]
    add(api, "Bob", face_photo(2))

    (face,) = look(api, f"{BASE}/recognize", face_photo(Face(1, noise=5))).json()["result"]
    assert face.keys() == {"box", "subjects"}
    assert face["box"].keys() == {"probability", "x_max", "y_max", "x_min", "y_min"}
    assert all(isinstance(face["box"][side], int) for side in ("x_min", "x_max"))
    (subject,) = face["subjects"]
    assert subject["subject"] == "Ada"
    # Our own similarity, and no other.
    ours = api.identify(face_photo(Face(1, noise=5))).json()["faces"][0]["candidates"][0]
    assert subject["similarity"] == ours["similarity"] >= THRESHOLD

    (stranger,) = look(api, f"{BASE}/recognize", face_photo(9)).json()["result"]
    assert stranger["subjects"][0]["similarity"] < THRESHOLD


def test_options_of_recognize(api: Api) -> None:
    add(api, "Ada", face_photo(1))
    add(api, "Bob", face_photo(2))
    path = f"{BASE}/recognize"
    both = look(api, path, TWO, prediction_count=2).json()["result"]
    assert [[s["subject"] for s in face["subjects"]] for face in both] == [
        ["Ada", "Bob"],
        ["Bob", "Ada"],
    ]
    (largest,) = look(api, path, TWO, limit=1).json()["result"]
    assert largest["subjects"][0]["subject"] == "Ada"

    full = look(api, path, TWO, status="True", face_plugins="landmarks,age").json()
    assert full["plugins_versions"] == {"detector": "blocks", "calculator": "tiny@1.2.3"}
    assert full["result"][0]["execution_time"].keys() == {"detector", "calculator"}
    assert len(full["result"][0]["landmarks"]) == 5
    assert "age" not in full["result"][0]

    # The detector of these tests is sure of every face by 0.99.
    assert look(api, path, TWO, det_prob_threshold=0.99).status_code == 200
    assert refused(look(api, path, TWO, det_prob_threshold=0.995)) == (400, 28)
    assert refused(look(api, path, TWO, det_prob_threshold=2)) == (400, 26)
    assert refused(look(api, path, TWO, limit=-1)) == (400, 26)
    assert refused(look(api, path, TWO, prediction_count=0)) == (400, 12)
    assert refused(look(api, path, TWO, detect_faces=False)) == (400, 26)


def test_nobody_is_named_by_an_empty_collection(api: Api) -> None:
    (face,) = look(api, f"{BASE}/recognize", face_photo(1)).json()["result"]
    assert face["subjects"] == []


def test_faces_are_listed_by_pages(api: Api) -> None:
    ids = []
    for subject, count in (("a", 3), ("b", 0), ("c", 2)):
        call(api, "POST", f"{BASE}/subjects", json={"subject": subject})
        for number in range(count):
            added = add(api, subject, face_photo(Face(1, noise=number)))
            ids.append((added.json()["image_id"], subject))
    seen = []
    for page in range(4):
        found = faces(api, page=page, size=2)
        assert (found["page_number"], found["page_size"]) == (page, 2)
        assert (found["total_pages"], found["total_elements"]) == (3, 5)
        assert len(found["faces"]) == (2, 2, 1, 0)[page]
        seen += [(face["image_id"], face["subject"]) for face in found["faces"]]
    assert seen == ids

    of_c = faces(api, subject="c", size=1, page=1)
    assert [face["image_id"] for face in of_c["faces"]] == [ids[4][0]]
    assert (of_c["total_pages"], of_c["total_elements"]) == (2, 2)
    assert faces(api, subject="nobody")["faces"] == []
    assert faces(api)["page_size"] == 20


def test_faces_are_removed_one_by_one_several_and_by_subject(api: Api) -> None:
    ids = [
        add(api, name, face_photo(number)).json()["image_id"]
        for number, name in enumerate(["a", "a", "b", "b", "c"])
    ]
    gone = call(api, "DELETE", f"{BASE}/faces/{ids[0]}")
    assert gone.json() == {"image_id": ids[0], "subject": "a"}
    assert refused(call(api, "DELETE", f"{BASE}/faces/{ids[0]}")) == (404, 44)
    assert names(api) == ["a", "b", "c"]

    several = call(api, "POST", f"{BASE}/faces/delete", json=[ids[2], ids[0], "no-uuid"])
    assert several.json() == [{"image_id": ids[2], "subject": "b"}]

    by_subject = call(api, "DELETE", f"{BASE}/faces", params={"subject": "b"})
    assert by_subject.json() == {"deleted": 1}
    assert call(api, "DELETE", f"{BASE}/faces", params={"subject": "b"}).json() == {"deleted": 0}
    assert names(api) == ["a", "c"]
    assert call(api, "DELETE", f"{BASE}/faces").json() == {"deleted": 2}
    assert names(api) == []


def test_the_picture_of_a_face_is_the_stored_crop_or_nothing(make_api: ApiMaker) -> None:
    api = make_api(compreface_store_image="crop")
    image_id = add(api, "Ada", face_photo(1)).json()["image_id"]
    picture = call(api, "GET", f"{BASE}/faces/{image_id}/img")
    template = uuid.UUID(image_id).hex
    assert picture.content == api.get(f"/v1/templates/{template}/crop").content
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["cache-control"] == "no-store"
    unknown = call(api, "GET", f"{BASE}/faces/{uuid.uuid4()}/img")
    assert (unknown.status_code, unknown.content) == (200, b"")


def test_no_picture_is_stored_unless_the_setting_says_so(api: Api) -> None:
    image_id = add(api, "Ada", face_photo(1)).json()["image_id"]
    picture = call(api, "GET", f"{BASE}/faces/{image_id}/img")
    assert (picture.status_code, picture.content) == (200, b"")


def test_faces_are_compared_with_a_stored_one(api: Api) -> None:
    image_id = add(api, "Ada", face_photo(1)).json()["image_id"]
    add(api, "Ada", face_photo(2))
    path = f"{BASE}/faces/{image_id}/verify"
    same, other = look(api, path, TWO).json()["result"]
    assert (same["subject"], other["subject"]) == ("Ada", "Ada")
    # With that very photo, not with the subject's best one.
    assert other["similarity"] < THRESHOLD <= same["similarity"]
    assert refused(look(api, f"{BASE}/faces/{uuid.uuid4()}/verify", TWO)) == (404, 44)
    assert refused(look(api, path, NOBODY)) == (400, 28)


def test_two_photos_are_compared(api: Api) -> None:
    files = {"source_image": ("s.png", face_photo(1)), "target_image": ("t.png", TWO)}
    path = "/api/v1/verification/verify"
    answer = call(api, "POST", path, files=files, params={"status": "true"})
    (pair,) = answer.json()["result"]
    assert pair["source_image_face"].keys() == {"box", "execution_time"}
    assert pair["plugins_versions"]["calculator"] == "tiny@1.2.3"
    same, other = pair["face_matches"]
    assert other["similarity"] < THRESHOLD <= same["similarity"]
    ours = api.post(
        "/v1/verify", files={"image": files["source_image"], "other_image": ("o", face_photo(2))}
    )
    assert other["similarity"] == pytest.approx(ours.json()["similarity"], abs=1e-3)
    assert refused(call(api, "POST", path, files={"source_image": ("s", TWO)})) == (400, 34)


def test_faces_are_detected(api: Api) -> None:
    path = "/api/v1/detection/detect"
    found = look(api, path, TWO).json()["result"]
    ours = api.post("/v1/detect", files={"image": ("t.png", TWO)}).json()["faces"]
    assert [face["box"]["x_min"] for face in found] == [round(f["bbox"]["x"]) for f in ours]
    assert len(found) == 2
    assert len(look(api, path, TWO, limit=1).json()["result"]) == 1
    assert refused(look(api, path, NOBODY)) == (400, 28)


def test_images_may_come_in_base64(api: Api) -> None:
    text = base64.b64encode(face_photo(1)).decode()
    added = call(api, "POST", f"{BASE}/faces", params={"subject": "Ada"}, json={"file": text})
    assert added.status_code == 201
    known = call(api, "POST", f"{BASE}/recognize", json={"file": text}).json()
    assert known["result"][0]["subjects"][0]["subject"] == "Ada"
    pair = {"source_image": text, "target_image": text}
    same = call(api, "POST", "/api/v1/verification/verify", json=pair).json()
    assert same["result"][0]["face_matches"][0]["similarity"] == pytest.approx(1)
    assert refused(call(api, "POST", f"{BASE}/recognize", json={"file": "?"})) == (400, 26)
    assert refused(call(api, "POST", f"{BASE}/recognize", json={})) == (400, 34)
    assert refused(call(api, "POST", f"{BASE}/recognize", json=[])) == (400, 26)


def test_photos_that_cannot_be_enrolled_are_refused_in_their_form(api: Api) -> None:
    assert refused(add(api, "Ada", NOBODY)) == (400, 28)
    assert refused(add(api, "Ada", TWO)) == (400, 31)
    assert refused(add(api, "Ada", b"no image")) == (400, 21)
    assert refused(add(api, " ", face_photo(1))) == (400, 26)
    assert refused(add(api, "x" * 129, face_photo(1))) == (400, 26)
    assert refused(add(api, "Ada", face_photo(1), params={"det_prob_threshold": 1})) == (400, 28)
    no_subject = look(api, f"{BASE}/faces", face_photo(1))
    assert refused(no_subject) == (400, 33)
    assert refused(call(api, "POST", f"{BASE}/faces", params={"subject": "Ada"})) == (400, 34)
    assert names(api) == []


def test_broken_bodies_are_refused_in_their_form(make_api: ApiMaker) -> None:
    api = make_api(max_body_bytes=5_000)
    form = {"x-api-key": "any", "content-type": "multipart/form-data; boundary=x"}
    path = f"{BASE}/recognize"
    assert refused(api.post(path, headers=form, content=b"no form")) == (400, 0)
    as_json = {"x-api-key": "any", "content-type": "application/json"}
    assert refused(api.post(path, headers=as_json, content=b"{")) == (400, 26)
    assert refused(api.post(f"{BASE}/subjects", headers=as_json, content=b"{")) == (400, 26)

    async def long() -> httpx.Response:
        async def parts() -> Any:
            for _ in range(10):
                yield b"x" * 1_000

        return await api.http.post(path, headers=as_json, content=parts())

    answer = api.run(long())
    assert refused(answer) == (413, 0)
    assert answer.headers["connection"] == "close"


def test_a_key_names_a_collection(make_api: ApiMaker) -> None:
    api = make_api(compreface_collections="k-1=guests, k=2=nowhere")
    api.post("/v1/collections", json={"id": "guests"})
    call(api, "POST", f"{BASE}/subjects", "k-1", json={"subject": "Guest"})
    call(api, "POST", f"{BASE}/subjects", "whatever", json={"subject": "Member"})
    assert (names(api, "k-1"), names(api)) == (["Guest"], ["Member"])
    there = api.get("/v1/subjects", params={"collection": "guests"}).json()["subjects"]
    assert [subject["name"] for subject in there] == ["Guest"]
    assert refused(call(api, "GET", f"{BASE}/subjects", "k=2")) == (404, 10)
    assert refused(api.get(f"{BASE}/subjects")) == (400, 20)


def test_a_busy_service_says_when_to_come_back(make_api: ApiMaker) -> None:
    api = make_api(worker_threads=1, max_queued_requests=0)
    api.detector.gate.clear()

    async def both() -> httpx.Response:
        files = {"file": ("p", face_photo(1))}
        first = asyncio.create_task(api.http.post(f"{BASE}/recognize", files=files, headers=KEY))
        await asyncio.to_thread(api.detector.entered.wait, 30)
        second = await api.http.post(f"{BASE}/recognize", files=files, headers=KEY)
        api.detector.gate.set()
        assert (await first).status_code == 200
        return second

    answer = api.run(both())
    assert refused(answer) == (503, 41)
    assert answer.headers["retry-after"] == "1"


def test_it_is_no_part_of_our_own_description(api: Api) -> None:
    assert not [path for path in api.get("/openapi.json").json()["paths"] if "/api/" in path]
