"""A secret to the orthogonal matrix that it stands for: the construction "rotation-1".

    stream = SHAKE-256("oneglance rotation-1" | secret, 32 bytes | salt, 16 bytes | D, 4 bytes)
    u      = pairs of its 64-bit little-endian numbers, the upper 53 bits: (b + 1/2) / 2^53
    G      = sqrt(-2 ln u1) cos(2 pi u2), D x D standard normal numbers in float64, row by row
    Q R    = G, with the signs of Q's columns such that R's diagonal is positive

Q is uniform among all orthogonal matrices (Haar; Mezzadri, Notices of the AMS 54, 2007). Another
machine's arithmetic gives another last digit of float64, far below the float32 that is stored.
Shapes: D embedding size.
"""

import hashlib
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Matrix: TypeAlias = npt.NDArray[np.float64]

SECRET_BYTES: Final = 32
SALT_BYTES: Final = 16
_DOMAIN: Final = b"oneglance rotation-1"
# Farther from orthogonal than that no QR decomposition comes.
_TOLERANCE: Final = 1e-11


def rotation(secret: bytes, salt: bytes, size: int) -> Matrix:
    """The orthogonal matrix, float64 (D, D), of a secret and a salt. size: D."""
    if len(secret) != SECRET_BYTES or len(salt) != SALT_BYTES:
        raise ValueError(f"A secret has {SECRET_BYTES} bytes, a salt {SALT_BYTES}.")
    seed = hashlib.shake_256(_DOMAIN + secret + salt + size.to_bytes(4, "big"))
    words = np.frombuffer(seed.digest(16 * size * size), dtype="<u8").reshape(-1, 2)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    normal = np.sqrt(-2.0 * np.log(uniform[:, 0])) * np.cos(2.0 * np.pi * uniform[:, 1])
    q_DD, r_DD = np.linalg.qr(normal.reshape(size, size))
    turned: Matrix = np.ascontiguousarray(q_DD * np.where(np.diag(r_DD) < 0, -1.0, 1.0))
    assert np.abs(turned @ turned.T - np.eye(size)).max() < _TOLERANCE
    return turned
