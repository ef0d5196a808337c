"""Recipes: functions that return a whole config. `oneglance-train train --recipe NAME`."""

from training.config import ModelConfig, OptimizerConfig, TrainConfig
from training.losses.composite import LossConfig


def faces_r18(*, epochs: int = 20) -> TrainConfig:
    """ResNet-18 on aligned face crops, L_exp + L_class, from nothing.

    For a GPU or a processor with bf16 matrix units: 1.8 GMAC an image.
    """
    return TrainConfig(name="faces-r18", epochs=epochs, loss=LossConfig())


def faces_r18_half_distilled(*, epochs: int = 11) -> TrainConfig:
    """Half the channels, a stem of stride 4 (0.12 GMAC an image), and a teacher.

    For a processor without bf16 units, where the whole network trains less than 10 images a
    second and nothing converges from labels alone in an hour. Needs `oneglance-train teach` first.
    """
    return TrainConfig(
        name="faces-r18-half-distilled",
        epochs=epochs,
        bf16=False,
        model=ModelConfig(width=32, stem_stride=4, dropout=0.0),
        loss=LossConfig(
            c_pos=0.2, c_neg=0.2, c_class=0.05, c_distill=5.0, overlap=0.0, class_scale=24.0
        ),
        optimizer=OptimizerConfig(learning_rate=2e-3, warmup_epochs=0.5),
    )


RECIPES = {"faces-r18": faces_r18, "faces-r18-half-distilled": faces_r18_half_distilled}
