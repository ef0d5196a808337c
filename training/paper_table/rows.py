"""What the table compares: the paper's eight rows and four modern losses, by values alone."""

from dataclasses import dataclass

COMPOSITE = "exp-centre-class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One thing that a column's recipe is trained with.

    name: in file names and on the command line. title: in the report.
    settings: what it changes of the recipe, each as in `loss.c_class=0`.
    """

    name: str
    title: str
    settings: tuple[str, ...]


def _row(metric: str, *terms: str) -> Variant:
    """metric: `std` or `exp`. terms: of `centre` and `class`."""
    titles = {"std": "L_std", "exp": "L_exp", "centre": "L_center", "class": "L_class"}
    metrics = {"std": "standard", "exp": "exponential"}
    return Variant(
        name="-".join([metric, *terms]),
        title=" + ".join(titles[part] for part in (metric, *terms)),
        settings=(
            f"loss.metric={metrics[metric]}",
            f"loss.c_class={1 if 'class' in terms else 0}",
            f"loss.c_centre={1 if 'centre' in terms else 0}",
        ),
    )


def _baseline(metric: str, title: str) -> Variant:
    settings = (f"loss.metric={metric}", "loss.c_class=0", "loss.c_centre=0")
    return Variant(name=metric.replace("_", "-"), title=title, settings=settings)


ROWS = (
    _row("std"),
    _row("std", "class"),
    _row("std", "centre"),
    _row("std", "centre", "class"),
    _row("exp"),
    _row("exp", "class"),
    _row("exp", "centre"),
    _row("exp", "centre", "class"),
)
BASELINES = (
    _baseline("arcface", "ArcFace"),
    _baseline("cosface", "CosFace"),
    _baseline("multi_similarity", "multi-similarity"),
    _baseline("proxy_anchor", "proxy-anchor"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A question that pairs of rows answer: is `better` better than `worse`, all else equal?"""

    words: str
    pairs: tuple[tuple[str, str], ...]


CLAIMS = (
    Claim(
        words="L_exp beats L_std",
        pairs=tuple((f"exp{terms}", f"std{terms}") for terms in ("", "-class", "-centre",
                                                                 "-centre-class")),
    ),
    Claim(
        words="L_class helps",
        pairs=tuple((f"{row}-class", row) for row in ("std", "std-centre", "exp", "exp-centre")),
    ),
    Claim(
        words="L_center helps",
        pairs=(
            ("std-centre", "std"), ("std-centre-class", "std-class"),
            ("exp-centre", "exp"), ("exp-centre-class", "exp-class"),
        ),
    ),
)  # fmt: skip
