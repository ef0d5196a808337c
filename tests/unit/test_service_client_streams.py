"""What is larger than memory: archives are read while they are sent, files written as they come."""

import io
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx
import pytest

from service.client import ApiError, AsyncClient, Client
from service.client.uploads import FromHere
from service.import_answer import ImportAnswer
from tests.conftest import Api, face_photo
from tests.unit.test_service_client import URL, Awaited, Busy, MakeClient, make_client
from tests.unit.test_service_imports import OUTCOMES, PHOTOS, zipped

__all__ = ["make_client"]
LARGE_BYTES = 64 << 20
# What both clients and httpx may need at a time.
FEW_BYTES = 8 << 20


def imported(client: Client, archive: Any, csv: Any = None) -> dict[str, Any]:
    job = client.import_archive(archive, csv=csv).job
    result = client.wait_for_job(job.id, timeout_s=30, poll_s=0.01).result
    assert result is not None
    return result


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


def test_archives_are_paths_bytes_and_open_files(client: Client, api: Api, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(zipped(PHOTOS))
    first = imported(client, path)
    assert first["outcomes"] == OUTCOMES
    file = io.BytesIO(b"before" + zipped(PHOTOS))
    file.seek(6)
    with path.open("rb") as named:
        # All are the same import: not a byte more or less was sent.
        for archive in (str(path), zipped(PHOTOS), named, file):
            assert imported(client, archive) == {**first, "done_before_count": len(PHOTOS)}
    with pytest.raises(FileNotFoundError):
        client.import_archive(tmp_path / "nowhere.zip")


def test_a_table_goes_along(client: Client, api: Api, tmp_path: Path) -> None:
    table = tmp_path / "who.csv"
    table.write_text("path,subject_id\nx/1.png,ada-1\n")
    imported(client, zipped({"x/1.png": face_photo(1)}), csv=table)
    assert api.runtime.default.gallery.subject("ada-1").template_count == 1


def test_what_can_be_read_only_once_is_sent_whole(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with path.open("wb") as target:
        target.write(zipped({"ada/1.png": face_photo(1)}))
    with os.fdopen(reading, "rb") as pipe:
        assert imported(client, pipe)["outcomes"] == {"enrolled": 1}


def test_a_retry_sends_all_of_it_again(make_client: MakeClient, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(zipped(PHOTOS))
    file = io.BytesIO(b"before" + path.read_bytes())
    for archive in (path, file):
        file.seek(6)
        busy = Busy(1)
        assert imported(make_client(busy), archive)["outcomes"] == OUTCOMES
        sent = [request for request in busy.seen if request.method == "POST"]
        assert len(sent) == 2
        for request in sent:
            assert path.read_bytes() in request.content
            assert b"before" not in request.content


def test_files_that_were_opened_are_closed_and_those_given_are_not(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photos.zip"
    path.write_bytes(b"no zip")
    opened: list[Any] = []
    plain = Path.open

    def noting(self: Path, *args: Any, **more: Any) -> Any:
        file = plain(self, *args, **more)
        if self == path:
            opened.append(file)
        return file

    monkeypatch.setattr(Path, "open", noting)
    with pytest.raises(ApiError, match="invalid_request"):
        client.import_archive(path)
    assert [file.closed for file in opened] == [True]
    with path.open("rb") as mine:
        with pytest.raises(ApiError):
            client.import_archive(mine)
        assert not mine.closed


class Counting(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Reads each body as it comes and keeps nothing of it."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self.bytes = 0
        self._answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for part in cast(httpx.SyncByteStream, request.stream):
            self._take(part)
        assert int(request.headers.get("content-length", 0)) == self.bytes
        return self._answer()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async for part in cast(httpx.AsyncByteStream, request.stream):
            self._take(part)
        assert int(request.headers.get("content-length", 0)) == self.bytes
        return self._answer()

    def _take(self, part: bytes) -> None:
        self.bytes += len(part)


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """So many bytes, a little at a time."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._count >> 16):
            yield bytes(1 << 16)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


@pytest.fixture(params=["sync", "async"])
def made(request: pytest.FixtureRequest, api: Api) -> Callable[[httpx.BaseTransport], Client]:
    """made(transport) -> a client of either sort, as one of Client's type."""

    def make(transport: Any) -> Any:
        if request.param == "sync":
            return Client(URL, transport=transport)
        return Awaited(api, AsyncClient(URL, transport=transport))

    return make


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_archive_needs_little_memory(
    made: Callable[[httpx.BaseTransport], Client], api: Api, tmp_path: Path
) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)
    job = api.post("/v1/exports", json={}).json()["job"]
    answer = ImportAnswer.model_validate({"import_id": "0" * 64, "job": job})
    transport = Counting(lambda: httpx.Response(202, json=answer.model_dump()))
    client = made(transport)
    assert peak_bytes(lambda: client.import_archive(path)) < FEW_BYTES
    assert transport.bytes > LARGE_BYTES
    client.close()


class Sink(io.RawIOBase):
    """A file that counts."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        return len(data)


@pytest.mark.parametrize("name", ["save_export_file", "save_import_report"])
def test_a_large_file_is_written_as_it_comes(
    made: Callable[[httpx.BaseTransport], Client], name: str
) -> None:
    client = made(Counting(lambda: httpx.Response(200, stream=Parts(LARGE_BYTES))))
    save, sink = getattr(client, name), Sink()
    assert peak_bytes(lambda: save("0" * 32, cast(BinaryIO, sink))) < FEW_BYTES
    assert sink.bytes == LARGE_BYTES
    client.close()


def test_files_that_are_saved_are_those_of_the_service(client: Client, api: Api) -> None:
    client.enroll(face_photo(1), name="Ada")
    begun = client.export()
    client.wait_for_job(begun.job.id, timeout_s=30, poll_s=0.01)
    file = io.BytesIO()
    assert client.save_export_file(begun.export_id, file) == len(file.getvalue())
    assert file.getvalue() == client.get_export_file(begun.export_id)
    import_id = imported(client, zipped(PHOTOS))["import_id"]
    lines = io.BytesIO()
    client.save_import_report(import_id, lines)
    assert lines.getvalue() == client.get_import_report(import_id)
    with pytest.raises(ApiError, match="404 export_not_found"):
        client.save_export_file("0" * 32, file)


def test_a_busy_service_is_asked_again_for_a_file(make_client: MakeClient) -> None:
    busy = Busy(2)
    with pytest.raises(ApiError, match="404 import_not_found"):
        make_client(busy).save_import_report("0" * 64, io.BytesIO())
    assert len(busy.seen) == 3


def test_an_open_file_begins_where_it_stands() -> None:
    file = io.BytesIO(b"before, and after")
    file.seek(8)
    here = FromHere(file)
    assert here.seek(0, io.SEEK_END) == 9
    assert here.seek(0) == 0
    assert here.read(3) == b"and"
    assert here.tell() == 3
    assert here.seek(1, io.SEEK_CUR) == 4
    assert here.read() == b"after"
