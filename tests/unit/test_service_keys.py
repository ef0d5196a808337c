"""Keys: when one is asked for, what a wrong one hears, and who may make and delete them."""

import hashlib
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.errors import (
    GalleryUnavailableError,
    NoKeysError,
    OneGlanceError,
    UnknownKeyError,
)
from index.galleries import Galleries
from index.tables.api_keys import StoredKey
from service.access import keyring as keyring_module
from service.access.keyring import Keyring
from tests.conftest import Api, ApiMaker, check_problem, face_photo
from tests.keyed import ADMIN_KEY, UUID_KEY, bearer, create, made

ASKED = "/v1/collections"


@pytest.fixture
def keyed(make_api: ApiMaker) -> Api:
    return make_api(admin_key=ADMIN_KEY)


def status(api: Api, key: str | None, path: str = ASKED) -> int:
    return api.get(path, headers={} if key is None else bearer(key)).status_code


def test_without_keys_whoever_reaches_this_machine_alone_may_ask(api: Api) -> None:
    assert status(api, None) == 200
    # Clients send what they always send.
    assert status(api, "whatever") == 200
    assert api.get(ASKED, headers={"x-api-key": "whatever"}).status_code == 200


def test_from_the_first_key_on_one_is_needed(api: Api) -> None:
    first = api.post("/v1/keys", json={"name": "mine", "scopes": ["admin"]})
    assert first.status_code == 201
    assert first.headers["cache-control"] == "no-store"
    key = first.json()["key"]
    assert key.startswith(f"og_{first.json()['id']}_")
    assert status(api, None) == 401
    assert status(api, key) == 200
    assert api.get(ASKED, headers={"x-api-key": key}).status_code == 200
    assert api.get(ASKED, headers={"authorization": f"bearer  {key}"}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_what_needs_no_key_also_takes_a_wrong_one(keyed: Api, path: str) -> None:
    assert status(keyed, None, path) == 200
    assert status(keyed, "wrong", path) == 200


def test_how_many_are_enrolled_is_told_to_who_has_a_key_for_them(keyed: Api) -> None:
    keyed.http.headers["x-api-key"] = ADMIN_KEY
    assert keyed.enroll(face_photo(1)).status_code == 201
    del keyed.http.headers["x-api-key"]
    here = made(keyed, "identify", collections=["default"])
    elsewhere = made(keyed, "identify", collections=["staff"])
    counted = {
        key: keyed.get("/readyz", headers=bearer(key)).json()["subject_count"]
        for key in (ADMIN_KEY, here, elsewhere, "wrong")
    }
    assert counted == {ADMIN_KEY: 1, here: 1, elsewhere: None, "wrong": None}
    assert keyed.get("/readyz").json()["template_count"] is None


def test_a_key_that_is_missing_and_one_that_is_not_known_are_refused(keyed: Api) -> None:
    missing = keyed.get(ASKED)
    check_problem(missing, 401, "key_missing")
    assert missing.headers["www-authenticate"] == "Bearer"
    unknown = keyed.get(ASKED, headers=bearer("wrong"))
    check_problem(unknown, 401, "key_unknown")
    assert unknown.headers["www-authenticate"] == "Bearer"


def test_no_byte_of_a_body_is_read_before_the_key_is_known(keyed: Api) -> None:
    seen: list[str] = []

    async def receive() -> Any:
        seen.append("receive")
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        seen.append(message["type"])

    scope = {
        "type": "http", "method": "POST", "path": "/v1/imports", "raw_path": b"/v1/imports",
        "query_string": b"", "headers": [(b"x-api-key", b"wrong")], "http_version": "1.1",
        "scheme": "http", "server": ("oneglance", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    keyed.run(keyed.app(scope, receive, send))
    assert seen == ["http.response.start", "http.response.body"]


def test_paths_that_are_not_there_are_not_told_apart_without_a_key(keyed: Api) -> None:
    for path in ("/nowhere", "/v1", "/v1/subjects/ann", "/v1/collections/default"):
        check_problem(keyed.get(path), 401, "key_missing")
    check_problem(keyed.get("/nowhere", headers=bearer(ADMIN_KEY)), 404, "not_found")


def test_a_key_is_told_once_and_stored_as_its_hash_alone(
    make_api: ApiMaker, tmp_path: Path
) -> None:
    api = make_api(admin_key=ADMIN_KEY)
    key = create(api, ADMIN_KEY, scopes=["identify"])["key"]
    listed = api.get("/v1/keys", headers=bearer(ADMIN_KEY))
    secret = key.rpartition("_")[2]
    assert len(bytes.fromhex(secret)) == 32
    assert secret not in listed.text
    api.runtime.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert hashlib.sha256(key.encode()).hexdigest().encode() in stored
    for text in (secret, ADMIN_KEY):
        assert text.encode() not in stored


def test_keys_are_listed_as_they_were_made(keyed: Api) -> None:
    wanted = {
        "name": "Kiosk", "scopes": ["enroll", "identify", "identify"],
        "collections": ["staff", "guests", "staff"], "expires_at": "2100-01-01T01:00:00+01:00",
    }  # fmt: skip
    created = create(keyed, ADMIN_KEY, **wanted)
    del created["key"]
    (listed,) = keyed.get("/v1/keys", headers=bearer(ADMIN_KEY)).json()["keys"]
    assert listed == created
    assert listed["scopes"] == ["identify", "enroll"]
    assert listed["collections"] == ["staff", "guests"]
    assert listed["expires_at"] == "2100-01-01T00:00:00.000Z"


def test_a_deleted_key_is_refused_at_once_and_after_a_restart(make_api: ApiMaker) -> None:
    api = make_api(admin_key=ADMIN_KEY)
    kept, gone = made(api, "identify"), made(api, "identify")
    assert (status(api, kept), status(api, gone)) == (200, 200)
    key_id = gone.split("_")[1]
    path = f"/v1/keys/{key_id}"
    assert api.delete(path, headers=bearer(ADMIN_KEY)).status_code == 204
    check_problem(api.get(ASKED, headers=bearer(gone)), 401, "key_unknown")
    check_problem(api.delete(path, headers=bearer(ADMIN_KEY)), 404, "key_not_found")
    api.runtime.close()
    again = make_api(admin_key=ADMIN_KEY)
    assert (status(again, kept), status(again, gone)) == (200, 401)


def test_a_key_is_good_until_it_expires(keyed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    key = made(keyed, "identify", expires_at=in_an_hour.isoformat())
    assert status(keyed, key) == 200
    monkeypatch.setattr(keyring_module.time, "time", lambda: in_an_hour.timestamp() - 1)
    assert status(keyed, key) == 200
    monkeypatch.setattr(keyring_module.time, "time", in_an_hour.timestamp)
    check_problem(keyed.get(ASKED, headers=bearer(key)), 401, "key_unknown")


def test_a_key_with_one_digit_changed_is_unknown(keyed: Api) -> None:
    key = made(keyed, "identify")
    for place in range(len(key)):
        other = "1" if key[place] != "1" else "2"
        assert status(keyed, key[:place] + other + key[place + 1 :]) == 401
    for text in (key[:-1], key + "0", key.upper(), "og_", "og__", key.split("_")[1]):
        assert status(keyed, text) == 401


@pytest.mark.parametrize(
    "wanted",
    [
        {"scopes": ["identify"]},
        {"scopes": ["admin"], "collections": ["default"]},
        {"scopes": ["admin"], "expires_at": "2100-01-01T00:00:00Z"},
    ],
)
def test_the_first_key_must_be_able_to_manage_keys(api: Api, wanted: dict[str, Any]) -> None:
    answer = api.post("/v1/keys", json={"name": "n", **wanted})
    check_problem(answer, 409, "last_admin_key")
    assert status(api, None) == 200
    assert api.get("/v1/keys").json() == {"keys": []}


def test_the_last_key_that_manages_others_is_kept(api: Api) -> None:
    first, second = made(api, "admin"), made(api, "admin")
    other = made(api, "identify")
    first_id, second_id, other_id = (key.split("_")[1] for key in (first, second, other))
    assert api.delete(f"/v1/keys/{first_id}", headers=bearer(first)).status_code == 204
    last = api.delete(f"/v1/keys/{second_id}", headers=bearer(second))
    check_problem(last, 409, "last_admin_key")
    assert (status(api, second), status(api, other)) == (200, 200)
    # Alone it can go: then there are no keys, and this machine may ask as before.
    assert api.delete(f"/v1/keys/{other_id}", headers=bearer(second)).status_code == 204
    assert api.delete(f"/v1/keys/{second_id}", headers=bearer(second)).status_code == 204
    assert status(api, None) == 200


def test_with_the_settings_key_any_other_can_go(keyed: Api) -> None:
    only = made(keyed, "identify")
    path = f"/v1/keys/{only.split('_')[1]}"
    assert keyed.delete(path, headers=bearer(ADMIN_KEY)).status_code == 204
    assert status(keyed, None) == 401
    check_problem(
        keyed.delete("/v1/keys/settings", headers=bearer(ADMIN_KEY)), 404, "key_not_found"
    )


def test_who_may_not_manage_keys_cannot_reach_more_by_making_one(keyed: Api) -> None:
    here = made(keyed, "admin", collections=["default"])
    enroll = made(keyed, "enroll")
    for key in (here, enroll):
        wanted = {"name": "n", "scopes": ["admin"]}
        assert keyed.post("/v1/keys", json=wanted, headers=bearer(key)).status_code == 403
        assert status(keyed, key, "/v1/keys") == 403


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"collections": []}, "collections"),
        ({"collections": ["a b"]}, "collection id"),
        ({"collections": [f"c{i}" for i in range(101)]}, "collections"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"key": "secret"}, "guess"),
        ({"key": "00000000-0000-0000-0000-000000000002"}, "guess"),
        ({"key": "a" * 64}, "guess"),
        ({"key": "og_" + "0123456789abcdef" * 4}, "og_"),
        ({"key": "correct horse battery staple is long"}, "spaces"),
        ({"key": "ü" * 40}, "signs"),
        ({"nmae": "n"}, "nmae"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_in_words(
    keyed: Api, wrong: dict[str, Any], said: str
) -> None:
    wanted = {"name": "n", "scopes": ["identify"], **wrong}
    answer = keyed.post("/v1/keys", json=wanted, headers=bearer(ADMIN_KEY))
    problem = check_problem(answer, 422, "invalid_request")
    assert said in problem["detail"]
    assert not wrong.get("key") or wrong["key"] not in problem["detail"]
    assert keyed.get("/v1/keys", headers=bearer(ADMIN_KEY)).json() == {"keys": []}


def test_a_key_can_be_brought_along_once(keyed: Api) -> None:
    made_of = create(keyed, ADMIN_KEY, scopes=["identify"], key=UUID_KEY)
    assert made_of["key"] == UUID_KEY
    assert UUID_KEY[:8] not in made_of["id"]
    assert keyed.get(ASKED, headers={"x-api-key": UUID_KEY}).status_code == 200
    again = {"name": "n", "scopes": ["admin"], "key": UUID_KEY}
    check_problem(keyed.post("/v1/keys", json=again, headers=bearer(ADMIN_KEY)), 409, "key_exists")


def test_each_key_has_idempotency_keys_of_its_own(keyed: Api) -> None:
    one, other = made(keyed, "enroll"), made(keyed, "enroll")

    def enroll(key: str, seed: int) -> Any:
        files = {"images": ("0.png", face_photo(seed))}
        headers = {"Idempotency-Key": "k1"} | bearer(key)
        return keyed.post("/v1/enroll", files=files, headers=headers)

    first = enroll(one, 1)
    assert first.status_code == 201
    assert enroll(other, 2).status_code == 201
    assert enroll(one, 1).headers["idempotent-replayed"] == "true"
    check_problem(enroll(one, 3), 409, "idempotency_conflict")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "faces.example"])
