"""Which network turns crops into embeddings, and into which space."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from contract.similarity import BOUNDED_SPACES, Space, max_distance

Backbone = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "densenet161",
    "mobilenet_v2",
    "inception_resnet_v1",
    "sface",
    "dlib_resnet",
    "airbench",
]
Pretrained = Literal["none", "imagenet", "vggface2", "sface", "dlib"]
Activation = Literal["none", "tanh"]
Initialisation = Literal["xavier_uniform", "xavier_normal", "uniform", "normal"]
Pool = Literal["places", "average"]
Stem = Literal["small", "imagenet"]
Views = Literal["one", "mirrored", "four", "six"]
WORDS = {
    "backbone": Backbone,
    "stem": Stem,
    "pretrained": Pretrained,
    "pool": Pool,
    "views": Views,
    "activation": Activation,
    "init": Initialisation,
    "space": Space,
}

RESNETS = ("resnet18", "resnet34", "resnet50")
# Networks whose number of channels can be chosen, and how many the papers have.
OF_ANY_WIDTH = (*RESNETS, "airbench")
# Weights that others trained and that we can load, by backbone.
WEIGHTS_OF: dict[str, Pretrained] = {
    **dict.fromkeys((*RESNETS, "densenet161", "mobilenet_v2"), "imagenet"),
    "inception_resnet_v1": "vggface2",
    "sface": "sface",
    "dlib_resnet": "dlib",
}
# Smaller crops leave no place in the last feature map.
LEAST_SIDE_PX = {"densenet161": 29, "inception_resnet_v1": 75, "dlib_resnet": 55, "airbench": 9}
# What a manifest can state (contract/manifest.py, InputSpec and EmbeddingSpec).
LEAST_SIDE_PX_OF_BUNDLES, MOST_SIDE_PX_OF_BUNDLES = 8, 1024
MOST_NUMBERS_OF_BUNDLES = 4096
# Of facenet-pytorch's InceptionResnetV1 and of the crops that its weights were trained on.
VGGFACE2_EMBEDDING_SIZE = 512
VGGFACE2_SIDE_PX = 160
SFACE_EMBEDDING_SIZE = 128
# Stem, 17 inverted residuals, last convolution: torchvision's `features`.
MOBILENET_V2_BLOCKS = 19
VIEWS_OF_MAPS = ("one", "mirrored")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The network.

    side_px: of the square crop.
    stem, ResNets only: `imagenet` is torchvision's 7 x 7 of stride 2 and a max pool; `small` is a
        3 x 3 convolution, with `stem_stride` 1, 2, or 4 (2 and a max pool).
    stem_stride of `airbench`: between its patches; 4 is 2 after an average over 2 x 2 pixels.
    grey, `airbench` only: it looks at the light of its patches alone; for images without colours.
    width, ResNets and `airbench` only: channels of the first stage (64 in the papers). Do not train
        fewer than 8 on the CPU: torch 2.14's backward pass was seen to corrupt memory then.
    pretrained: weights that others trained, each for its backbones: `imagenet` (ResNets,
        DenseNet-161, MobileNetV2), `vggface2` (InceptionResnetV1), `sface`, `dlib`. Where they come
        from: training/models/pretrained.py. With the stem `small` that of ImageNet is left out;
        `sface`, and `vggface2` with 512 numbers, bring their own head.
    keep_statistics: pretrained normalisation layers go on with the running statistics that they
        came with, instead of those of each batch; their gains and shifts are trained all the same.
    frozen_blocks, MobileNetV2 with ImageNet's weights only: its first so many of 19 blocks (stem,
        17 inverted residuals, last convolution) are left as they came, statistics included.
        Training computes their maps once and goes on from there (training/models/frozen.py).
    pool: `places` keeps the places of the last feature map for the head (aligned faces have their
        parts at fixed places), `average` averages over them.
    projection: the linear layer and what follows it are for training only: losses see its D
        numbers, while the embedding is the normalised feature map before it (Chen et al., SimCLR,
        ICML 2020). What tells the identities of training apart is then less of a bottleneck for
        others.
    views: the embedding is the mean of those of `one` view, of the crop and its mirror image
        (`mirrored`), of these and their middle three quarters (`four`), or of these and what they
        are a pixel further along either way of a diagonal (`six`, as Jordan, arXiv:2404.00498; for
        small pictures), in as many times the time. Training looks at one.
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
    grey: bool = False
    width: int = 64
    pretrained: Pretrained = "none"
    keep_statistics: bool = False
    frozen_blocks: int = 0
    pool: Pool = "places"
    projection: bool = False
    views: Views = "one"
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
        self._check_frozen()

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
        if self.projection and (self.pool != "average" or self.has_own_head):
            raise ValueError("projection needs pool average, and a head of our own.")
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
        if self.backbone == "airbench" and self.stem_stride > 1:
            least = 8 * self.stem_stride
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
            self._leave_out("stem", f"{self.backbone} has one form only")
        if self.backbone != "airbench":
            self._leave_out("grey", f"{self.backbone} looks at all colours")
        if self.backbone not in OF_ANY_WIDTH:
            for name in ("stem_stride", "width"):
                self._leave_out(name, f"{self.backbone} has one form only")

    def _check_pretrained(self) -> None:
        if self.pretrained == "none":
            self._leave_out("keep_statistics", "there are no pretrained statistics")
            return
        known = WEIGHTS_OF.get(self.backbone, "none")
        if self.pretrained != known:
            raise ValueError(
                f"There are no weights {self.pretrained!r} for {self.backbone}: pretrained must be "
                f"{'none' if known == 'none' else f'none or {known}'}."
            )
        self._leave_out("width", f"the weights of {known} have 64 channels there")
        if self.backbone in RESNETS and self.stem == "small":
            self._leave_out("keep_statistics", "the stem 'small' is fresh and changes what follows")
        if known == "vggface2" and self.side_px > VGGFACE2_SIDE_PX:
            raise ValueError(
                f"side_px must be at most {VGGFACE2_SIDE_PX} with pretrained 'vggface2': smaller "
                f"crops are enlarged to what its weights were trained on, not {self.side_px}."
            )
        if known in ("sface", "dlib"):
            self._leave_out("side_px", f"{known} looks at faces at the five-point template")
        if known == "dlib" and not self.keep_statistics:
            raise ValueError(
                "keep_statistics must be true with pretrained 'dlib': its authors folded the "
                "statistics into the weights."
            )
        if known == "sface":
            self._leave_out("embedding_size", "SFace's own head is kept")
        if self.has_own_head:
            self._check_own_head("places" if known == "sface" else "average")

    def _check_frozen(self) -> None:
        if self.backbone != "mobilenet_v2" or self.pretrained != "imagenet":
            self._leave_out("frozen_blocks", "only mobilenet_v2 with pretrained 'imagenet' has any")
        elif not 0 <= self.frozen_blocks < MOBILENET_V2_BLOCKS:
            raise ValueError(
                f"frozen_blocks must be in 0..{MOBILENET_V2_BLOCKS - 1}, not {self.frozen_blocks}."
            )
        elif self.frozen_blocks and self.views not in VIEWS_OF_MAPS:
            raise ValueError(
                f"views must be {' or '.join(VIEWS_OF_MAPS)} with frozen_blocks, whose maps are "
                f"kept of the crop and its mirror image alone: not {self.views!r}."
            )

    def _check_own_head(self, pool: Pool) -> None:
        if self.pool != pool:
            another = (
                "" if self.pretrained == "sface" else " Take another embedding_size for a new head."
            )
            raise ValueError(
                f"pool must be {pool} with pretrained {self.pretrained!r} and embedding_size "
                f"{self.embedding_size}: its own head is kept.{another}"
            )
        for name in ("maxout", "init"):
            self._leave_out(name, f"the head of pretrained {self.pretrained!r} is kept")

    def _leave_out(self, name: str, why: str) -> None:
        """Raise ValueError unless the field has its default."""
        default = next(field.default for field in fields(self) if field.name == name)
        if getattr(self, name) != default:
            raise ValueError(f"Leave {name} at {default!r}, {why}: not {getattr(self, name)!r}.")

    @property
    def has_own_head(self) -> bool:
        """Whether the head, too, is the one of the pretrained weights."""
        size = {"vggface2": VGGFACE2_EMBEDDING_SIZE, "sface": SFACE_EMBEDDING_SIZE}
        return size.get(self.pretrained) == self.embedding_size

    @property
    def d_max(self) -> float:
        """Largest Euclidean distance in the space."""
        if self.space in BOUNDED_SPACES:
            return max_distance(self.space, self.scale)
        return self.unbounded_d_max
