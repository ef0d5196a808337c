"""How far a re-embedding is, in the words of both commands for it."""

from collections.abc import Mapping


def outcomes_in_words(outcomes: Mapping[str, int]) -> str:
    """What became of the templates."""
    return ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "nothing new"


def state_in_words(*, searched: int, staged: int, missing: int, subjects_without: int) -> str:
    """Counts of templates, and of subjects that would not be found."""
    return (
        f"{searched} templates are searched, {staged} are embedded anew, {missing} of those "
        f"searched are not; subjects without a new one: {subjects_without}"
    )


def comparison_in_words(
    *,
    searched_rank1: float | None,
    searched_probes: int,
    staged_rank1: float | None,
    staged_probes: int,
    subjects: int,
) -> str:
    """What it would change."""
    if searched_rank1 is None or staged_rank1 is None:
        return "no subject has two templates on both sides, so there is nothing to compare"
    return (
        f"nearest other template is of the same subject: {searched_rank1:.1%} now (of "
        f"{searched_probes} templates), {staged_rank1:.1%} with the new ones (of {staged_probes}), "
        f"{subjects} subjects"
    )
