"""One caller and many: the service over HTTP, as its users meet it."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How so many callers were answered."""

    callers: int
    photos_per_s: float
    p50_ms: float
    p99_ms: float


def load(url: str, photos: Sequence[Path], *, callers: int) -> Load:
    """Each photo is asked for once, `callers` at a time. Raises httpx's errors."""
    files = [photo.read_bytes() for photo in photos]
    with (
        httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client,
        ThreadPoolExecutor(callers) as pool,
    ):

        def ask(data: bytes) -> float:
            start = time.perf_counter()
            answer = client.post("/v1/identify", files={"image": ("photo.jpg", data)})
            answer.raise_for_status()
            return (time.perf_counter() - start) * 1_000

        list(pool.map(ask, files[:callers]))  # connections are made, nothing is measured
        start = time.perf_counter()
        ms = list(pool.map(ask, files))
        seconds = time.perf_counter() - start
    p50, p99 = (float(p) for p in np.percentile(ms, [50, 99]))
    return Load(callers=callers, photos_per_s=len(files) / seconds, p50_ms=p50, p99_ms=p99)
