"""The client whose calls are awaited, under asyncio or trio."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from service.client import (
    audit_calls,
    collection_calls,
    export_calls,
    feedback_calls,
    import_calls,
    key_calls,
    photo_calls,
    reembed_calls,
    rekey_calls,
    service_calls,
    subject_calls,
)
from service.client.call import Call
from service.client.error import error_of
from service.client.sending import (
    RETRIES,
    TIMEOUT_S,
    as_method,
    ended,
    headers_of,
    request_of,
    result_of,
    wait_s,
)
from service.client.uploads import InThreads, Uploads
from service.schemas import JobOut, SubjectOut

P = ParamSpec("P")
T = TypeVar("T")


def _sends(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    @as_method(build)
    async def method(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(build(*args, **kwargs))

    return method


class AsyncClient:
    """As Client, with calls to be awaited."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=headers_of(api_key), timeout=timeout_s, transport=transport
        )
        self._retries = retries

    enroll = _sends(photo_calls.enroll)
    identify = _sends(photo_calls.identify)
    identify_batch = _sends(photo_calls.identify_batch)
    verify = _sends(photo_calls.verify)
    detect = _sends(photo_calls.detect)
    embed = _sends(photo_calls.embed)

    give_feedback = _sends(feedback_calls.give_feedback)
    list_feedback = _sends(feedback_calls.list_feedback)
    delete_feedback = _sends(feedback_calls.delete_feedback)

    list_subjects = _sends(subject_calls.list_subjects)
    get_subject = _sends(subject_calls.get_subject)
    update_subject = _sends(subject_calls.update_subject)
    merge_subject = _sends(subject_calls.merge_subject)
    delete_subject = _sends(subject_calls.delete_subject)
    get_erasure = _sends(subject_calls.get_erasure)
    list_templates = _sends(subject_calls.list_templates)
    get_template = _sends(subject_calls.get_template)
    get_crop = _sends(subject_calls.get_crop)
    delete_template = _sends(subject_calls.delete_template)

    list_collections = _sends(collection_calls.list_collections)
    create_collection = _sends(collection_calls.create_collection)
    get_collection = _sends(collection_calls.get_collection)
    delete_collection = _sends(collection_calls.delete_collection)
    calibrate = _sends(collection_calls.calibrate)
    list_calibrations = _sends(collection_calls.list_calibrations)
    report_health = _sends(collection_calls.report_health)

    reembed = _sends(reembed_calls.reembed)
    get_reembedding = _sends(reembed_calls.get_reembedding)
    switch_bundle = _sends(reembed_calls.switch_bundle)
    roll_back_bundle = _sends(reembed_calls.roll_back_bundle)
    abandon_reembedding = _sends(reembed_calls.abandon_reembedding)
    drop_former_embeddings = _sends(reembed_calls.drop_former_embeddings)
    rekey = _sends(rekey_calls.rekey)

    import_archive = _sends(import_calls.import_archive)
    get_import_report = _sends(import_calls.get_import_report)

    export = _sends(export_calls.export)
    get_export_file = _sends(export_calls.get_export_file)

    create_key = _sends(key_calls.create_key)
    list_keys = _sends(key_calls.list_keys)
    delete_key = _sends(key_calls.delete_key)

    list_audit = _sends(audit_calls.list_audit)

    list_bundles = _sends(service_calls.list_bundles)
    get_job = _sends(service_calls.get_job)
    healthz = _sends(service_calls.healthz)
    readyz = _sends(service_calls.readyz)
    get_metrics = _sends(service_calls.get_metrics)

    async def iter_subjects(
        self,
        *,
        name: str | None = None,
        external_id: str | None = None,
        collection: str | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[SubjectOut]:
        """All subjects, oldest first, however many pages they are."""
        cursor = None
        while True:
            page = await self.list_subjects(
                limit=page_size,
                cursor=cursor,
                name=name,
                external_id=external_id,
                collection=collection,
            )
            for subject in page.subjects:
                yield subject
            cursor = page.next_cursor
            if cursor is None:
                return

    async def wait_for_job(
        self, job_id: str, *, timeout_s: float = 600, poll_s: float = 1
    ) -> JobOut:
        """The job when it has succeeded. Raises ApiError if it fails, and TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not ended(job := await self.get_job(job_id)):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"Job {job_id} is {job.status} after {timeout_s} s.")
            await anyio.sleep(poll_s)
        return job

    async def send(self, call: Call[T]) -> T:
        """What a call comes to, with the retries that its answers ask for."""
        # Files may lie on slow disks.
        with await anyio.to_thread.run_sync(Uploads, call) as uploads:
            answer = await self._sent(call, uploads)
        return result_of(call, answer)

    async def save_export_file(self, export_id: str, file: BinaryIO) -> int:
        """Write the file of an export into an open file as it comes; its length in bytes."""
        return await self._save(export_calls.get_export_file(export_id), file)

    async def save_import_report(self, import_id: str, file: BinaryIO) -> int:
        """Write the report of an import into an open file as it comes; its length in bytes."""
        return await self._save(import_calls.get_import_report(import_id), file)

    async def _save(self, call: Call[bytes], file: BinaryIO) -> int:
        with Uploads(call) as uploads:
            answer = await self._sent(call, uploads, stream=True)
        async with aclosing(answer):
            if not answer.is_success:
                await answer.aread()
                raise error_of(answer)
            length = 0
            async for part in answer.aiter_bytes():
                length += await anyio.to_thread.run_sync(file.write, part)
            return length

    async def _sent(
        self, call: Call[Any], uploads: Uploads, *, stream: bool = False
    ) -> httpx.Response:
        answer = await self._http.send(self._request(call, uploads), stream=stream)
        for _ in range(self._retries):
            pause_s = wait_s(answer)
            if pause_s is None:
                break
            await answer.aclose()
            await anyio.sleep(pause_s)
            answer = await self._http.send(self._request(call, uploads), stream=stream)
        return answer

    def _request(self, call: Call[Any], uploads: Uploads) -> httpx.Request:
        request = request_of(self._http, call, uploads)
        if call.streams:
            assert isinstance(request.stream, httpx.SyncByteStream)
            request.stream = InThreads(request.stream)
        return request

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
