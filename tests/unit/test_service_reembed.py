"""Re-embedding over HTTP: a job beside what is searched, the switch, and the way back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.bundle import load_bundle
from tests.conftest import DRIFT, Api, ApiMaker, BundleMaker, Face, check_problem, face_photo
from tests.reembedded import (
    ANN,
    BOB,
    CY,
    NEXT,
    OLD,
    PATH,
    crop_of,
    embedded,
    ended,
    enrol,
    expected,
    found,
    reembed,
    start,
    state,
    step,
)


def test_there_and_back_again(
    two_bundles_anywhere: Api, tiny_bundle: Path, next_bundle: Path
) -> None:
    api = two_bundles_anywhere
    assert state(api)["state"] == "none"
    ids = [enrol(api, ANN, "ann"), enrol(api, face_photo(Face(1, noise=10)), "ann")]
    ids += [enrol(api, BOB, "bob"), enrol(api, face_photo(Face(2, noise=10)), "bob")]
    # The probe is Ann's own photo: as she is enrolled, but its neighbours are others' templates.
    old = expected(tiny_bundle, api, ids, ids[0])
    new = expected(next_bundle, api, ids, ids[0])
    assert abs(old[1] - new[1]) > 1e-4
    held = api.get("/v1/subjects/ann/templates").json()

    result = reembed(api)
    assert result["outcomes"] == {"embedded": 4}
    assert result["reembedding"] == state(api)
    shown = state(api)
    assert shown | {"gallery_revision": 0} == {
        "collection_id": "default",
        "state": "ready",
        "bundle": {"id": OLD, "sha256": load_bundle(tiny_bundle).sha256},
        "next_bundle": {"id": NEXT, "sha256": load_bundle(next_bundle).sha256},
        "next_contract_id": load_bundle(next_bundle).manifest.contract.id,
        "template_count": 4,
        "staged_count": 4,
        "missing_count": 0,
        "unsearched_count": 0,
        "missing_subject_count": 0,
        "missing_subjects": [],
        "comparison": {
            "searched": {"rank1": 1.0, "probe_count": 4},
            "staged": {"rank1": 1.0, "probe_count": 4},
            "subject_count": 2,
        },
        "former": None,
        "gallery_revision": 0,
    }

    def similarities() -> list[float]:
        """Of each template to Ann's photo, one subject after the other."""
        (face,) = api.identify(ANN, top_k=2).json()["faces"]
        best = {c["subject"]["id"]: c["similarity"] for c in face["candidates"]}
        return [best["ann"], best["bob"]]

    def by(values: list[float]) -> Any:
        return pytest.approx([max(values[:2]), max(values[2:])], abs=1e-6)

    assert found(api, ANN)[:2] == (OLD, "ann")
    assert similarities() == by(old)
    after = step(api, "switch")
    assert (after["state"], after["bundle"]["id"], after["next_bundle"]) == ("none", NEXT, None)
    assert after["former"]["bundle"]["id"] == OLD
    assert after["former"]["template_count"] == 4
    assert found(api, ANN)[:2] == (NEXT, "ann")
    assert found(api, BOB)[:2] == (NEXT, "bob")
    assert similarities() == by(new)
    assert api.get("/v1/subjects/ann/templates").json() == held
    assert api.get("/v1/collections/default").json()["bundle"]["id"] == NEXT
    assert api.get("/readyz").json()["bundle"]["id"] == NEXT
    api.runtime.default.gallery.verify()

    back = step(api, "rollback")
    assert (back["state"], back["bundle"]["id"], back["former"]) == ("ready", OLD, None)
    assert back["next_bundle"]["id"] == NEXT
    assert found(api, ANN)[:2] == (OLD, "ann")
    assert similarities() == by(old)
    # Forth again needs no job.
    assert step(api, "switch")["bundle"]["id"] == NEXT
    assert similarities() == by(new)
    api.runtime.default.gallery.verify()


