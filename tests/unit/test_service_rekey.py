"""Re-keying over HTTP: the job, what it says, and everybody is answered as before."""

import logging
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.errors import GallerySecretError
from index.protection.secrets import GallerySecrets
from index.rekeying import Rekeying
from tests.conftest import Api, ApiMaker, Face, check_problem, face_photo
from tests.reembedded import ANN, BOB, PATH, WAIT_S

REKEY = "/v1/collections/default/rekey"
ANN_AGAIN = face_photo(Face(1, noise=20))


def rekeyed(api: Api, **wish: bool) -> dict[str, Any]:
    """Post, and wait: the result of the job."""
    answer = api.post(REKEY, json=wish) if wish else api.post(REKEY)
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    assert (job["kind"], answer.headers["location"]) == ("rekeying", f"/v1/jobs/{job['id']}")
    assert api.runtime.jobs.wait(job["id"], timeout_s=WAIT_S).ended
    ended = api.get(f"/v1/jobs/{job['id']}").json()
    assert (ended["status"], ended["progress"]) == ("succeeded", 1), ended
    result: dict[str, Any] = ended["result"]
    return result


def similarity(api: Api, photo: bytes) -> tuple[str | None, float]:
    (face,) = api.identify(photo).json()["faces"]
    return face["subject"] and face["subject"]["id"], face["similarity"]


def secret_id(api: Api) -> str | None:
    found: str | None = api.get("/v1/collections/default").json()["secret_id"]
    return found


def test_answers_stay_and_the_secret_is_told_by_its_id(anywhere: Api) -> None:
    api = anywhere
    assert api.enroll(ANN, subject_id="ann").status_code == 201
    assert api.enroll(BOB, subject_id="bob").status_code == 201
    before = similarity(api, ANN_AGAIN)
    first = secret_id(api)
    (known,) = api.runtime.settings.secrets.ids()
    assert first == known
    assert rekeyed(api) == {
        "secret_id": first,
        "former_secret_id": first,
        "former_in_use": True,
        "row_key_id": None,
    }
    assert similarity(api, ANN_AGAIN) == (before[0], pytest.approx(before[1], abs=1e-5))
    result = rekeyed(api, new_secret=True)
    assert result["former_secret_id"] == first != result["secret_id"] == secret_id(api)
    assert result["former_in_use"] is False
    assert similarity(api, ANN_AGAIN) == (before[0], pytest.approx(before[1], abs=1e-5))
    assert api.enroll(face_photo(3), subject_id="cy").status_code == 201
    assert similarity(api, face_photo(3))[0] == "cy"
    verified = api.post("/v1/verify", files={"image": ANN}, data={"subject_id": "ann"}).json()
    assert verified["similarity"] == pytest.approx(1.0, abs=1e-3)


def test_a_gallery_of_before_is_protected_by_it(make_api: ApiMaker) -> None:
    api = make_api(protect_templates=False)
    assert api.enroll(ANN, subject_id="ann").status_code == 201
    assert secret_id(api) is None
    before = similarity(api, ANN_AGAIN)
    assert rekeyed(api)["former_secret_id"] is None
    assert secret_id(api) is not None
    assert similarity(api, ANN_AGAIN) == (before[0], pytest.approx(before[1], abs=1e-5))


