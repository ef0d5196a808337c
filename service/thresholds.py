"""The threshold of this moment: from the request, a calibration and the gallery's present size."""

import threading
from dataclasses import replace
from typing import Final, Literal

from contract.calibration.thresholds import FpirThreshold, fpir_threshold
from contract.manifest import Manifest
from index.gallery import Gallery
from index.tables.collections import StoredCollection
from service.calibration import stored_calibration
from service.calibration_record import CollectionCalibration
from service.decision import Evidence, Threshold

OWN: Final = "the collection's own templates, and strangers and feedback that were given for it"
FOR_ONE: Final = (
    "FMR is taken for the FPIR of a gallery of one subject, an estimate from measured galleries."
)
INVESTIGATING: Final = "mode=investigate lists candidates and decides nothing."

# Thresholds remembered: for the targets that are in use, at one size of the gallery.
KEPT: Final = 64


class Thresholds:
    """For a target FPIR: by the collection's own calibration, else by the bundle's.

    A bundle without calibration has at most a fixed default threshold, which claims nothing about
    the gallery. Any thread may call anything.
    """

    def __init__(
        self, manifest: Manifest, gallery: Gallery, *, quality_policy_id: str, target_fpir: float
    ) -> None:
        """target_fpir: of requests that name none. quality_policy_id: of enrolments now."""
        self._manifest, self._gallery = manifest, gallery
        self._quality_policy_id = quality_policy_id
        self._target_fpir = target_fpir
        self._lock = threading.Lock()
        self._own: tuple[int | None, CollectionCalibration | None] = (None, None)
        # A millisecond each to compute, and most requests ask what the one before asked.
        self._computed: dict[tuple[float | int | None, ...], Threshold] = {}

    def threshold(
        self, *, requested: float | None = None, target_fpir: float | None = None
    ) -> Threshold:
        """The caller's own, or the one for `target_fpir`, that of the settings unless given.

        Raises GalleryUnavailableError.
        """
        return self._threshold(self._gallery.stored(), requested, target_fpir)

    def for_one(
        self,
        *,
        templates: int = 1,
        requested: float | None = None,
        target_fmr: float | None = None,
    ) -> Threshold:
        """For one photo against another, or against a subject of so many templates.

        A false match of 1:1 is one of a search in a gallery of that subject alone, so the target
        FMR is a target FPIR there; that of the settings unless given. Nothing was measured of such
        galleries, so it is an estimate. Raises GalleryUnavailableError.
        """
        alone = replace(self._gallery.stored(), subject_count=1, template_count=templates)
        found = self._threshold(alone, requested, target_fmr)
        if found.source != "calibrated":
            return found
        evidence = found.evidence
        return replace(
            found,
            basis="estimate",
            # Its rates are those of searches among many.
            evidence=evidence and replace(evidence, fpir=None, fnir=None),
            note=" ".join(filter(None, (FOR_ONE, found.note))),
        )

    def _threshold(
        self, stored: StoredCollection, requested: float | None, target_fpir: float | None
    ) -> Threshold:
        number, own = self._own_calibration()
        if requested is not None:
            return Threshold(
                value=requested, source="request", gallery_subjects=stored.subject_count
            )
        if target_fpir is None and own is None and self._manifest.calibration is None:
            return self._fixed(stored)
        target = self._target_fpir if target_fpir is None else target_fpir
        key = (number, stored.subject_count, stored.template_count, target)
        found = self._computed.get(key)
        if found is None:
            found = self._calibrated(stored, own, target)
            if len(self._computed) >= KEPT:
                self._computed.clear()
            self._computed[key] = found
        return found

    def investigating(self) -> Threshold:
        """None, since candidates only are wanted."""
        return Threshold(
            value=None,
            source="none",
            gallery_subjects=self._gallery.subject_count,
            reason="investigating",
            note=INVESTIGATING,
        )

    def _fixed(self, stored: StoredCollection) -> Threshold:
        """That of a bundle without a calibration, if it has one."""
        default = self._manifest.default_threshold
        if default is None:
            return Threshold(
                value=None,
                source="none",
                gallery_subjects=stored.subject_count,
                reason="no_threshold",
                note="The bundle has neither calibration nor default threshold: calibrate on the "
                "collection, or send a threshold.",
            )
        return Threshold(
            value=default.similarity,
            source="default",
            gallery_subjects=stored.subject_count,
            evidence=Evidence(
                calibration="bundle",
                data=default.data,
                gallery_subjects=default.gallery_subjects,
                strangers=default.searches,
                fpir=default.fpir,
            ),
            note="The bundle has no calibration: this threshold does not follow the gallery's "
            "size. Calibrate on the collection.",
        )

    def _calibrated(
        self, stored: StoredCollection, own: CollectionCalibration | None, target_fpir: float
    ) -> Threshold:
        refusals: list[str] = []
        bundle = self._manifest.calibration
        if own is not None:
            found = fpir_threshold(
                [own.gallery],
                target_fpir=target_fpir,
                subjects=self._comparable(stored, own.gallery_templates / own.gallery.subjects),
            )
            if isinstance(found, FpirThreshold):
                return _stated(found, stored, OWN, "collection", made_at=own.made_at)
            refusals.append(f"The collection's own calibration: {found.reason}")
        if bundle is None:
            refusals.append("The bundle has no calibration: calibrate on the collection.")
        elif self._gallery.scoring != bundle.template_fusion and _has_several(stored):
            refusals.append(
                f"The bundle's calibration is of the {bundle.template_fusion} template of a "
                f"subject, not of their {self._gallery.scoring}: calibrate on the collection."
            )
        else:
            found = fpir_threshold(
                bundle.galleries,
                target_fpir=target_fpir,
                subjects=self._comparable(stored, bundle.images_enrolled),
            )
            if isinstance(found, FpirThreshold):
                note = " ".join(refusals) or None
                return _stated(found, stored, bundle.data, "bundle", note=note)
            refusals.append(f"The bundle's calibration: {found.reason}")
        return Threshold(
            value=None,
            source="none",
            gallery_subjects=stored.subject_count,
            target_fpir=target_fpir,
            reason="target_fpir_unsupported",
            note=" ".join(refusals),
        )

    def _comparable(self, stored: StoredCollection, templates_each: float) -> float:
        """Subjects of `templates_each` that give a stranger as many chances as this gallery does.

        Where the best template counts, each template is a chance: with three of each subject 2.5
        times as many strangers come through as with one (docs/measurements.md).
        """
        if self._gallery.scoring == "mean":
            return stored.subject_count
        return max(stored.subject_count, stored.template_count / templates_each)

    def _own_calibration(self) -> tuple[int | None, CollectionCalibration | None]:
        """The collection's own and its number, if it holds for what is searched now."""
        number = self._gallery.calibration_number()
        with self._lock:
            # Read anew only when it is another: by a job here, or by another replica.
            if self._own[0] != number:
                self._own = (number, stored_calibration(self._gallery))
            number, own = self._own
        if own is None:
            return None, None
        unfit = own.unfit(
            contract_id=self._gallery.contract.id,
            quality_policy=self._quality_policy_id,
            scoring=self._gallery.scoring,
        )
        return (None, None) if unfit else (number, own)


def _has_several(stored: StoredCollection) -> bool:
    return stored.template_count > stored.subject_count


def _stated(
    found: FpirThreshold,
    stored: StoredCollection,
    data: str,
    calibration: Literal["collection", "bundle"],
    *,
    made_at: str | None = None,
    note: str | None = None,
) -> Threshold:
    gallery = found.gallery
    measured = [p for p in gallery.points if p.target_fpir == found.target_fpir]
    return Threshold(
        value=found.value,
        source="calibrated",
        gallery_subjects=stored.subject_count,
        target_fpir=found.target_fpir,
        basis=found.basis,
        fpir_upper95=found.fpir_upper95,
        evidence=Evidence(
            calibration=calibration,
            data=data,
            gallery_subjects=gallery.subjects,
            strangers=gallery.nonmated_subjects,
            fpir=measured[0].fpir if measured else None,
            fnir=measured[0].fnir if measured else None,
            made_at=made_at,
        ),
        note=note,
    )