def test_what_is_stored_is_what_the_model_gives(two_bundles: Api, next_bundle: Path) -> None:
    template_id = enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    step(two_bundles, "switch")
    ((packed,),) = two_bundles.runtime.default.gallery.read(
        lambda scope: scope.c.execute(
            "SELECT embedding FROM templates WHERE id = ? AND contract_number = ?",
            (template_id, scope.searched.contract),
        )
    )
    model = embedded(next_bundle, crop_of(two_bundles, template_id)).astype(np.float32)
    protection = two_bundles.runtime.default.gallery.shown.of.protection
    assert packed == protection.protect(model[None]).astype("<f4").tobytes()


def test_templates_without_a_picture_stop_the_switch_unless_allowed(two_bundles: Api) -> None:
    enrol(two_bundles, ANN, "ann")
    enrol(two_bundles, face_photo(Face(1, noise=10)), "ann", crop=False)
    enrol(two_bundles, CY, "cy", crop=False)
    result = reembed(two_bundles)
    assert result["outcomes"] == {"embedded": 1, "no_crop": 2}
    shown = result["reembedding"]
    assert (shown["state"], shown["staged_count"], shown["missing_count"]) == ("under_way", 1, 2)
    assert (shown["missing_subject_count"], shown["missing_subjects"]) == (1, ["cy"])
    assert shown["comparison"] == {
        "searched": {"rank1": None, "probe_count": 0},
        "staged": {"rank1": None, "probe_count": 0},
        "subject_count": 0,
    }
    for answer in (two_bundles.post(f"{PATH}/switch"), two_bundles.post(f"{PATH}/switch", json={})):
        problem = check_problem(answer, 409, "templates_missing")
        assert "'cy'" in problem["detail"]
        assert "allow_missing" in problem["detail"]
        assert problem["errors"] == [{"missing_count": 2, "missing_subject_count": 1}]
    assert found(two_bundles, CY)[:2] == (OLD, "cy")
    step(two_bundles, "switch", allow_missing=True)
    assert found(two_bundles, CY)[1] is None
    assert found(two_bundles, ANN)[1] == "ann"
    # Everybody who is searched now was searched before: there is nothing to miss on the way back.
    step(two_bundles, "rollback")
    assert found(two_bundles, CY)[1] == "cy"


def test_a_template_that_alone_is_missing_stops_the_switch_too(two_bundles: Api) -> None:
    enrol(two_bundles, ANN, "ann")
    enrol(two_bundles, face_photo(Face(1, noise=10)), "ann", crop=False)
    reembed(two_bundles)
    problem = check_problem(two_bundles.post(f"{PATH}/switch"), 409, "templates_missing")
    assert problem["detail"].startswith("1 templates are missing")
    assert problem["errors"] == [{"missing_count": 1, "missing_subject_count": 0}]


def test_refusals_say_what_to_do(make_api: ApiMaker, make_bundle: BundleMaker) -> None:
    further = [
        make_bundle(drift=DRIFT, name="next"),
        make_bundle(drift=1.0, name="third"),
        make_bundle(fit="pad", name="whole"),
    ]
    api = make_api(further_bundle_paths=",".join(map(str, further)))

    def refused(bundle: str) -> Any:
        return api.post(PATH, json={"bundle": bundle})

    for name in ("switch", "rollback"):
        check_problem(api.post(f"{PATH}/{name}"), 409, "reembedding_conflict")
    enrol(api, CY, "cy", crop=False)
    problem = check_problem(refused("next"), 422, "no_crops")
    assert "store_image=crop" in problem["detail"]
    enrol(api, ANN, "ann")
    assert NEXT in check_problem(refused("nowhere"), 404, "bundle_not_found")["detail"]
    problem = check_problem(refused("tiny"), 409, "reembedding_conflict")
    assert "nothing to re-embed" in problem["detail"]
    problem = check_problem(refused("whole"), 422, "other_crops")
    assert "none pad 40x40 RGB" in problem["detail"]
    # Nothing of all that has begun anything.
    assert state(api)["state"] == "none"
    reembed(api)
    problem = check_problem(refused("third"), 409, "reembedding_conflict")
    assert "for another bundle" in problem["detail"]
    step(api, "switch", allow_missing=True)
    problem = check_problem(refused("tiny"), 409, "reembedding_conflict")
    assert "roll back to it" in problem["detail"]
    check_problem(refused("next"), 409, "reembedding_conflict")
    check_problem(api.post(PATH, json={}), 422, "invalid_request")
    check_problem(api.post(PATH, json={"bundle": "next", "speed": 1}), 422, "invalid_request")
    for wish in ({"allow_missing": 1}, {"allow": True}):
        check_problem(api.post(f"{PATH}/switch", json=wish), 422, "invalid_request")
    nowhere = PATH.replace("default", "nowhere")
    for answer in (
        api.get(nowhere),
        api.post(nowhere, json={"bundle": "next"}),
        api.post(f"{nowhere}/switch"),
        api.post(f"{nowhere}/rollback"),
        api.delete(nowhere),
        api.delete(f"{nowhere}/former"),
    ):
        check_problem(answer, 404, "collection_not_found")


