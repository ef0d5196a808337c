"""Records that come from files: an unknown key or a value of a wrong type is refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
# Of an error rate that is asked for.
Target = Annotated[float, Field(gt=0, lt=1)]


class Strict(BaseModel):
    """Frozen, and exactly what is documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
