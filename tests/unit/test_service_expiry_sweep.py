"""The sweep: it erases who has expired, survives errors, and ends when told."""

import logging
import threading
import time
from typing import Any, cast

import pytest

from contract.errors import GalleryUnavailableError
from index.gallery import Gallery
from service.expiry_sweep import ExpirySweep
from tests.conftest import ApiMaker, face_photo

LIMIT_S = 30.0


class Sweepable:
    """A gallery whose sweeps end one after the other as told."""

    def __init__(self, *ends: BaseException | tuple[str, ...]) -> None:
        self._ends = list(ends)
        self.swept = threading.Event()

    def remove_expired(self) -> tuple[str, ...]:
        if not self._ends:
            self.swept.set()
            return ()
        end = self._ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return end


def test_errors_are_logged_and_the_next_sweep_comes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    gallery = Sweepable(GalleryUnavailableError("no disk"), RuntimeError("a bug"), ("ann", "bob"))
    sweep = ExpirySweep(cast(Gallery, gallery), every_s=0.001)
    assert gallery.swept.wait(LIMIT_S)
    sweep.close()
    sweep.close()
    said = [record.getMessage() for record in caplog.records]
    assert "no disk" in said[0]
    assert caplog.records[1].exc_info is not None
    assert said[2] == "2 expired subjects were removed"


def test_closing_does_not_wait_for_the_next_sweep() -> None:
    before = time.monotonic()
    ExpirySweep(cast(Gallery, Sweepable()), every_s=3_600).close()
    assert time.monotonic() - before < LIMIT_S


def test_the_service_sweeps(make_api: ApiMaker) -> None:
    api: Any = make_api(expiry_sweep_s=1)
    assert api.enroll(face_photo(1), expires_at="2020-01-01T00:00:00Z").status_code == 201
    deadline = time.monotonic() + LIMIT_S
    while api.runtime.default.gallery.subject_count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert api.runtime.default.gallery.subject_count == 0