def test_an_empty_collection_can_change_its_bundle(two_bundles: Api) -> None:
    assert reembed(two_bundles)["outcomes"] == {}
    step(two_bundles, "switch")
    enrol(two_bundles, ANN, "ann")
    assert found(two_bundles, ANN)[:2] == (NEXT, "ann")


def test_what_was_embedded_anew_can_be_abandoned(two_bundles: Api) -> None:
    assert two_bundles.delete(PATH).status_code == 204
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    assert two_bundles.delete(PATH).status_code == 204
    assert two_bundles.delete(PATH).status_code == 204
    shown = state(two_bundles)
    assert (shown["state"], shown["staged_count"], shown["comparison"]) == ("none", 0, None)
    check_problem(two_bundles.post(f"{PATH}/switch"), 409, "reembedding_conflict")
    assert found(two_bundles, ANN)[:2] == (OLD, "ann")


def test_who_cannot_be_taken_back_stops_the_way_back_and_is_counted(two_bundles: Api) -> None:
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    step(two_bundles, "switch")
    enrol(two_bundles, CY, "cy", crop=False)
    problem = check_problem(two_bundles.post(f"{PATH}/rollback"), 409, "templates_missing")
    assert "'cy'" in problem["detail"]
    assert found(two_bundles, CY)[:2] == (NEXT, "cy")
    back = step(two_bundles, "rollback", allow_missing=True)
    assert (back["staged_count"], back["missing_count"], back["unsearched_count"]) == (2, 0, 1)
    assert found(two_bundles, CY)[1] is None
    step(two_bundles, "switch")
    assert found(two_bundles, CY)[:2] == (NEXT, "cy")


def test_dropping_the_former_embeddings_closes_the_way_back(two_bundles: Api) -> None:
    assert two_bundles.delete(f"{PATH}/former").status_code == 204
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    step(two_bundles, "switch")
    assert state(two_bundles)["former"]["template_count"] == 1
    assert two_bundles.delete(f"{PATH}/former").status_code == 204
    assert state(two_bundles)["former"] is None
    problem = check_problem(two_bundles.post(f"{PATH}/rollback"), 409, "reembedding_conflict")
    assert "no former embeddings" in problem["detail"]
    assert found(two_bundles, ANN)[:2] == (NEXT, "ann")


def test_a_restart_serves_what_was_switched_to(
    make_api: ApiMaker, two_bundles: Api, next_bundle: Path
) -> None:
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    step(two_bundles, "switch")
    two_bundles.runtime.close()
    again = make_api(further_bundle_paths=str(next_bundle))
    assert found(again, ANN)[:2] == (NEXT, "ann")
    assert step(again, "rollback")["bundle"]["id"] == OLD
    assert found(again, ANN)[:2] == (OLD, "ann")


