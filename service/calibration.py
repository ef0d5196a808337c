"""A collection's calibration on itself: measured, kept with the collection, and read again."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import ValidationError

from contract.calibration.intervals import REPLICATES
from contract.errors import ImageError
from contract.manifest import wrong_fields
from index.calibrating import calibrated, search_itself
from index.clock import now
from index.gallery import Gallery
from index.rate_curve import rate_curve
from index.records import Embeddings
from service.calibration_record import CollectionCalibration
from service.recognizer import Recognizer, Timing

log = logging.getLogger(__name__)

Tell = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """People who are not enrolled. embeddings: float32 (S, D), one a photo; None is nobody.

    failures_to_acquire: photos in which no face was found, or that could not be read.
    """

    embeddings: Embeddings | None = None
    failures_to_acquire: int = 0


NOBODY: Final = Strangers()


def embed_strangers(recognizer: Recognizer, photos: Iterable[bytes]) -> Strangers:
    """The largest face of each image file, as an identification takes it."""
    found: list[Embeddings] = []
    failures = 0
    for photo in photos:
        timing = Timing()
        try:
            seen, faces = recognizer.detect(photo, timing)
        except ImageError:
            faces = []
        if faces:
            (face,) = recognizer.embed(seen, faces[:1], timing)
            found.append(face.embedding)
        else:
            failures += 1
    return Strangers(embeddings=np.stack(found) if found else None, failures_to_acquire=failures)


def measure(
    gallery: Gallery,
    strangers: Strangers = NOBODY,
    *,
    bundle: str,
    quality_policy: str,
    with_feedback: bool = True,
    tell: Tell = lambda _: None,
) -> CollectionCalibration:
    """Search a collection for its own people and for strangers; nothing is stored.

    bundle: name and version. quality_policy: id of the policy. with_feedback: what was said of
    answers counts, too. tell: hears the share that is done, and may raise to stop. Raises
    TooLittleDataError.
    """
    search = search_itself(
        gallery,
        strangers_SD=strangers.embeddings,
        with_feedback=with_feedback,
        tell=lambda done: tell(0.7 * done),
    )
    at = now()
    return CollectionCalibration(
        version=1,
        made_at=at,
        bundle=bundle,
        contract_id=search.contract_id,
        quality_policy=quality_policy,
        scoring=search.scoring,
        gallery_subjects=search.searches.gallery_subjects,
        gallery_templates=search.templates,
        gallery_revision=search.revision,
        uploaded_strangers=search.uploaded,
        failures_to_acquire=strangers.failures_to_acquire,
        rejected_strangers=search.rejected,
        feedback=search.feedback,
        feedback_left_out=search.feedback_left_out,
        replicates=REPLICATES,
        gallery=calibrated(search, tell=lambda done: tell(0.7 + 0.2 * done)),
        curve=rate_curve(search),
    )


def keep(gallery: Gallery, calibration: CollectionCalibration) -> None:
    """Store a calibration with its collection, in place of the one before.

    Raises ContractMismatchError: the collection was re-embedded meanwhile.
    """
    gallery.set_calibration(
        calibration.model_dump_json(),
        contract_id=calibration.contract_id,
        made_at=calibration.made_at,
    )


def stored_calibration(gallery: Gallery) -> CollectionCalibration | None:
    """The calibration that is kept with a collection, whether it still fits or not.

    None where there is none, and where another release has written it in a way of its own.
    """
    stored = gallery.calibration()
    if stored is None:
        return None
    try:
        return CollectionCalibration.model_validate_json(stored.record)
    except ValidationError as error:
        log.warning(
            "the calibration of %s is none that this release can read; calibrate anew (%s)",
            gallery.collection_id,
            wrong_fields(error),
        )
        return None
