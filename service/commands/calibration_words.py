"""A collection's calibration in words."""

from collections.abc import Iterator

from service.calibration_answer import CalibrationOut


def calibration_in_words(calibration: CalibrationOut) -> Iterator[str]:
    """Lines: what was found, and what was not."""
    seen, strangers = calibration.gallery, calibration.strangers
    yield (
        f"{seen.subject_count} subjects with {seen.template_count} templates; strangers: "
        f"{strangers.enrolled} of them and {strangers.uploaded} others, "
        f"{strangers.failures_to_acquire} photos without a usable face"
    )
    if strangers.feedback or strangers.feedback_left_out:
        yield (
            f"feedback: {strangers.feedback} verdicts count, with {strangers.rejected} more "
            f"strangers, and {strangers.feedback_left_out} do not"
        )
    for point in calibration.points:
        missed = "misses not stated (fewer than 10 subjects have two templates)"
        if point.fnir is not None:
            missed = (
                f"{point.fnir.value:.1%} of the searches for subjects miss "
                f"(95 %: {point.fnir.low95:.1%} to {point.fnir.high95:.1%})"
            )
        yield f"FPIR {point.target_fpir:.1%}: similarity >= {point.threshold:.4f}, {missed}"
    for refused in calibration.unsupported:
        yield f"FPIR {refused.target_fpir:.1%}: not supported, {refused.reason}"
