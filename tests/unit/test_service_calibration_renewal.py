"""Renewing a calibration: when it is due, once, and never for the worse; on both backends."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.reembedding import Reembedding
from service.calibration import Strangers, keep, measure, stored_calibration
from service.calibration_renewal import CalibrationRenewal
from service.jobs import Jobs
from tests.conftest import GalleryOpener

WAIT_S = 30.0
D = 16
CONTRACT = EmbeddingContract(id="test:sixteen", size=D, d_max=2.0)
OTHER = EmbeddingContract(id="test:other", size=D, d_max=2.0)
HELD: dict[str, Any] = {"bundle": "tiny@1.0.0", "quality_policy": "standard"}


def rows(rng: np.random.Generator, count: int) -> Any:
    made = rng.standard_normal((count, D))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def grow(gallery: Gallery, to: int) -> None:
    """Enrol people of two templates until there are so many."""
    for number in range(gallery.subject_count, to):
        gallery.enroll(rows(np.random.default_rng(number), 2), subject_id=f"s{number}")


@pytest.fixture
def gallery(open_gallery: GalleryOpener) -> Any:
    return open_gallery(CONTRACT)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(queue=2, history=20)
    yield made
    made.close()


Look = Callable[[], "str | None"]


@pytest.fixture
def look(gallery: Any, jobs: Jobs) -> Iterator[Look]:
    """Look once, and wait for the job if there is one: what came of it, None without one."""
    renewal = CalibrationRenewal(gallery, jobs, every_s=3600, **HELD)

    def run() -> str | None:
        job_id = renewal.look()
        if job_id is None:
            return None
        job = jobs.wait(job_id, timeout_s=WAIT_S)
        assert job.ended
        return str(job.result["kept"]) if job.result else type(job.error).__name__

    yield run
    renewal.close()
    renewal.close()


def test_without_a_calibration_none_is_renewed(gallery: Any, look: Look) -> None:
    grow(gallery, 60)
    assert look() is None
    assert gallery.calibration() is None


def test_it_is_renewed_once_when_subjects_have_doubled(gallery: Any, look: Look) -> None:
    grow(gallery, 30)
    keep(gallery, measure(gallery, **HELD))
    grow(gallery, 59)
    assert look() is None
    grow(gallery, 60)
    assert look() == "renewed"
    renewed = stored_calibration(gallery)
    assert renewed is not None
    assert (renewed.gallery_subjects, renewed.uploaded_strangers) == (60, 0)
    assert (renewed.bundle, renewed.quality_policy) == tuple(HELD.values())
    assert look() is None


def test_one_that_strangers_made_better_stays(
    gallery: Any, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    grow(gallery, 30)
    strangers = Strangers(embeddings=rows(np.random.default_rng(1), 280))
    keep(gallery, measure(gallery, strangers, **HELD))
    before = gallery.calibration()
    grow(gallery, 60)
    with caplog.at_level(logging.INFO, "service.calibration_renewal"):
        assert look() == "present"
    assert "280 strangers" in caplog.text
    assert gallery.calibration() == before
    # Not again before the gallery has grown.
    assert look() is None
    grow(gallery, 65)
    assert look() is None
    grow(gallery, 66)
    assert look() == "present"


def test_enough_subjects_take_the_place_of_strangers(gallery: Any, look: Look) -> None:
    grow(gallery, 30)
    strangers = Strangers(embeddings=rows(np.random.default_rng(1), 280))
    keep(gallery, measure(gallery, strangers, **HELD))
    grow(gallery, 300)
    assert look() == "renewed"
    renewed = stored_calibration(gallery)
    assert renewed is not None
    assert [p.target_fpir for p in renewed.gallery.points] == [0.1, 0.01]


def test_a_failure_is_not_repeated_until_the_gallery_grows(
    gallery: Any, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(gallery, 30)
    keep(gallery, measure(gallery, **HELD))
    grow(gallery, 60)
    with monkeypatch.context() as patch:
        patch.setattr("service.calibration_renewal.measure", lambda *_, **__: 1 / 0)
        assert look() == "ZeroDivisionError"
    assert look() is None
    grow(gallery, 66)
    assert look() == "renewed"


def test_another_bundle_makes_one_due(gallery: Any, look: Look) -> None:
    grow(gallery, 30)
    strangers = Strangers(embeddings=rows(np.random.default_rng(1), 280))
    keep(gallery, measure(gallery, strangers, **HELD))
    job = Reembedding.begin(gallery, OTHER)
    for page in job.pending():
        job.stage({t.id: rows(np.random.default_rng(n), 1)[0] for n, t in enumerate(page)})
    job.switch()
    # The present one says nothing about these embeddings, so that a smaller one is better.
    assert look() == "renewed"
    renewed = stored_calibration(gallery)
    assert renewed is not None
    assert renewed.contract_id == OTHER.id
    assert look() is None


def test_a_full_queue_is_tried_again(
    gallery: Any, jobs: Jobs, look: Look, caplog: pytest.LogCaptureFixture
) -> None:
    grow(gallery, 30)
    keep(gallery, measure(gallery, **HELD))
    grow(gallery, 60)
    go = threading.Event()

    def wait(_: Any) -> None:
        assert go.wait(WAIT_S)

    blocking = [jobs.submit("other", wait) for _ in range(3)]
    with caplog.at_level(logging.INFO, "service.calibration_renewal"):
        assert look() is None
    assert "waits" in caplog.text
    go.set()
    for job in blocking:
        jobs.wait(job.id, timeout_s=WAIT_S)
    assert look() == "renewed"


def test_the_thread_looks_by_itself(gallery: Any, jobs: Jobs) -> None:
    grow(gallery, 30)
    keep(gallery, measure(gallery, **HELD))
    grow(gallery, 60)
    renewal = CalibrationRenewal(gallery, jobs, every_s=0.01, **HELD)
    deadline = time.monotonic() + WAIT_S
    while stored_calibration(gallery).gallery_subjects != 60:  # type: ignore[union-attr]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    renewal.close()