def test_where_others_reach_it_the_service_needs_a_key_to_start(
    make_api: ApiMaker, host: str
) -> None:
    with pytest.raises(NoKeysError, match=r"keys create .*ADMIN_KEY_FILE.*--allow-no-keys"):
        make_api(host=host)
    api = make_api(host=host, admin_key=ADMIN_KEY)
    assert (status(api, None), status(api, ADMIN_KEY)) == (401, 200)
    first = made(api, "admin")
    api.runtime.close()
    again = make_api(host=host)
    assert (status(again, None), status(again, first)) == (401, 200)
    # It would be shut for good.
    answer = again.delete(f"/v1/keys/{first.split('_')[1]}", headers=bearer(first))
    check_problem(answer, 409, "last_admin_key")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_this_machine_alone_it_needs_none(make_api: ApiMaker, host: str) -> None:
    assert status(make_api(host=host), None) == 200


def test_it_starts_without_a_key_where_it_is_told_to_in_so_many_words(make_api: ApiMaker) -> None:
    assert status(make_api(host="0.0.0.0", allow_no_keys=True), None) == 200


def test_the_settings_key_may_come_from_a_file(make_api: ApiMaker, tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    path.write_text(f"{ADMIN_KEY}\n", encoding="utf-8")
    api = make_api(admin_key_file=path)
    assert (status(api, None), status(api, ADMIN_KEY)) == (401, 200)
    assert ADMIN_KEY not in repr(api.runtime.settings)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "empty"), ("\n", "empty"), ("short", "guess"), (None, "cannot be read")],
)
def test_a_settings_key_that_is_none_stops_the_start(
    make_api: ApiMaker, tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "admin.key"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(OneGlanceError, match=said):
        make_api(admin_key_file=path)
    with pytest.raises(OneGlanceError, match="not both"):
        make_api(admin_key_file=path, admin_key=ADMIN_KEY)


def test_keys_stay_as_they_are_while_they_cannot_be_looked_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(api, "admin")
    tries = 0
    tried_again = threading.Event()

    def failing(_: Galleries) -> list[StoredKey]:
        nonlocal tries
        tries += 1
        if tries == 3:
            tried_again.set()
        raise GalleryUnavailableError("gone") if tries == 1 else RuntimeError("an accident")

    ring = Keyring(api.runtime.galleries, admin_key=None, open_without_keys=False, refresh_s=0.01)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(keyring_module, "stored_keys", failing)
            assert tried_again.wait(30)
            assert ring.caller_of(first).scopes == {"admin"}
        second = made(api, "identify")
        for _ in range(3_000):
            with suppress(UnknownKeyError):
                assert ring.caller_of(second).scopes == {"identify"}
                break
            threading.Event().wait(0.01)
        else:
            pytest.fail("the new key was never seen")
    finally:
        ring.close()


def test_a_key_asks_so_often_a_minute(make_api: ApiMaker) -> None:
    api = make_api(admin_key=ADMIN_KEY, max_requests_per_minute_per_key=3)
    other = made(api, "identify")
    assert [status(api, ADMIN_KEY) for _ in range(4)] == [200, 200, 200, 429]
    refused = api.get(ASKED, headers=bearer(ADMIN_KEY))
    problem = check_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "3 times a minute" in problem["detail"]
    assert status(api, other) == 200
    # What needs no key is always answered.
    assert status(api, ADMIN_KEY, "/readyz") == 200