def test_neither_log_nor_answer_has_a_secret(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert api.enroll(ANN, subject_id="ann").status_code == 201
        result = rekeyed(api, new_secret=True)
    secrets = api.runtime.settings.secrets
    for name in secrets.ids():
        secret = secrets.get(name, of="it").hex()
        assert secret not in caplog.text
        assert secret not in str(result)
        assert secret not in repr(api.runtime.settings)


def test_a_re_embedding_under_way_is_a_conflict(two_bundles: Api) -> None:
    api = two_bundles
    assert api.enroll(ANN, subject_id="ann", store_image="crop").status_code == 201
    job = api.post(PATH, json={"bundle": "next"}).json()["job"]
    assert api.runtime.jobs.wait(job["id"], timeout_s=WAIT_S).status == "succeeded"
    problem = check_problem(api.post(REKEY), 409, "reembedding_conflict")
    assert "finish that, or abandon it" in problem["detail"]


def test_a_job_that_ends_without_its_secret_says_so(make_api: ApiMaker) -> None:
    api = make_api(gallery_secret="11" * 32)
    assert api.enroll(ANN, subject_id="ann").status_code == 201
    job = api.post(REKEY, json={"new_secret": True}).json()["job"]
    api.runtime.jobs.wait(job["id"], timeout_s=WAIT_S)
    error = api.get(f"/v1/jobs/{job['id']}").json()["error"]
    assert error["code"] == "secret_missing"
    assert "put a new one" in error["detail"]
    assert similarity(api, ANN)[0] == "ann"


class Steps:
    """Holds the job after each of its steps, until told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached: queue.Queue[str] = queue.Queue()
        self._go = threading.Semaphore(0)
        for name in ("rekey", "clean"):
            real = getattr(Rekeying, name)

            def steps(job: Rekeying, real: Any = real, name: str = name) -> Any:
                self._hold(f"before {name}")
                for done in real(job):
                    self._hold(name)
                    yield done
                self._hold(f"after {name}")

            monkeypatch.setattr(Rekeying, name, steps)

    def __iter__(self) -> Iterator[str]:
        while (step := self.reached.get(timeout=WAIT_S)) != "after clean":
            yield step
            self._go.release()
        yield step
        self._go.release()

    def _hold(self, step: str) -> None:
        self.reached.put(step)
        assert self._go.acquire(timeout=WAIT_S)


def test_callers_meanwhile_see_nothing_of_it(
    anywhere: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Identifications, verifications and enrolments in between all its steps."""
    api, steps = anywhere, Steps(monkeypatch)
    assert api.enroll(ANN, subject_id="ann").status_code == 201
    expected = similarity(api, ANN_AGAIN)
    job = api.post(REKEY).json()["job"]
    seen = []
    for step in steps:
        seen.append(step)
        now = similarity(api, ANN_AGAIN)
        assert now == (expected[0], pytest.approx(expected[1], abs=1e-5)), step
        data = {"subject_id": "ann"}
        verified = api.post("/v1/verify", files={"image": ANN}, data=data).json()
        assert verified["similarity"] == pytest.approx(1.0, abs=1e-3), step
        name, photo = f"new-{len(seen)}", face_photo(100 + len(seen))
        assert api.enroll(photo, subject_id=name).status_code == 201, step
        assert similarity(api, photo)[0] == name, step
    assert api.runtime.jobs.wait(job["id"], timeout_s=WAIT_S).status == "succeeded"
    # One page, and the former templates fit into one removal.
    assert seen == ["before rekey", "rekey", "after rekey", "before clean", "after clean"]
    for place in range(1, len(seen) + 1):
        assert similarity(api, face_photo(100 + place))[0] == f"new-{place}"


def test_a_replica_follows_with_its_next_answer(make_api: ApiMaker, postgres_dsn: str) -> None:
    one, other = make_api(gallery=postgres_dsn), make_api(gallery=postgres_dsn)
    assert one.enroll(ANN, subject_id="ann").status_code == 201
    assert similarity(other, ANN)[0] == "ann"
    rekeyed(one, new_secret=True)
    assert similarity(other, ANN)[0] == "ann"
    assert other.enroll(BOB, subject_id="bob").status_code == 201
    assert similarity(one, BOB)[0] == "bob"


def test_a_replica_without_the_secret_is_refused_at_its_start(
    make_api: ApiMaker, postgres_dsn: str, tmp_path: Path
) -> None:
    make_api(gallery=postgres_dsn)
    with pytest.raises(GallerySecretError, match="was protected by the secret"):
        make_api(gallery=postgres_dsn, gallery_secret_file=tmp_path / "elsewhere.secret")


def test_the_secrets_of_a_setting_are_used(make_api: ApiMaker, tmp_path: Path) -> None:
    text = "11" * 32
    api = make_api(gallery_secret=text)
    assert secret_id(api) == GallerySecrets(tmp_path / "none", text=text).current()
    assert not (tmp_path / "gallery.sqlite3.secret").exists()


def test_rows_are_encrypted_where_a_key_is_given_and_rotated_with_it(
    make_api: ApiMaker, tmp_path: Path
) -> None:
    keys = GallerySecrets(tmp_path / "row.key")
    api = make_api(row_key_file=keys.path)
    assert api.enroll(ANN, subject_id="ann", store_image="crop").status_code == 201
    (template,) = api.get("/v1/subjects/ann/templates").json()["templates"]
    crop = api.get(f"/v1/templates/{template['id']}/crop").content
    (first,) = keys.ids()
    assert crop not in (tmp_path / "gallery.sqlite3").read_bytes()
    assert rekeyed(api)["row_key_id"] == first
    second = rekeyed(api, new_row_key=True)["row_key_id"]
    assert keys.ids() == [second, first]
    # The former one is of no use any more.
    kept = next(line for line in keys.path.read_text().splitlines() if not line.startswith("#"))
    keys.path.write_text(f"{kept}\n")
    api.runtime.galleries.close()
    again = make_api(row_key_file=keys.path)
    assert similarity(again, ANN)[0] == "ann"
    assert again.get(f"/v1/templates/{template['id']}/crop").content == crop


def test_without_a_row_key_there_is_none_to_be_renewed(api: Api) -> None:
    job = api.post(REKEY, json={"new_row_key": True}).json()["job"]
    ended = api.runtime.jobs.wait(job["id"], timeout_s=WAIT_S)
    assert "are not encrypted" in str(ended.error)
