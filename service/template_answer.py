"""The JSON of templates."""

from pydantic import Field

from index.records import Template
from service.schemas import Model


class TemplateOut(Model):
    """What is kept of one photo; its embedding is not shown."""

    id: str
    subject_id: str
    created_at: str = Field(description="RFC 3339, UTC")
    has_crop: bool = Field(description="the crop that it was made of is stored")

    @classmethod
    def of(cls, template: Template) -> "TemplateOut":
        """From the gallery's record."""
        return cls(
            id=template.id,
            subject_id=template.subject_id,
            created_at=template.created_at,
            has_crop=template.has_crop,
        )


class TemplateList(Model):
    """All templates of a subject, oldest first."""

    templates: list[TemplateOut]
