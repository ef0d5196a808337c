"""The JSON of collections."""

from pydantic import Field

from service.schemas import BundleRef, Model


class NewCollection(Model):
    """What a new collection is to be."""

    id: str = Field(
        description="1 to 128 letters, digits and . _ : @ + ~ -, a letter or digit first"
    )
    bundle: str | None = Field(
        None, description="name of a served bundle, or name@version; the service's own unless given"
    )


class CollectionOut(Model):
    """A named gallery, bound to the bundle that makes its embeddings."""

    id: str
    bundle: BundleRef | None = Field(description="null where the bundle is not served now")
    contract_id: str = Field(description="what its embeddings are told by")
    secret_id: str | None = Field(
        description="of the secret that its templates are protected by; null where they are not"
    )
    subject_count: int
    template_count: int
    gallery_revision: int
    created_at: str
    default: bool = Field(description="meant by requests that name no collection")


class CollectionList(Model):
    """All collections, oldest first."""

    collections: list[CollectionOut]
