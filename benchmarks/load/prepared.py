"""Requests as the bytes that go over the wire, made before anything is measured."""

from typing import Final

BOUNDARY: Final = "oneglance-photo"


def identify_request(photo: bytes) -> bytes:
    """POST /v1/identify with one photo as a form, on a connection that is kept."""
    body = b"".join(
        (
            f"--{BOUNDARY}\r\n".encode(),
            b'Content-Disposition: form-data; name="image"; filename="photo.jpg"\r\n\r\n',
            photo,
            f"\r\n--{BOUNDARY}--\r\n".encode(),
        )
    )
    head = (
        "POST /v1/identify HTTP/1.1\r\n"
        "Host: oneglance\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
