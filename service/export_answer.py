"""Exports as they are asked for and answered."""

from pydantic import Field

from service.schemas import JobAnswer, Model


class NewExport(Model):
    """What is exported. A field that is not listed is refused."""

    collection: str | None = Field(
        None, description="id of the collection; the service's own unless given"
    )
    crops: bool = Field(True, strict=True, description="take the stored pictures of faces along")


class ExportAnswer(JobAnswer):
    """The job, and by which id its file is fetched when it has succeeded."""

    export_id: str
