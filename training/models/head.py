"""The embedding head: a feature map (B, C, h, w) to the raw embedding (B, D).

Shapes: B batch, C channels, h x w places, D embedding size, M pieces of maxout.
"""

from collections import OrderedDict

from torch import Tensor, nn

from training.models.config import Initialisation, ModelConfig


class Maxout(nn.Module):
    """(B, M * D) to (B, D): each number is the largest of its M pieces.

    Goodfellow et al., ICML 2013. Piece m of number d is column m * D + d.
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, pieces_BMD: Tensor) -> Tensor:
        size = pieces_BMD.shape[1] // self.pieces
        return pieces_BMD.view(pieces_BMD.shape[0], self.pieces, size).amax(dim=1)


def make_head(config: ModelConfig, channels: int, side: int) -> nn.Sequential:
    """Batch normalisation, (average,) dropout, linear or maxout, batch normalisation.

    pool `places` keeps the places of the feature map, as option E of ArcFace (Deng et al., CVPR
    2019); `average` is what ImageNet's classifiers do. The last normalisation takes the place of
    a linear bias; the pieces of maxout have their own, without which all M bend at zero only.

    Where we differ: the research code's head is batch normalisation, average, ReLU or maxout and a
    linear layer without bias.
    """
    if config.has_own_head and config.pretrained == "vggface2":
        return _vggface2_head(config)
    pieces, size = config.maxout, config.embedding_size
    places = side**2 if config.pool == "places" else 1
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        *([] if config.pool == "places" else [nn.AdaptiveAvgPool2d(1)]),
        nn.Dropout(config.dropout),
        nn.Flatten(),
        nn.Linear(channels * places, pieces * size, bias=pieces > 1),
        *([] if pieces == 1 else [Maxout(pieces)]),
        _last_normalisation(config),
    )


def _last_normalisation(config: ModelConfig) -> nn.BatchNorm1d:
    """In a ball, embeddings start with a length of about half its radius; on the sphere with any.

    A gain of 1 would make them sqrt(D) long, far outside, where short and long ones look alike.
    """
    norm = nn.BatchNorm1d(config.embedding_size)
    if config.space != "l2":
        nn.init.constant_(norm.weight, config.d_max / (4 * config.embedding_size**0.5))
    return norm


def initialise_head(head: nn.Module, config: ModelConfig) -> None:
    """Draw the linear layer's weights by `config.init`, each piece of maxout as its own layer."""
    if config.has_own_head:
        return
    for module in head.modules():
        if isinstance(module, nn.Linear):
            for piece in module.weight.detach().chunk(config.maxout):
                initialise(piece, config.init)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise(weight_DN: Tensor, init: Initialisation) -> None:
    """Fill a linear layer's weights, D outputs of N inputs, in place.

    `xavier_uniform`: in +-sqrt(6 / (N + D)). `xavier_normal`: deviation sqrt(2 / (N + D)); both by
    Glorot and Bengio, AISTATS 2010. `uniform`: in +-1 / sqrt(N), torch's own default of a linear
    layer. `normal`: deviation 1 / sqrt(N), by which inputs of variance 1, such as batch
    normalisation gives, make outputs of variance 1 (LeCun et al., Efficient BackProp, 1998).

    The slides compare Xavier, Gaussian and uniform weights without their ranges, and the research
    code has xavier_uniform only: the ranges of the last two are ours.
    """
    inputs = weight_DN.shape[1]
    if init == "xavier_uniform":
        nn.init.xavier_uniform_(weight_DN)
    elif init == "xavier_normal":
        nn.init.xavier_normal_(weight_DN)
    elif init == "uniform":
        nn.init.uniform_(weight_DN, -(inputs**-0.5), inputs**-0.5)
    else:
        nn.init.normal_(weight_DN, std=inputs**-0.5)


def _vggface2_head(config: ModelConfig) -> nn.Sequential:
    """As in facenet-pytorch's InceptionResnetV1, by the names that its weights have."""
    return nn.Sequential(
        OrderedDict(
            avgpool_1a=nn.AdaptiveAvgPool2d(1),
            dropout=nn.Dropout(config.dropout),
            flatten=nn.Flatten(),
            last_linear=nn.Linear(1792, config.embedding_size, bias=False),
            last_bn=nn.BatchNorm1d(config.embedding_size, eps=0.001),
        )
    )
