"""The answer to an import."""

from pydantic import Field

from service.schemas import JobAnswer


class ImportAnswer(JobAnswer):
    """The job, and by which id the report is asked for."""

    import_id: str = Field(description="the same for the same archive and options")
