"""The JSON of a re-keying."""

from pydantic import Field

from service.schemas import Model


class NewRekeying(Model):
    """What a collection is to be protected by."""

    new_secret: bool = Field(
        False,
        strict=True,
        description="make a new secret first, for this and for all that is written from now on; "
        "else only the salt is new, which does where the secret itself has not leaked",
    )
    new_row_key: bool = Field(
        False,
        strict=True,
        description="where rows are encrypted: make a new key first, for this and for all that is "
        "written from now on; else the newest one that there is",
    )
