"""Renewing a collection's calibration in the background, when its gallery has outgrown it.

Photos of strangers are not kept, so a renewal rests on the gallery alone.
"""

import logging
from collections.abc import Callable
from typing import Final

from contract.errors import OneGlanceError
from index.gallery import Gallery
from service.calibration import keep, measure, stored_calibration
from service.calibration_record import CollectionCalibration
from service.every import Every
from service.jobs import JobResult, Jobs, Progress

log = logging.getLogger(__name__)

KIND: Final = "calibration"
# A calibration is for a gallery of its size: twice as many subjects make twice as many errors.
GROWTH: Final = 2.0
# After a renewal that came to nothing, so much larger must the gallery be for another try.
AGAIN: Final = 1.1


class CalibrationRenewal:
    """A thread that looks every `every_s` seconds, and submits a job where one is due."""

    def __init__(
        self,
        gallery: Gallery,
        jobs: Jobs,
        *,
        bundle: str,
        quality_policy: str,
        every_s: float,
    ) -> None:
        """bundle, quality_policy: see measure()."""
        self._gallery, self._jobs = gallery, jobs
        self._bundle, self._quality_policy = bundle, quality_policy
        # Subjects at the last try that came to nothing, and what was stored then.
        self._tried_at, self._tried_for = 0, ""
        self._looking = Every(
            self.look,
            every_s=every_s,
            name="calibration-renewal",
            failed="a renewal of the calibration could not be looked for",
        )

    def close(self) -> None:
        """Finish the look under way and end; a second call does nothing."""
        self._looking.close()

    def look(self) -> str | None:
        """Submit a renewal if it is due; the job's id."""
        try:
            present = stored_calibration(self._gallery)
            subjects = self._gallery.subject_count
            if present is None or not self._is_due(present, subjects):
                return None
            job = self._jobs.submit(
                KIND,
                self._renewal(present, subjects),
                collection_id=self._gallery.collection_id,
                alone=True,
            )
        except OneGlanceError as error:
            log.info("a renewal of the calibration waits: %s", error)
        else:
            log.info("the calibration is renewed for %d subjects: job %s", subjects, job.id)
            return job.id
        return None

    def _is_due(self, present: CollectionCalibration, subjects: int) -> bool:
        outgrown = subjects >= GROWTH * present.gallery_subjects
        if not outgrown and present.contract_id == self._gallery.contract.id:
            return False
        return present.made_at != self._tried_for or subjects >= AGAIN * self._tried_at

    def _renewal(
        self, present: CollectionCalibration, subjects: int
    ) -> Callable[[Progress], JobResult]:
        def work(progress: Progress) -> JobResult:
            # Until it has come to something.
            self._tried_at, self._tried_for = subjects, present.made_at
            renewed = measure(
                self._gallery,
                bundle=self._bundle,
                quality_policy=self._quality_policy,
                tell=progress,
            )
            same_bundle = present.contract_id == renewed.contract_id
            if same_bundle and not renewed.supports(present):
                log.info(
                    "the present calibration stays: without the %d strangers that were uploaded "
                    "for it, a renewed one would support fewer targets; upload them again",
                    present.uploaded_strangers,
                )
                return {"kept": "present"}
            keep(self._gallery, renewed)
            return {"kept": "renewed"}

        return work
