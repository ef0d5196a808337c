"""The proof that nobody notices a killed replica: it holds, and it would see who did."""

import httpx

from benchmarks import replicas
from benchmarks.replicas import Seen


def test_nobody_notices_that_a_replica_is_killed() -> None:
    seen, _ = replicas.run(kills=1)
    assert seen.faults == []
    assert seen.identified > 0
    assert len(seen.enrolled) > replicas.KNOWN


def test_a_second_error_is_seen_and_only_some_are_sent_twice() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(500 if request.url.path == "/v1/enroll" else 502, text="no")

    seen = Seen()
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://x") as client:
        assert replicas.send(client, seen, "/v1/identify") is None
        replicas.enrol_one(client, seen, 1, "ada")
    assert asked == ["/v1/identify", "/v1/identify", "/v1/enroll"]
    assert (seen.twice, seen.enrolled) == (1, [])
    assert seen.faults == ["/v1/identify twice: 502 no", "ada is answered 500 no"]
