"""One kept connection, on which one request at a time is under way."""

import socket
from dataclasses import dataclass
from typing import Final

PIECE_BYTES: Final = 65_536
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. keeps: whether the connection can be used again."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def keeps(self) -> bool:
        """Whether the server takes another request on it."""
        return self.headers.get("connection", "").lower() != "close"


class Connection:
    """A socket that one request goes out on, and whose answer is read as it comes."""

    def __init__(self, address: tuple[str, int]) -> None:
        """Raises OSError: nobody listens there."""
        self._socket = socket.create_connection(address, timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seen = b""

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        """Raises OSError: it was closed."""
        self._seen = b""
        self._socket.sendall(request)

    def read(self) -> Answer | None:
        """The answer, once a piece has come that ends it. Raises OSError: it broke off."""
        piece = self._socket.recv(PIECE_BYTES)
        if not piece:
            raise ConnectionResetError("The connection was closed before the answer's end.")
        self._seen += piece
        head, end, body = self._seen.partition(_HEAD_END)
        if not end:
            return None
        line, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        if len(body) < int(headers.get("content-length", "0")):
            return None
        return Answer(int(line.split(" ", 2)[1]), headers, body)

    def close(self) -> None:
        self._socket.close()
