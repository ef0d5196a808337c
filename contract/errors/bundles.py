"""Bundles that must not be loaded, or are not served."""

from collections.abc import Sequence

from contract.errors.root import OneGlanceError


class BundleError(OneGlanceError):
    """A bundle must not be loaded."""


class ManifestError(BundleError):
    """The manifest is missing, malformed or of a format that we do not know."""


class BundlePinError(BundleError):
    """The model is not the one that is pinned, or that cannot be told."""


class BundleNotFoundError(BundleError):
    """No bundle of that name is served."""

    def __init__(self, bundle_id: str, served: Sequence[str]) -> None:
        super().__init__(
            f"No bundle {bundle_id!r} is served, but {', '.join(served)}: name one of these, or "
            "start the service with its folder among further_bundle_paths."
        )
        self.bundle_id = bundle_id


class BundleFileError(BundleError):
    """A file of the bundle is missing, or is not the one that the manifest pins."""
