"""The client that waits for each answer."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

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
from service.client.uploads import Uploads
from service.schemas import JobOut, SubjectOut

P = ParamSpec("P")
T = TypeVar("T")


def _sends(build: Callable[P, Call[T]]) -> Callable[Concatenate["Client", P], T]:
    @as_method(build)
    def method(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(build(*args, **kwargs))

    return method


class Client:
    """The API at `base_url`, such as http://localhost:8000.

    timeout_s: for each connection, write and read. retries: of an answer 429 or 503 that says when
    to come again, within 30 seconds; 0 for never. transport: httpx's, for what is no plain socket.
    Every call raises ApiError, or httpx.TransportError where no answer comes. Any thread may call.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
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

    def iter_subjects(
        self,
        *,
        name: str | None = None,
        external_id: str | None = None,
        collection: str | None = None,
        page_size: int = 100,
    ) -> Iterator[SubjectOut]:
        """All subjects, oldest first, however many pages they are."""
        cursor = None
        while True:
            page = self.list_subjects(
                limit=page_size,
                cursor=cursor,
                name=name,
                external_id=external_id,
                collection=collection,
            )
            yield from page.subjects
            cursor = page.next_cursor
            if cursor is None:
                return

    def wait_for_job(self, job_id: str, *, timeout_s: float = 600, poll_s: float = 1) -> JobOut:
        """The job when it has succeeded. Raises ApiError if it fails, and TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not ended(job := self.get_job(job_id)):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"Job {job_id} is {job.status} after {timeout_s} s.")
            time.sleep(poll_s)
        return job

    def send(self, call: Call[T]) -> T:
        """What a call comes to, with the retries that its answers ask for."""
        with Uploads(call) as uploads:
            answer = self._sent(call, uploads)
        return result_of(call, answer)

    def save_export_file(self, export_id: str, file: BinaryIO) -> int:
        """Write the file of an export into an open file as it comes; its length in bytes."""
        return self._save(export_calls.get_export_file(export_id), file)

    def save_import_report(self, import_id: str, file: BinaryIO) -> int:
        """Write the report of an import into an open file as it comes; its length in bytes."""
        return self._save(import_calls.get_import_report(import_id), file)

    def _save(self, call: Call[bytes], file: BinaryIO) -> int:
        with Uploads(call) as uploads:
            answer = self._sent(call, uploads, stream=True)
        with closing(answer):
            if not answer.is_success:
                answer.read()
                raise error_of(answer)
            return sum(file.write(part) for part in answer.iter_bytes())

    def _sent(self, call: Call[Any], uploads: Uploads, *, stream: bool = False) -> httpx.Response:
        answer = self._http.send(request_of(self._http, call, uploads), stream=stream)
        for _ in range(self._retries):
            pause_s = wait_s(answer)
            if pause_s is None:
                break
            answer.close()
            time.sleep(pause_s)
            answer = self._http.send(request_of(self._http, call, uploads), stream=stream)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
