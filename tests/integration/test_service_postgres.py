"""The service on a gallery in PostgreSQL: replicas share it, and a lost server is answered 503."""

import pytest

from benchmarks.postgres_server import PostgresServer
from tests.conftest import Api, ApiMaker, check_problem, face_photo


@pytest.fixture
def replicas(make_api: ApiMaker, postgres_dsn: str) -> tuple[Api, Api]:
    """Two services on one empty gallery."""
    return make_api(gallery=postgres_dsn), make_api(gallery=postgres_dsn)


def test_what_one_replica_does_the_other_sees_at_once(replicas: tuple[Api, Api]) -> None:
    one, other = replicas
    assert one.enroll(face_photo(1), subject_id="ann", name="Ann").status_code == 201
    assert other.who(face_photo(1)) == "Ann"
    assert other.enroll(face_photo(2), name="Bob").json()["gallery_revision"] == 2
    assert one.who(face_photo(2)) == "Bob"
    assert other.delete("/v1/subjects/ann").status_code == 204
    assert one.who(face_photo(1)) is None
    assert one.get("/v1/subjects/ann").status_code == 404


def test_a_lost_server_is_answered_503_until_it_is_back(
    replicas: tuple[Api, Api], postgres_server: PostgresServer
) -> None:
    api, _ = replicas
    api.enroll(face_photo(1), name="Ann")
    postgres_server.kill9()
    try:
        for answer in (
            api.identify(face_photo(1)),
            api.enroll(face_photo(2)),
            api.get("/v1/subjects"),
        ):
            problem = check_problem(answer, 503, "gallery_unavailable")
            assert "cannot be reached" in problem["detail"]
            assert answer.headers["retry-after"]
        assert api.get("/readyz").status_code == 503
        assert api.get("/healthz").status_code == 200
    finally:
        postgres_server.start()
    assert api.who(face_photo(1)) == "Ann"
    assert api.enroll(face_photo(2), name="Bob").status_code == 201
    assert api.who(face_photo(2)) == "Bob"
    assert api.get("/readyz").status_code == 200
