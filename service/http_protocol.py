"""HTTP as uvicorn and httptools speak it, but for the one answer that comes before any route."""

import http
import logging
import uuid
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import malformed_problem
from service.request_id import HEADER

log = logging.getLogger(__name__)
STATUS: Final = http.HTTPStatus.BAD_REQUEST


class HttpProtocol(HttpToolsProtocol):
    """Bytes that are no HTTP, or a method that HTTP does not know, are answered by a problem, too.

    uvicorn answers them by plain text without a request id.
    """

    def send_400_response(self, msg: str) -> None:
        """Answer, and close: what follows on the connection cannot be told apart any more."""
        request_id = uuid.uuid4().hex
        log.info("request %s was no HTTP", request_id)
        body = malformed_problem(msg, request_id=request_id).model_dump_json().encode()
        lines = (
            f"HTTP/1.1 {STATUS.value} {STATUS.phrase}",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            f"{HEADER}: {request_id}",
            "connection: close",
        )
        self.transport.write("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)
        self.transport.close()
