"""The collections that are served: each a gallery, bound to the bundle that made its embeddings."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from contract.errors import (
    CollectionExistsError,
    CollectionInUseError,
    CollectionNotFoundError,
    ContractMismatchError,
)
from index.checks import check_subject_id
from index.galleries import Galleries, is_postgres
from index.gallery import Gallery
from index.tables.collections import StoredCollection
from service.calibration_renewal import CalibrationRenewal
from service.expiry_sweep import ExpirySweep
from service.jobs import Jobs
from service.served_bundles import ServedBundle, ServedBundles
from service.settings import Settings
from service.thresholds import Thresholds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCollection:
    """An open collection with all that works on it.

    It stays what it is: a request that has it when the collection is switched to another bundle
    ends by the one before, and the next request gets another of these.
    """

    gallery: Gallery
    bundle: ServedBundle
    thresholds: Thresholds
    expiry_sweep: ExpirySweep
    calibration_renewal: CalibrationRenewal

    @property
    def id(self) -> str:
        """By which requests name it."""
        return self.gallery.collection_id

    def stop(self) -> None:
        """End what works on it in the background."""
        self.expiry_sweep.close()
        self.calibration_renewal.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCollection:
    """A collection as it is stored; bundle: None where that which it is bound to is not served.

    secret_id: of what its templates are protected by, None where they are not.
    """

    stored: StoredCollection
    contract_id: str
    secret_id: str | None
    bundle: ServedBundle | None


class Collections:
    """The collections of one database. Any thread may call anything."""

    def __init__(
        self,
        galleries: Galleries,
        bundles: ServedBundles,
        jobs: Jobs,
        settings: Settings,
        *,
        quality_policy_id: str,
    ) -> None:
        """Open what there is, and make the settings' collection if it is not there.

        Raises ContractMismatchError (the settings' collection is of a bundle that is not served),
        GalleryError or GalleryUnavailableError.
        """
        self._galleries, self._bundles, self._jobs = galleries, bundles, jobs
        self._settings, self._quality_policy_id = settings, quality_policy_id
        # Whether other replicas may switch and remove the collections, too.
        self.shared = is_postgres(settings.gallery)
        # Held while a collection changes over to another bundle, is opened, or is removed.
        self._changing = threading.RLock()
        # Guards the next.
        self._lock = threading.Lock()
        self._served: dict[str, ServedCollection] = {}
        try:
            if not any(c.id == settings.collection for c in galleries.collections()):
                self._open(settings.collection, bundles.default)
            self.of(settings.collection)
            for listed in self.all():
                if listed.bundle is not None:
                    self.of(listed.stored.id)
        except BaseException:
            self.stop()
            raise

    def of(self, collection_id: str | None) -> ServedCollection:
        """The collection of that id; the settings' one for None.

        Raises CollectionNotFoundError, ContractMismatchError (its bundle is not served) or
        GalleryUnavailableError.
        """
        if collection_id is None:
            collection_id = self.default_id
        served = self._current(collection_id)
        if served is not None:
            return served
        with self._changing, self._lock:
            served = self._current(collection_id)
            if served is None:
                # Another replica has made it, or switched it to another bundle.
                self._forget(collection_id)
                served = self._open_known(collection_id)
            return served

    @property
    def default_id(self) -> str:
        """Id of the settings' collection."""
        return self._settings.collection

    @property
    def default(self) -> ServedCollection:
        """The settings' collection. Raises as `of`."""
        return self.of(None)

    def all(self) -> list[ListedCollection]:
        """Every collection of the database, oldest first. Raises GalleryUnavailableError."""
        found = []
        for stored in self._galleries.collections():
            contract_id = self._galleries.contract_of(stored).id
            bundle = self._bundles.of_contract(contract_id)
            found.append(
                ListedCollection(
                    stored=stored,
                    contract_id=contract_id,
                    secret_id=self._galleries.secret_id_of(stored),
                    bundle=bundle,
                )
            )
        return found

    def listed(self, collection_id: str) -> ListedCollection:
        """One of all(). Raises CollectionNotFoundError."""
        for found in self.all():
            if found.stored.id == collection_id:
                return found
        raise CollectionNotFoundError(collection_id)

    def create(self, collection_id: str, bundle: ServedBundle) -> ServedCollection:
        """An empty collection of `bundle`.

        Raises CollectionExistsError, or ValueError for an id that cannot be one.
        """
        check_subject_id(collection_id, what="collection id")
        with self._lock:
            if any(stored.id == collection_id for stored in self._galleries.collections()):
                raise CollectionExistsError(collection_id)
            return self._open(collection_id, bundle)

    def remove(self, collection_id: str) -> None:
        """Remove a collection with all that is in it.

        Raises CollectionNotFoundError, or CollectionInUseError for the settings' one.
        """
        if collection_id == self.default_id:
            raise CollectionInUseError(collection_id)
        with self._changing, self._lock:
            self._forget(collection_id)
            self._galleries.remove_collection(collection_id)

    def change_over(
        self, collection_id: str, bundle: ServedBundle, step: Callable[[Gallery], object]
    ) -> ServedCollection:
        """Do `step`, which has the embeddings of `bundle` searched, and serve them.

        When this has ended, each request that begins is answered by that bundle. Raises what `of`
        raises, and what `step` does, which then has changed nothing.
        """
        with self._changing:
            before = self.of(collection_id)
            # Who has the one before goes on with what it searches.
            gallery = before.gallery.twin()
            step(gallery)
            after = self._around(gallery, bundle)
            with self._lock:
                self._served[collection_id] = after
        before.stop()
        return after

    def settle(self) -> None:
        """Wait until what was switched by now is what `of` gives."""
        with self._changing:
            pass

    def stop(self) -> None:
        """End what works on them in the background."""
        for served in self._served.values():
            served.stop()

    def _current(self, collection_id: str) -> ServedCollection | None:
        """What is served, unless another replica has switched, removed or made it anew."""
        served = self._served.get(collection_id)
        if served is None or not self.shared:
            return served
        stored, gallery = self._galleries.find(collection_id), served.gallery
        if stored is None:
            return None
        here = (gallery.number, gallery.contract_number)
        return served if here == (stored.number, stored.contract_number) else None

    def _forget(self, collection_id: str) -> None:
        served = self._served.pop(collection_id, None)
        if served is not None:
            served.stop()
            self._galleries.release(served.gallery.number)

    def _open_known(self, collection_id: str) -> ServedCollection:
        listed = self.listed(collection_id)
        if listed.bundle is None:
            raise ContractMismatchError(
                gallery_contract_id=listed.contract_id,
                bundle_contract_id=self._bundles.default.contract_id,
            )
        return self._open(collection_id, listed.bundle)

    def _open(self, collection_id: str, bundle: ServedBundle) -> ServedCollection:
        contract = bundle.bundle.manifest.contract
        gallery = Gallery(self._galleries, *self._galleries.view(collection_id, contract))
        served = self._served[collection_id] = self._around(gallery, bundle)
        return served

    def _around(self, gallery: Gallery, bundle: ServedBundle) -> ServedCollection:
        log.info(
            "collection %s of bundle %s with %d subjects",
            gallery.collection_id,
            bundle.id,
            gallery.subject_count,
        )
        return ServedCollection(
            gallery=gallery,
            bundle=bundle,
            thresholds=Thresholds(
                bundle.bundle.manifest,
                gallery,
                quality_policy_id=self._quality_policy_id,
                target_fpir=self._settings.target_fpir,
            ),
            expiry_sweep=ExpirySweep(gallery, every_s=self._settings.expiry_sweep_s),
            calibration_renewal=CalibrationRenewal(
                gallery,
                self._jobs,
                bundle=bundle.id,
                quality_policy=self._quality_policy_id,
                every_s=self._settings.calibration_renewal_check_s,
            ),
        )
