"""Recipes: functions that return a whole config. `oneglance-train train --recipe NAME`.

Any value can be replaced on the command line: `--set loss.metric=standard --set loss.c_class=0`.
"""

from collections.abc import Callable
from dataclasses import replace

from training.config import OptimizerConfig, TrainConfig
from training.data.augment_config import AugmentConfig
from training.data.sampler import BatchConfig
from training.data.split import SplitConfig
from training.losses.config import ExponentialConfig, LossConfig
from training.models.config import ModelConfig


def faces_r18(*, epochs: int = 20) -> TrainConfig:
    """ResNet-18 on aligned face crops, L_exp + L_class, from nothing.

    For a GPU or a processor with bf16 matrix units: 1.8 GMAC an image.
    """
    return TrainConfig(name="faces-r18", epochs=epochs)


def faces_r18_half_distilled(*, epochs: int = 11) -> TrainConfig:
    """Half the channels, a stem of stride 4 (0.12 GMAC an image), and a teacher.

    For a processor without bf16 units, where the whole network trains less than 10 images a
    second and nothing converges from labels alone in an hour. Needs `oneglance-train teach` first.
    """
    return TrainConfig(
        name="faces-r18-half-distilled",
        epochs=epochs,
        precision="float32",
        model=ModelConfig(width=32, stem_stride=4, dropout=0.0),
        loss=LossConfig(
            exponential=ExponentialConfig(c_pos=0.2, c_neg=0.2), c_class=0.05, c_distill=5.0
        ),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_epochs=0.5),
    )


def faces_resnet(*, epochs: int = 3) -> TrainConfig:
    """dlib's ResNet (0.2 GMAC) goes on learning: L_distill + L_exp + L_class.

    It has seen millions of faces, so that 27,000 crops are enough to bring it to another alignment,
    another resolution and the teacher's space. Needs a teacher's targets (`distill`, or `teach`).
    """
    return TrainConfig(
        name="faces-resnet",
        epochs=epochs,
        model=ModelConfig(
            backbone="dlib_resnet", pretrained="dlib", keep_statistics=True, dropout=0.0
        ),
        loss=LossConfig(
            exponential=ExponentialConfig(c_pos=0.2, c_neg=0.2), c_class=0.05, c_distill=5.0
        ),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_epochs=0.5),
    )


def faces_sface(*, epochs: int = 1) -> TrainConfig:
    """SFace goes on learning by L_exp + L_class, in small steps and held by its own embeddings.

    Needs the targets of SFace itself: without that hold it forgets more people than it learns.
    """
    return TrainConfig(
        name="faces-sface",
        epochs=epochs,
        model=ModelConfig(backbone="sface", pretrained="sface", keep_statistics=True, dropout=0.0),
        loss=LossConfig(
            exponential=ExponentialConfig(c_pos=0.2, c_neg=0.2), c_class=0.05, c_distill=5.0
        ),
        optimizer=OptimizerConfig(learning_rate=3e-5, warmup_epochs=0.2, ema_decay=0.99),
    )


def simpsons(*, epochs: int = 8) -> TrainConfig:
    """Drawn characters in whole frames: MobileNetV2 from ImageNet weights, L_exp + L_class.

    Characters stand anywhere in a frame, so places are averaged and crops vary widely; their
    colours tell them apart, so colours change little. What 18 characters can teach of others is
    made the most of: each stands for six, the embedding is of what comes before the last layer,
    and of four views. docs/measurements.md has what each of these is worth.
    """
    return TrainConfig(
        name="simpsons",
        epochs=epochs,
        split=SplitConfig(by="sample", holdout_share=0.03),
        model=ModelConfig(
            backbone="mobilenet_v2",
            pretrained="imagenet",
            pool="average",
            projection=True,
            views="four",
            dropout=0.2,
        ),
        batch=BatchConfig(identities=24, images_each=4, weight_power=0.5),
        augment=FRAMES,
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup_epochs=0.5, ema_decay=0.99),
    )


def paper(*, epochs: int = 100) -> TrainConfig:
    """The paper's own setting, row L_exp + L_center + L_class: DenseNet-161 from ImageNet weights.

    RAdam at 1e-4 (for VGGFace2 1e-5: `--set optimizer.learning_rate=1e-5`), D = 128, batches of
    30 x 3. `loss.overlap` was 0, 40 or 80 there. The other rows: `loss.metric=standard`,
    `loss.c_centre=0`, `loss.c_class=0`.
    """
    return TrainConfig(
        name="paper",
        epochs=epochs,
        model=ModelConfig(
            backbone="densenet161",
            pretrained="imagenet",
            pool="average",
            dropout=0.0,
            norm_gradient=False,
        ),
        batch=BatchConfig(identities=30, images_each=3, weight_power=1.0),
        augment=PLAIN,
        loss=LossConfig(c_centre=1.0, class_scale=1.0),
        optimizer=OptimizerConfig(
            name="radam", learning_rate=1e-4, weight_decay=0.0, warmup_epochs=0.0, clip_norm=0.0
        ),
    )


