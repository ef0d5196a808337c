"""Embeddings of another bundle, and changing over to one."""

from collections.abc import Sequence

from contract.errors.gallery import GalleryError


class ContractMismatchError(GalleryError):
    """The gallery holds embeddings of another bundle."""

    words = (
        "This gallery holds embeddings of contract {gallery}, the bundle makes {bundle}: their "
        "distances mean nothing to each other. Start with the bundle that the gallery was built "
        "with, or with an empty gallery."
    )

    def __init__(self, *, gallery_contract_id: str, bundle_contract_id: str) -> None:
        super().__init__(self.words.format(gallery=gallery_contract_id, bundle=bundle_contract_id))
        self.gallery_contract_id = gallery_contract_id
        self.bundle_contract_id = bundle_contract_id


class SwitchedMeanwhileError(ContractMismatchError):
    """The collection was switched to another bundle while something was made for the one before."""

    words = (
        "The collection was switched to another bundle while this was under way: nothing was "
        "stored. Send it again."
    )


class ReembeddingEndedError(ContractMismatchError):
    """What was being embedded anew was switched to, or abandoned, meanwhile."""

    words = (
        "The re-embedding for the contract {bundle} was switched to or abandoned meanwhile, the "
        "collection is of {gallery}: look at its state, and begin anew if it is still wanted."
    )


class ReembeddingConflictError(GalleryError):
    """Not possible where a re-embedding is, or is not, under way; the message says which."""


class MissingTemplatesError(GalleryError):
    """A switch after which templates would not be found. subjects: ids of those without any."""

    def __init__(self, *, templates: int, subjects: Sequence[str]) -> None:
        without = (
            f"{len(subjects)} subjects have no template for the new bundle, among them "
            f"{subjects[0]!r}, and {templates} templates in all are missing"
            if subjects
            else f"{templates} templates are missing for the new bundle"
        )
        super().__init__(
            f"{without}: embed their photos, or allow them to be missing (allow_missing)."
        )
        self.templates, self.subjects = templates, tuple(subjects)


class NoCropsError(GalleryError):
    """Nothing is stored that could be embedded anew."""

    def __init__(self, collection_id: str) -> None:
        super().__init__(
            f"No picture of any template of {collection_id!r} is stored, so that none can be "
            "embedded anew: enrol with store_image=crop, or embed the original photos by "
            "`oneglance gallery reembed --originals FOLDER`."
        )
        self.collection_id = collection_id
