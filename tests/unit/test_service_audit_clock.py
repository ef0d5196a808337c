"""What comes with time is nobody's in the audit log, whoever's request has begun it."""

import threading
import time
from contextlib import closing
from contextvars import copy_context
from typing import Any

import pytest

from index.actor import acting, actor
from index.audit_log import told_entries
from index.gallery import Gallery
from service.calibration import keep, measure
from service.calibration_renewal import CalibrationRenewal
from service.every import Every
from service.expiry_sweep import ExpirySweep
from service.jobs import Jobs
from tests.conftest import GalleryOpener
from tests.unit.test_service_calibration_renewal import CONTRACT, HELD, grow

WAIT_S = 30.0


class Heir(threading.Thread):
    """A thread that is begun in the context of who starts it, as newer Pythons can have it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._context = copy_context()

    def run(self) -> None:
        self._context.run(super().run)


@pytest.fixture
def heirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads from now on."""
    monkeypatch.setattr(threading, "Thread", Heir)


def until_logged(gallery: Gallery, action: str) -> dict[str, Any]:
    """The newest entry, once it is of that action."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        *_, newest = told_entries(gallery.galleries)
        if newest["action"] == action:
            return newest
        time.sleep(0.01)
    raise AssertionError(f"no entry of {action} has come")


@pytest.mark.usefixtures("heirs")
def test_who_expires_is_removed_by_nobody_whoever_opened_the_collection(
    open_gallery: GalleryOpener,
) -> None:
    gallery = open_gallery(CONTRACT)
    with acting("a"):
        grow(gallery, 1)
        gallery.update_subject("s0", expires_at="2020-01-01T00:00:00Z")
        sweep = ExpirySweep(gallery, every_s=0.01)
    with closing(sweep):
        assert until_logged(gallery, "expire")["detail"]["by"] is None


@pytest.mark.usefixtures("heirs")
def test_a_calibration_is_renewed_by_nobody_whoever_made_the_one_before(
    open_gallery: GalleryOpener,
) -> None:
    gallery = open_gallery(CONTRACT)
    with closing(Jobs(queue=2, history=3)) as jobs, acting("a"):
        grow(gallery, 30)
        keep(gallery, measure(gallery, **HELD))
        assert until_logged(gallery, "calibrate")["detail"]["by"] == "a"
        grow(gallery, 60)
        with closing(CalibrationRenewal(gallery, jobs, every_s=0.01, **HELD)):
            assert until_logged(gallery, "calibrate")["detail"]["by"] is None


@pytest.mark.usefixtures("heirs")
def test_what_is_done_again_and_again_is_done_by_nobody() -> None:
    done: list[str | None] = []
    twice = threading.Event()

    def work() -> None:
        done.append(actor())
        if len(done) == 2:
            twice.set()

    with acting("a"):
        every = Every(work, every_s=0.001, name="n", failed="f", at_once=True)
    with closing(every):
        assert twice.wait(WAIT_S)
    assert set(done) == {None}
