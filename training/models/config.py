"""Which network turns crops into embeddings, and into which space."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from contract.similarity import BOUNDED_SPACES, Space, max_distance

Backbone = Literal["resnet18", "resnet34", "resnet50", "densenet161", "inception_resnet_v1"]
Pretrained = Literal["none", "imagenet", "vggface2"]
Activation = Literal["none", "tanh"]
Initialisation = Literal["xavier_uniform", "xavier_normal", "uniform", "normal"]
Pool = Literal["places", "average"]
Stem = Literal["small", "imagenet"]
WORDS = {
    "backbone": Backbone,
    "stem": Stem,
    "pretrained": Pretrained,
    "pool": Pool,
    "activation": Activation,
    "init": Initialisation,
    "space": Space,
}

RESNETS = ("resnet18", "resnet34", "resnet50")
# Smaller crops leave no place in the last feature map.
LEAST_SIDE_PX = {"densenet161": 29, "inception_resnet_v1": 75}
# What a manifest can state (contract/manifest.py, InputSpec and EmbeddingSpec).
LEAST_SIDE_PX_OF_BUNDLES, MOST_SIDE_PX_OF_BUNDLES = 8, 1024
MOST_NUMBERS_OF_BUNDLES = 4096
# Of facenet-pytorch's InceptionResnetV1 and of the crops that its weights were trained on.
VGGFACE2_EMBEDDING_SIZE = 512
VGGFACE2_SIDE_PX = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The network.

    side_px: of the square crop.
    stem, ResNets only: `imagenet` is torchvision's 7 x 7 of stride 2 and a max pool; `small` is a
        3 x 3 convolution, with `stem_stride` 1, 2, or 4 (2 and a max pool).
    width, ResNets only: channels of the first stage (64 in the papers).
    pretrained: `imagenet` for the ResNets and DenseNet-161, `vggface2` for InceptionResnetV1;
        downloaded unless torch's hub cache holds the file. With the stem `small` that of ImageNet
        is left out; with 512 numbers, InceptionResnetV1 keeps the head of its VGGFace2 weights.
    pool: `places` keeps the places of the last feature map for the head (aligned faces have their
        parts at fixed places), `average` averages over them.
    embedding_size: D. dropout: before the head. init: of the head's linear layer.
    maxout: linear pieces whose largest is taken, 1 is a plain linear layer.
    activation: of the raw embedding, before the space.
    norm_gradient: whether gradients go through the norm in the space; without, norms count as
        constants, as in the paper (training/spaces.py).
    scale: c_s, radius of the space. unbounded_d_max: largest distance to assume in space `none`.
    """

    backbone: Backbone = "resnet18"
    side_px: int = 112
    stem: Stem = "small"
    stem_stride: int = 2
    width: int = 64
    pretrained: Pretrained = "none"
    pool: Pool = "places"
    embedding_size: int = 128
    dropout: float = 0.1
    maxout: int = 1
    activation: Activation = "none"
    init: Initialisation = "xavier_uniform"
    space: Space = "l2"
    norm_gradient: bool = True
    scale: float = 1.0
    unbounded_d_max: float = 0.0

    def __post_init__(self) -> None:
        self._check_words()
        self._check_head()
        self._check_space()
        self._check_backbone()
        self._check_pretrained()

    def _check_words(self) -> None:
        for name, words in WORDS.items():
            if getattr(self, name) not in get_args(words):
                raise ValueError(
                    f"{name} must be one of {', '.join(get_args(words))}, not "
                    f"{getattr(self, name)!r}."
                )

    def _check_head(self) -> None:
        if not 2 <= self.embedding_size <= MOST_NUMBERS_OF_BUNDLES:
            raise ValueError(
                f"embedding_size must be in 2..{MOST_NUMBERS_OF_BUNDLES}, not "
                f"{self.embedding_size}."
            )
        if self.maxout < 1:
            raise ValueError(f"maxout must be at least 1 piece, not {self.maxout}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}.")

    def _check_space(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, not {self.scale}.")
        if (self.space not in BOUNDED_SPACES) != (self.unbounded_d_max > 0):
            raise ValueError(
                "unbounded_d_max, the largest distance to assume, must be above 0 for the space "
                f"'none' and 0 for every other: space is {self.space!r}, unbounded_d_max is "
                f"{self.unbounded_d_max}."
            )

    def _check_backbone(self) -> None:
        least = LEAST_SIDE_PX.get(self.backbone, LEAST_SIDE_PX_OF_BUNDLES)
        if not least <= self.side_px <= MOST_SIDE_PX_OF_BUNDLES:
            raise ValueError(
                f"side_px of {self.backbone} must be in {least}..{MOST_SIDE_PX_OF_BUNDLES}, not "
                f"{self.side_px}."
            )
        if self.stem_stride not in (1, 2, 4):
            raise ValueError(f"stem_stride must be 1, 2 or 4, not {self.stem_stride}.")
        if self.width < 1:
            raise ValueError(f"width must be at least 1 channel, not {self.width}.")
        if self.stem == "imagenet":
            self._leave_out("stem_stride", "the stem 'imagenet' always has a stride of 4")
        if self.backbone not in RESNETS:
            for name in ("stem", "stem_stride", "width"):
                self._leave_out(name, f"{self.backbone} has one form only")

    def _check_pretrained(self) -> None:
        if self.pretrained == "none":
            return
        known = "vggface2" if self.backbone == "inception_resnet_v1" else "imagenet"
        if self.pretrained != known:
            raise ValueError(
                f"There are no weights {self.pretrained!r} for {self.backbone}: pretrained must be "
                f"none or {known}."
            )
        self._leave_out("width", f"the weights of {known} have 64 channels there")
        if known == "vggface2" and self.side_px > VGGFACE2_SIDE_PX:
            raise ValueError(
                f"side_px must be at most {VGGFACE2_SIDE_PX} with pretrained 'vggface2': smaller "
                f"crops are enlarged to what its weights were trained on, not {self.side_px}."
            )
        if self.has_own_head:
            if self.pool != "average":
                raise ValueError(
                    "pool must be average with pretrained 'vggface2' and embedding_size 512: its "
                    "own head is kept. Take another embedding_size for a new head."
                )
            for name in ("maxout", "init"):
                self._leave_out(name, "the head of pretrained 'vggface2' is kept")

    def _leave_out(self, name: str, why: str) -> None:
        """Raise ValueError unless the field has its default."""
        default = next(field.default for field in fields(self) if field.name == name)
        if getattr(self, name) != default:
            raise ValueError(f"Leave {name} at {default!r}, {why}: not {getattr(self, name)!r}.")

    @property
    def has_own_head(self) -> bool:
        """Whether the head, too, is the one of the pretrained weights."""
        return self.pretrained == "vggface2" and self.embedding_size == VGGFACE2_EMBEDDING_SIZE

    @property
    def d_max(self) -> float:
        """Largest Euclidean distance in the space."""
        if self.space in BOUNDED_SPACES:
            return max_distance(self.space, self.scale)
        return self.unbounded_d_max
