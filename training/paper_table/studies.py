"""One setting changed at a time: a column, a row of the table to start from, and its variants."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from training.paper_table.rows import BASELINES, COMPOSITE, ROWS, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """base: name of the row that has `base_value` of the setting, and whose runs are used.

    pictured: D is 2, and the report draws where the images lie.
    """

    name: str
    title: str
    column: str
    base: str
    base_value: str
    variants: tuple[Variant, ...]
    pictured: bool = False


def _study(
    name: str,
    title: str,
    field: str,
    values: Iterable[str],
    *,
    base_value: str,
    column: str = "fashion-mnist",
    base: str = COMPOSITE,
    also: tuple[str, ...] = (),
) -> Study:
    """`field` takes each of `values`. also: settings of every variant."""
    row = next(row for row in ROWS if row.name == base)
    return Study(
        name=name,
        title=title,
        column=column,
        base=base,
        base_value=base_value,
        variants=tuple(
            Variant(
                name=f"{name}-{value.replace('_', '-')}",
                title=value,
                settings=(*row.settings, *also, f"{field}={value}"),
            )
            for value in values
        ),
    )


def _plane() -> Study:
    """The spaces for D = 2, to look at. In each the base row's losses."""
    study = _study(
        "plane", "The spaces for D = 2", "model.space",
        ("l2", "unit_range", "unit_bounce", "bounce_limit"),
        base_value="l2, D = 128", also=("model.embedding_size=2",),
    )  # fmt: skip
    return replace(study, pictured=True)


STUDIES = (
    _plane(),
    _study(
        "space", "Embedding space", "model.space",
        ("unit_range", "unit_bounce", "bounce_limit"), base_value="l2",
    ),
    _study(
        "size", "Embedding size D", "model.embedding_size",
        ("2", "4", "8", "16", "32", "64", "256", "512"), base_value="128",
    ),
    _study(
        "init", "Initialisation of the embedding layer", "model.init",
        ("xavier_normal", "uniform", "normal"), base_value="xavier_uniform",
    ),
    _study(
        "reduction", "Mean inside or outside the logarithm, L_exp alone",
        "loss.exponential.reduction", ("outside_log",), base_value="inside_log", base="exp",
    ),
    _study(
        "centre-form", "Form of the centre loss", "loss.centre.form", ("hinge",),
        base_value="exponential", base="exp-centre",
    ),
    _study(
        "memory", "Cross-batch memory, past batches, L_exp alone", "loss.mining.memory_batches",
        ("4", "16"), base_value="0", base="exp",
    ),
    _study(
        "norm", "Gradients through the norm", "model.norm_gradient", ("false",), base_value="true",
    ),
    # c_n = c_o / K stays below 1 only where there are more classes than c_o.
    _study(
        "overlap", "Overlap coefficient c_o, 47 classes", "loss.overlap", ("40",), base_value="0",
        column="emnist47",
    ),
    _study(
        "overlap", "Overlap coefficient c_o, thousands of identities", "loss.overlap",
        ("40", "80"), base_value="0", column="faces",
    ),
)  # fmt: skip


def variants_of(column: str) -> dict[str, Variant]:
    """Everything that a column is trained with, by name."""
    studied = (study.variants for study in STUDIES if study.column == column)
    every = (*ROWS, *BASELINES, *(variant for variants in studied for variant in variants))
    return {variant.name: variant for variant in every}