def mnist(*, epochs: int = 12) -> TrainConfig:
    """Digits from nothing on a processor in minutes: a narrow ResNet-18, all of the composite loss.

    Fits Fashion-MNIST and emnist47, too: their classes are known, so samples are held out.
    """
    return TrainConfig(
        name="mnist",
        epochs=epochs,
        split=SplitConfig(by="sample", holdout_share=0.02),
        model=ModelConfig(side_px=28, width=16, stem_stride=2, pool="places", dropout=0.1),
        batch=BatchConfig(identities=10, images_each=12, weight_power=1.0),
        augment=STROKES,
        loss=LossConfig(c_centre=1.0),
        optimizer=OptimizerConfig(learning_rate=4e-3, warmup_epochs=0.5, ema_decay=0.995),
    )


def table_mnist(*, epochs: int = 10) -> TrainConfig:
    """Digits for the paper's table: minutes on one core, the same for every row."""
    return TrainConfig(
        name="table-mnist",
        epochs=epochs,
        split=SplitConfig(by="sample", holdout_share=0.02),
        model=ModelConfig(
            backbone="airbench", side_px=28, stem_stride=1, grey=True, width=16, dropout=0.1
        ),
        batch=BatchConfig(identities=10, images_each=10, weight_power=1.0),
        augment=STROKES,
        # Of ten classes the default of 24 learns more slowly: docs/measurements.md.
        loss=LossConfig(c_centre=1.0, class_scale=6.0),
        # A first epoch of warming up would cost a tenth of the budget.
        optimizer=OptimizerConfig(learning_rate=6e-3, warmup_epochs=0.3, ema_decay=0.995),
    )


def table_fashion(*, epochs: int = 10) -> TrainConfig:
    """Clothes for the paper's table: a wider network, as they look more alike than digits."""
    base = table_mnist(epochs=epochs)
    return replace(
        base,
        name="table-fashion",
        model=replace(base.model, width=24, views="six"),
        augment=replace(MIRRORED, edges="black"),  # as what clothes lie on
    )


def table_letters(*, epochs: int = 6) -> TrainConfig:
    """47 classes of digits and letters for the paper's table: half as many images as digits."""
    return replace(
        table_mnist(epochs=epochs),
        name="table-letters",
        batch=BatchConfig(identities=47, images_each=4, weight_power=1.0),
    )


def table_cifar10(*, epochs: int = 3) -> TrainConfig:
    """CIFAR-10 for the paper's table, enlarged to 96 pixels: MobileNetV2 from ImageNet weights, as
    the paper's network has them, of which the last five blocks are trained.

    From nothing, `airbench` learns less in more time: docs/measurements.md.
    """
    base = table_mnist(epochs=epochs)
    return replace(
        base,
        name="table-cifar10",
        model=ModelConfig(
            backbone="mobilenet_v2",
            pretrained="imagenet",
            frozen_blocks=14,
            side_px=96,
            pool="average",
            views="mirrored",
        ),
        augment=replace(PLAIN, flip=True),
        optimizer=replace(base.optimizer, learning_rate=1e-3, ema_decay=0.0),
    )


def table_faces(*, epochs: int = 10) -> TrainConfig:
    """Aligned faces for the paper's table, identities held out; patches of half-size pixels."""
    base = table_mnist(epochs=epochs)
    return replace(
        base,
        name="table-faces",
        split=SplitConfig(by="identity", holdout_share=0.03),
        model=replace(base.model, side_px=112, stem_stride=4, grey=False, views="mirrored"),
        loss=LossConfig(c_centre=1.0),
        batch=BatchConfig(identities=50, images_each=4, weight_power=0.7),
        augment=MIRRORED,
    )


PLAIN = AugmentConfig(
    flip=False, shift=0, scale=0, turn_degrees=0, light=0, color=0, grey=0, low_resolution=0,
    erase=0,
)  # fmt: skip

# Written strokes have a right way round and no colour.
STROKES = AugmentConfig(
    flip=False, shift=0.07, scale=0.12, turn_degrees=12, light=0, color=0, grey=0, low_resolution=0,
    erase=0,
)  # fmt: skip

# Small pictures that are no less true in a mirror.
MIRRORED = AugmentConfig(
    flip=True, shift=0.08, scale=0, turn_degrees=0, light=0, color=0, grey=0, low_resolution=0,
    erase=0, edges="mirrored",
)  # fmt: skip

# Whole frames: the subject is anywhere and of any size.
FRAMES = AugmentConfig(
    shift=0.15, scale=0.35, turn_degrees=10, light=0.2, color=0.2, grey=0.0, low_resolution=0.1,
    channel_orders=True,
)  # fmt: skip

RECIPES: dict[str, Callable[..., TrainConfig]] = {
    "faces-r18": faces_r18,
    "faces-r18-half-distilled": faces_r18_half_distilled,
    "faces-resnet": faces_resnet,
    "faces-sface": faces_sface,
    "simpsons": simpsons,
    "paper": paper,
    "mnist": mnist,
    "table-mnist": table_mnist,
    "table-fashion": table_fashion,
    "table-letters": table_letters,
    "table-cifar10": table_cifar10,
    "table-faces": table_faces,
}
