"""Several collections, each bound to one of several bundles, side by side in one service."""

from pathlib import Path
from typing import Any

import pytest

from contract.errors import BundleError, ContractMismatchError
from tests.conftest import Api, ApiMaker, BundleMaker, Face, check_problem, face_photo


@pytest.fixture(scope="module")
def whole_bundle(make_bundle: BundleMaker) -> Path:
    """Takes whole images, so it is another bundle than the tiny one of faces."""
    return make_bundle(fit="pad", name="whole")


@pytest.fixture
def both(make_api: ApiMaker, whole_bundle: Path) -> Api:
    return make_api(further_bundle_paths=str(whole_bundle))


def create(api: Api, collection_id: str, **more: str) -> Any:
    return api.post("/v1/collections", json={"id": collection_id, **more})


def ids(api: Api) -> list[str]:
    return [c["id"] for c in api.get("/v1/collections").json()["collections"]]


def test_the_bundles_are_listed_the_default_first(both: Api) -> None:
    faces, whole = both.get("/v1/bundles").json()["bundles"]
    assert (faces["id"], faces["input"], faces["default"]) == ("tiny@1.2.3", "five_point_112", True)
    assert (whole["id"], whole["input"], whole["default"]) == ("whole@1.2.3", "none", False)
    assert faces["contract_id"] != whole["contract_id"]
    assert faces["calibrated_subjects"] == []


def test_a_collection_is_made_found_listed_and_removed(both: Api) -> None:
    made = create(both, "vip")
    assert made.status_code == 201
    assert made.json() == both.get("/v1/collections/vip").json()
    assert made.json()["bundle"]["id"] == "tiny@1.2.3"
    assert (made.json()["subject_count"], made.json()["default"]) == (0, False)
    assert ids(both) == ["default", "vip"]
    assert both.get("/v1/collections/default").json()["default"] is True
    assert both.delete("/v1/collections/vip").status_code == 204
    assert ids(both) == ["default"]
    check_problem(both.get("/v1/collections/vip"), 404, "collection_not_found")
    check_problem(both.delete("/v1/collections/vip"), 404, "collection_not_found")
    # Its id is free again, and nothing of it is left.
    both.enroll(face_photo(1), name="Ann")
    assert create(both, "vip").json()["subject_count"] == 0


def test_people_of_one_collection_are_strangers_to_another(both: Api) -> None:
    create(both, "vip")
    enrolled = both.enroll(face_photo(1), name="Ann", collection="vip").json()
    assert both.enroll(face_photo(2), name="Bob").status_code == 201
    (there,) = both.identify(face_photo(1), collection="vip").json()["faces"]
    (here,) = both.identify(face_photo(1)).json()["faces"]
    assert (there["decision"], there["subject"]["name"]) == ("match", "Ann")
    assert here["decision"] == "unknown"
    subject = f"/v1/subjects/{enrolled['subject']['id']}"
    check_problem(both.get(subject), 404, "subject_not_found")
    assert both.get(subject, params={"collection": "vip"}).json()["name"] == "Ann"
    names = [
        [s["name"] for s in both.get("/v1/subjects", params=params).json()["subjects"]]
        for params in ({}, {"collection": "vip"}, {"collection": "default"})
    ]
    assert names == [["Bob"], ["Ann"], ["Bob"]]
    assert both.get("/v1/collections/vip").json()["subject_count"] == 1
    check_problem(both.delete(subject), 404, "subject_not_found")
    assert both.delete(subject, params={"collection": "vip"}).status_code == 204
    (there,) = both.identify(face_photo(1), collection="vip").json()["faces"]
    assert there["decision"] == "unknown"


def test_faces_and_whole_images_side_by_side(both: Api) -> None:
    made = create(both, "things", bundle="whole").json()
    assert made["bundle"]["id"] == "whole@1.2.3"
    # Two textures in one picture: two faces to one bundle, one thing to the other.
    pair = face_photo(1, 2)
    both.enroll(pair, name="pair", collection="things")
    both.enroll(face_photo(1), name="Ann")
    things = both.identify(pair, collection="things").json()
    faces = both.identify(pair).json()
    assert [f["decision"] for f in things["faces"]] == ["match"]
    assert things["bundle"]["id"] == "whole@1.2.3"
    assert things["faces"][0]["quality"] is None
    assert len(faces["faces"]) == 2
    assert faces["bundle"]["id"] == "tiny@1.2.3"
    assert {f["subject"] and f["subject"]["name"] for f in faces["faces"]} == {"Ann", None}


