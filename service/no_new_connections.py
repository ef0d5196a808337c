"""Closing a port without a reset: first no connection is begun any more, then it is closed.

Closed at once, the kernel resets the connections that wait to be accepted, and between the last
look for one and the closing there can always be another.
"""

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Final

# socket(7), asm-generic; Python has no name for it.
_SO_ATTACH_FILTER: Final = 26
_FLAGS_OF_TCP_HEADER: Final = 13
_SYN: Final = 0x02
# Classic BPF, linux/filter.h: code, jump if true, jump if false, value. A segment with SYN, which
# begins a connection, is dropped, whatever else is let through: handshakes come to their end.
_DROP_SYN: Final = (
    (0x30, 0, 0, _FLAGS_OF_TCP_HEADER),  # load a byte
    (0x45, 0, 1, _SYN),  # has it this bit?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # keep
)


def refuse_new_connections(listening: Iterable[object]) -> bool:
    """Whoever connects from now on hears nothing, asks again in a second and is refused by then.

    False where the system cannot do so; nothing is changed there.
    """
    if sys.platform != "linux":
        return False
    program = b"".join(struct.pack("=HBBI", *line) for line in _DROP_SYN)
    lines = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(lines))
    try:
        for one in listening:
            # uvloop's sockets take no options; a copy of the descriptor is the same socket.
            with socket.socket(fileno=os.dup(one.fileno())) as copy:  # type: ignore[attr-defined]
                copy.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
    except OSError:
        return False
    return True
