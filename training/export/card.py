"""What people say of a bundle: its card, and what its network learned from."""

from dataclasses import dataclass
from typing import Literal

WeightsDtype = Literal["float16", "float32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a bundle says of itself beyond what its network knows.

    name: lower case. version: three parts. license: of the weights. terms, remark: of the training
    data. limits: what the bundle is not fit for, at least one text.
    """

    name: str
    version: str
    description: str
    license: str
    terms: str
    remark: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The data set that a network learned from; its terms are on the card."""

    name: str
    identities: int
    images: int
