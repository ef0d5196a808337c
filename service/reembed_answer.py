"""The JSON of a re-embedding."""

from typing import Annotated, Final, Literal

from pydantic import Field

from contract.strict import Share
from service.schemas import BundleRef, Model

Count = Annotated[int, Field(ge=0)]
ReembeddingState = Literal["none", "under_way", "ready"]
SUBJECTS_SHOWN: Final = 100


class NewReembedding(Model):
    """What a collection is embedded anew by."""

    bundle: str = Field(description="name of a served bundle, or name@version")


class SwitchWish(Model):
    """What a switch, or the way back, may leave behind."""

    allow_missing: bool = Field(
        False, strict=True, description="go though templates would not be found from then on"
    )


class AgreementOut(Model):
    """How often the nearest other template of a template is of the same subject."""

    rank1: Share | None = Field(description="null without a template to look at")
    probe_count: Count = Field(description="templates that were looked at")


class ComparisonOut(Model):
    """The same subjects by both bundles: those who have two templates or more by each."""

    searched: AgreementOut
    staged: AgreementOut
    subject_count: Count


class FormerOut(Model):
    """What was searched until the last switch, and can be again."""

    bundle: BundleRef | None = Field(description="null where the bundle is not served now")
    contract_id: str
    template_count: Count


class ReembeddingOut(Model):
    """The collection on its way from one bundle to another."""

    collection_id: str
    state: ReembeddingState = Field(
        description="none was begun; under_way while templates are missing; ready to switch"
    )
    bundle: BundleRef | None = Field(
        description="whose embeddings are searched; null where it is not served now"
    )
    next_bundle: BundleRef | None = Field(
        description="that the collection is embedded anew by; null where it is not served now"
    )
    next_contract_id: str | None = Field(description="what those embeddings are told by")
    template_count: Count = Field(description="templates that are searched")
    staged_count: Count = Field(description="templates by the next bundle")
    missing_count: Count = Field(description="templates that are searched and not staged")
    unsearched_count: Count = Field(
        description="templates that are staged and not searched: gone if it is abandoned"
    )
    missing_subject_count: Count = Field(description="subjects that would not be found at all")
    missing_subjects: list[str] = Field(
        description=f"ids of the first {SUBJECTS_SHOWN} of these subjects"
    )
    comparison: ComparisonOut | None = Field(
        description="of the last job; a restart of the service forgets it"
    )
    former: FormerOut | None = Field(description="null where there is no way back")
    gallery_revision: Count
