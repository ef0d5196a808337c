"""A health report in words."""

from collections.abc import Iterator

from index.health.records import HealthReport


def health_in_words(report: HealthReport, *, merge: str, delete_template: str) -> Iterator[str]:
    """Lines; `merge` and `delete_template` are the commands to propose, without their ids."""
    yield (
        f"{report.subject_count} subjects with {report.template_count} templates, "
        f"{report.single_template_subject_count} of them with one, at revision "
        f"{report.gallery_revision}"
    )
    if report.too_little is not None:
        yield report.too_little
        return
    yield f"subjects that are probably one: {len(report.duplicates)}"
    for pair in report.duplicates:
        one, other = pair.first, pair.second
        yield (
            f"  {one.subject_id} and {other.subject_id}: similarity {pair.similarity:.3f}, "
            f"{one.nearest_count} of {one.template_count} and "
            f"{other.nearest_count} of {other.template_count} templates have the other "
            f"nearest; if so: {merge} {other.subject_id} --into {one.subject_id}"
        )
    yield f"templates that look like another subject: {len(report.mislabelled)}"
    for wrong in report.mislabelled:
        yield (
            f"  {wrong.template_id} of {wrong.subject_id}: like {wrong.looks_like} (similarity "
            f"{wrong.similarity:.3f}) rather than its own others ({wrong.own_similarity:.3f}); if "
            f"so: {delete_template} {wrong.template_id}"
        )
    yield f"templates that are like nobody: {len(report.outlying)}"
    for outlying in report.outlying:
        those = " or ".join(outlying.template_ids)
        rather = (
            "one or more is wrong, which cannot be told"
            if len(outlying.template_ids) > 1
            else "a bad photo or somebody else"
        )
        yield (
            f"  {those} of {outlying.subject_id}: similarity {outlying.own_similarity:.3f} to the "
            f"others, {outlying.strangers_nearer:.0%} of strangers are as near; {rather}: "
            f"{delete_template} TEMPLATE_ID, and enrol a better photo"
        )
