"""What a check of `oneglance doctor` found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """check: what was looked at. detail: one line; of warn and fail with what to do."""

    level: Level
    check: str
    detail: str

    @classmethod
    def failed(cls, check: str, error: BaseException) -> "Finding":
        """From what a check raised."""
        return cls("fail", check, " ".join(str(error).split()) or type(error).__name__)
