"""How strongly a batch is augmented. Apart from augment.py, so that a config needs no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

Edges = Literal["black", "mirrored"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Largest change or probability of each step; 0 turns it off.

    shift: share of the side, by whole pixels where nothing scales or turns. scale: share.
    turn_degrees: to either side. light: share of brightness and contrast. color: share of
    saturation. grey, low_resolution, erase: probability.
    edges: what comes from outside the image is `black`, or the image `mirrored` at its edge: right
        for pictures that fill their frame, whose test images have no black rims.
    channel_orders: an identity stands for six, one for each order of its colour channels
        (training/data/samples.py).
    """

    flip: bool = True
    shift: float = 0.05
    scale: float = 0.12
    turn_degrees: float = 8.0
    light: float = 0.3
    color: float = 0.4
    grey: float = 0.1
    low_resolution: float = 0.2
    erase: float = 0.3
    edges: Edges = "black"
    channel_orders: bool = False

    def __post_init__(self) -> None:
        for name in ("grey", "low_resolution", "erase"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability in [0, 1], not {getattr(self, name)}.")
        for name in ("shift", "scale", "light", "color"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share in [0, 1], not {getattr(self, name)}.")
        if self.edges not in get_args(Edges):
            raise ValueError(f"edges must be black or mirrored, not {self.edges!r}.")
        if not 0 <= self.turn_degrees <= 180:
            raise ValueError(f"turn_degrees must be in [0, 180], not {self.turn_degrees}.")

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return self.flip or max(self.shift, self.scale, self.turn_degrees) > 0

    @property
    def resamples(self) -> bool:
        """Whether pixels come to lie between those of the image; a mere shift is of whole ones."""
        return max(self.scale, self.turn_degrees) > 0

    @property
    def recolors(self) -> bool:
        """Whether pixels change their colours."""
        return max(self.light, self.color, self.grey) > 0

    @property
    def only_flips(self) -> bool:
        """Whether an image is at most replaced by its mirror image."""
        moved = max(self.shift, self.scale, self.turn_degrees) > 0
        changed = self.recolors or max(self.low_resolution, self.erase) > 0
        return not (moved or changed or self.channel_orders)