def test_collections_are_there_again_after_a_restart(
    make_api: ApiMaker, whole_bundle: Path
) -> None:
    first = make_api(further_bundle_paths=str(whole_bundle))
    create(first, "things", bundle="whole@1.2.3")
    first.enroll(face_photo(1, 2), name="pair", collection="things")
    first.runtime.close()
    again = make_api(further_bundle_paths=str(whole_bundle))
    (found,) = again.identify(face_photo(1, 2), collection="things").json()["faces"]
    assert found["subject"]["name"] == "pair"
    again.runtime.close()
    # Without its bundle it is listed, kept, and not searched.
    without = make_api()
    listed = without.get("/v1/collections/things").json()
    assert (listed["bundle"], listed["subject_count"]) == (None, 1)
    check_problem(without.identify(face_photo(1), collection="things"), 409, "bundle_mismatch")
    (_,) = without.identify(face_photo(1)).json()["faces"]


def test_the_services_collection_may_be_of_any_served_bundle(
    make_api: ApiMaker, whole_bundle: Path, tiny_bundle: Path
) -> None:
    first = make_api(further_bundle_paths=str(whole_bundle))
    first.runtime.close()
    swapped = make_api(bundle_path=whole_bundle, further_bundle_paths=str(tiny_bundle))
    assert swapped.get("/v1/collections/default").json()["bundle"]["id"] == "tiny@1.2.3"
    assert create(swapped, "new").json()["bundle"]["id"] == "whole@1.2.3"
    swapped.runtime.close()
    with pytest.raises(ContractMismatchError):
        make_api(bundle_path=whole_bundle)


def test_what_cannot_be_made_or_removed_says_why(both: Api) -> None:
    create(both, "vip")
    check_problem(create(both, "vip"), 409, "collection_exists")
    problem = check_problem(create(both, "no such/id"), 422, "invalid_request")
    assert "collection id 'no such/id'" in problem["detail"]
    problem = check_problem(create(both, "other", bundle="huge"), 404, "bundle_not_found")
    assert "tiny@1.2.3, whole@1.2.3" in problem["detail"]
    check_problem(both.post("/v1/collections", json={"name": "x"}), 422, "invalid_request")
    check_problem(both.delete("/v1/collections/default"), 409, "collection_in_use")
    for answer in (
        both.enroll(face_photo(1), collection="none"),
        both.identify(face_photo(1), collection="none"),
        both.get("/v1/subjects", params={"collection": "none"}),
        both.post("/v1/collections/none/health-reports"),
        both.get("/v1/collections/none/calibrations"),
    ):
        check_problem(answer, 404, "collection_not_found")
    assert ids(both) == ["default", "vip"]


def test_two_bundles_that_are_the_same_to_a_collection_are_refused(
    make_api: ApiMaker, make_bundle: BundleMaker
) -> None:
    with pytest.raises(BundleError, match="the same to a collection"):
        make_api(further_bundle_paths=str(make_bundle()))


def test_calibrations_and_reports_are_of_the_collection_that_is_named(both: Api) -> None:
    create(both, "vip")
    for seed in range(40):
        both.enroll(
            face_photo(seed), face_photo(Face(seed, noise=30)), collection="vip",
            duplicate_check="off",
        )  # fmt: skip
    job = both.post("/v1/collections/vip/calibrations").json()["job"]
    ended = both.runtime.jobs.wait(job["id"], timeout_s=60)
    assert ended.status == "succeeded"
    assert len(both.get("/v1/collections/vip/calibrations").json()["calibrations"]) == 1
    assert both.get("/v1/collections/default/calibrations").json()["calibrations"] == []
    threshold = both.identify(face_photo(1), collection="vip", target_fpir=0.1).json()["threshold"]
    assert threshold["evidence"]["calibration"] == "collection"
    job = both.post("/v1/collections/vip/health-reports").json()["job"]
    ended = both.runtime.jobs.wait(job["id"], timeout_s=60)
    assert ended.result is not None
    assert (ended.result["collection_id"], ended.result["subject_count"]) == ("vip", 40)
