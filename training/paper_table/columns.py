"""The columns: a recipe and a protocol each, the paper's figures, and the bars."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from training.config import TrainConfig
from training.paper_table.rows import COMPOSITE, ROWS
from training.recipes import table_cifar10, table_faces, table_fashion, table_letters, table_mnist

Protocol = Literal["closed-set", "zero-shot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """recipe: one encoder and one budget for every row.

    protocol: `closed-set` measures by `paper` and `held-out`, `zero-shot` by rank-1 and pairs of
        identities never trained on, and by `paper` of these.
    paper: the paper's figures by row, shares; empty where it has no such column.
    bars: smallest `held-out` accuracy of a row.
    remark: what a reader has to know before comparing.
    enlarged: its images are smaller than what the recipe's network takes.
    """

    name: str
    title: str
    recipe: Callable[..., TrainConfig]
    protocol: Protocol
    paper: dict[str, float] = field(default_factory=dict)
    bars: dict[str, float] = field(default_factory=dict)
    remark: str = ""
    enlarged: bool = False

    @property
    def prepared_side_px(self) -> int | None:
        """Side that `prepare` gives the images; None leaves it."""
        return self.recipe().model.side_px if self.enlarged else None


def _paper(*percents: float) -> dict[str, float]:
    """In the order of ROWS."""
    rows = (row.name for row in ROWS)
    return {row: percent / 100 for row, percent in zip(rows, percents, strict=True)}


COLUMNS = {
    column.name: column
    for column in (
        Column(
            name="fashion-mnist",
            title="Fashion-MNIST",
            recipe=table_fashion,
            protocol="closed-set",
            paper=_paper(91.4, 92.1, 71.5, 82.0, 92.7, 93.1, 93.1, 93.1),
            bars={COMPOSITE: 0.931},
        ),
        Column(
            name="mnist",
            title="MNIST",
            recipe=table_mnist,
            protocol="closed-set",
            paper=_paper(99.6, 99.6, 97.5, 97.7, 99.6, 99.6, 99.6, 99.6),
            bars={COMPOSITE: 0.996},
        ),
        Column(
            name="emnist47",
            title="emnist47",
            recipe=table_letters,
            protocol="closed-set",
            paper=_paper(82.0, 85.0, 61.7, 70.9, 82.7, 85.2, 85.7, 86.0),
            remark="A re-split of EMNIST ByMerge's test images with a third of the training images "
            "of the paper's `balanced` split: its figures stand beside, and are not comparable.",
        ),
        Column(
            name="faces",
            title="faces",
            recipe=table_faces,
            protocol="zero-shot",
            remark="PubFig, CelebA and a sample of Glint360K, a tenth of the identities never "
            "trained on. The paper has no such column.",
        ),
        Column(
            name="cifar10-jpeg",
            title="CIFAR-10 as JPEG",
            recipe=table_cifar10,
            protocol="closed-set",
            paper=_paper(56.2, 79.8, 52.1, 62.8, 85.7, 87.2, 85.3, 87.3),
            bars={COMPOSITE: 0.873},
            enlarged=True,
            remark="MobileNetV2 with ImageNet weights, as the paper's network has them; the last 5 "
            "of its 19 blocks are trained. The images were compressed once more, to about 30 dB of "
            "the original: compare with that in mind.",
        ),
        Column(
            name="vggface2",
            title="VGGFace2",
            recipe=table_faces,
            protocol="zero-shot",
            paper=_paper(77.4, 76.3, 76.4, 78.6, 85.0, 84.1, 84.0, 85.7),
            remark="The paper's figures are of nearest class centres, and its code trains and "
            "tests on one split: they stand beside `paper`, and are no bar.",
        ),
    )
}
# Those whose data are at hand, cheap ones first; VGGFace2 has to be asked for.
AT_HAND = ("fashion-mnist", "mnist", "emnist47", "faces", "cifar10-jpeg")