def test_where_the_former_bundle_is_not_served_there_is_no_way_back(
    make_api: ApiMaker, two_bundles: Api, next_bundle: Path
) -> None:
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    step(two_bundles, "switch")
    two_bundles.runtime.close()
    alone = make_api(bundle_path=next_bundle)
    shown = state(alone)
    assert shown["former"]["bundle"] is None
    problem = check_problem(alone.post(f"{PATH}/rollback"), 409, "reembedding_conflict")
    assert "further_bundle_paths" in problem["detail"]
    assert found(alone, ANN)[:2] == (NEXT, "ann")


def test_thresholds_and_the_calibration_follow(two_bundles: Api) -> None:
    for seed in range(32):
        enrol(two_bundles, face_photo(seed), f"s{seed}")
    path = "/v1/collections/default/calibrations"
    job = two_bundles.post(path).json()["job"]
    assert ended(two_bundles, job["id"])["status"] == "succeeded"

    def threshold() -> dict[str, Any]:
        body: dict[str, Any] = two_bundles.identify(ANN, target_fpir=0.1).json()["threshold"]
        return body

    own = threshold()
    assert (own["source"], own["evidence"]["calibration"]) == ("calibrated", "collection")
    reembed(two_bundles)
    step(two_bundles, "switch")
    (made,) = two_bundles.get(path).json()["calibrations"]
    assert (made["in_use"], made["not_in_use_because"]) == (False, "bundle_changed")
    assert threshold()["source"] == "none"
    # It is renewed by itself, and by the new bundle.
    renewal = two_bundles.runtime.default.calibration_renewal.look()
    assert renewal is not None
    assert ended(two_bundles, renewal)["status"] == "succeeded"
    (made,) = two_bundles.get(path).json()["calibrations"]
    assert (made["in_use"], made["bundle_id"]) == (True, NEXT)
    assert threshold()["source"] == "calibrated"


def test_the_background_of_the_bundle_before_ends(two_bundles: Api) -> None:
    enrol(two_bundles, ANN, "ann")
    before = two_bundles.runtime.default
    reembed(two_bundles)
    step(two_bundles, "switch")
    after = two_bundles.runtime.default
    assert after is not before
    assert not before.expiry_sweep._sweeping._thread.is_alive()
    assert not before.calibration_renewal._looking._thread.is_alive()
    assert after.expiry_sweep._sweeping._thread.is_alive()
    assert after.calibration_renewal._looking._thread.is_alive()


def test_compreface_goes_on_with_the_new_bundle(two_bundles: Api) -> None:
    enrol(two_bundles, ANN, "ann")
    reembed(two_bundles)
    step(two_bundles, "switch")
    answer = two_bundles.post(
        "/api/v1/recognition/recognize",
        params={"status": "true"},
        files={"file": ("ann.png", ANN)},
        headers={"x-api-key": "any"},
    )
    assert answer.status_code == 200, answer.text
    (face,) = answer.json()["result"]
    assert face["subjects"][0]["similarity"] == pytest.approx(1.0, abs=1e-5)
    assert answer.json()["plugins_versions"]["calculator"] == NEXT


def test_another_collection_stays_what_it_is(two_bundles: Api) -> None:
    assert two_bundles.post("/v1/collections", json={"id": "other"}).status_code == 201
    two_bundles.enroll(ANN, subject_id="ann", collection="other", store_image="crop")
    enrol(two_bundles, BOB, "bob")
    path = "/v1/collections/other/reembed"
    job = ended(two_bundles, start(two_bundles, path=path))
    assert job["result"]["reembedding"]["collection_id"] == "other"
    assert two_bundles.post(f"{path}/switch").status_code == 200
    assert state(two_bundles, path)["bundle"]["id"] == NEXT
    assert found(two_bundles, BOB)[:2] == (OLD, "bob")
    assert two_bundles.identify(ANN, collection="other").json()["bundle"]["id"] == NEXT
    assert two_bundles.delete("/v1/collections/other").status_code == 204
    check_problem(two_bundles.get(path), 404, "collection_not_found")
