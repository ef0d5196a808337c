"""The figures of a report as named metrics: the manifest, the command and the HTML page show these.

Every one names its protocol and its data, with N where there is a gallery.
"""

from contract.calibration.searches import Searches
from contract.manifest import Metric
from training.evaluation.lfw import LfwResult
from training.evaluation.pairs import VerificationResult
from training.evaluation.results import Report
from training.evaluation.roc import FAR, TarAtFar
from training.evaluation.verification import FoldedAccuracy
from training.evaluation.zero_shot import RankResult

COUNTS = frozenset({"lfw_failures_to_acquire"})


def metrics_of(report: Report, command: str) -> list[Metric]:
    """All figures of `report`, each made by `command`, under names that occur once."""
    rows = [
        *_closed_set(report),
        *(_ranks(report.ranks) if report.ranks else ()),
        *_operating_points(report),
        *(_pairs("held_out", report.held_out_pairs) if report.held_out_pairs else ()),
        *(_pairs("zero_shot", report.zero_shot_pairs) if report.zero_shot_pairs else ()),
        *(_lfw(report.lfw) if report.lfw else ()),
    ]
    return [
        Metric(name=name, value=value, data=data, protocol=protocol, command=command)
        for name, value, data, protocol in rows
    ]


def shown(metric: Metric) -> str:
    """The value for people: a count, or a rate in percent."""
    return f"{metric.value:.0f}" if metric.name in COUNTS else f"{metric.value:.2%}"


def power_of_ten(rate: float) -> str:
    """A rate as names have it: 1e-3, 3e-3."""
    digits, exponent = f"{rate:e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


Row = tuple[str, float, str, str]


def _closed_set(report: Report) -> list[Row]:
    result = report.closed_set
    if result is None:
        return []
    data = f"{result.data}: {result.probes} probes of {result.classes} identities"
    return [
        (
            "held_out_accuracy",
            result.held_out,
            data,
            "held-out: nearest class centre, centres of the images trained on",
        ),
        (
            "paper_accuracy",
            result.paper,
            data,
            "paper: nearest class centre, centres of the evaluated images themselves; flattering, "
            "for comparison with the paper only",
        ),
    ]


def _ranks(result: RankResult) -> list[Row]:
    data = (
        f"{result.data}: {result.subjects} subjects in the gallery, {result.probes} probes, "
        f"{result.draws} draws"
    )
    protocol = (
        f"zero-shot, closed set: {result.enrolled} image(s) each enrolled, the rest are probes; "
        f"95 % interval by subject {result.rank1.low95:.4f} to {result.rank1.high95:.4f}"
    )
    return [("zero_shot_rank1", result.rank1.value, data, protocol)]


def _operating_points(report: Report) -> list[Row]:
    """Of the gallery that the default threshold is stated for; all are in the calibration."""
    if report.open_set is None or report.open_set.calibration is None:
        return []
    calibration, reference = report.open_set.calibration, report.open_set.reference
    rows: list[Row] = []
    for gallery in calibration.galleries:
        if gallery.subjects != reference.gallery_subjects:
            continue
        for point in gallery.points:
            if point.fnir is not None:
                target = power_of_ten(point.target_fpir)
                rows.append(
                    (
                        f"zero_shot_fnir_at_fpir_{target}_n{gallery.subjects}",
                        point.fnir.value,
                        f"{calibration.data}: {searches_in_words(reference)}",
                        f"zero-shot, open set: {calibration.images_enrolled} image(s) each "
                        f"enrolled, a miss unless right at rank 1 and similarity >= "
                        f"{point.threshold:.4f}; 95 % interval by subject {point.fnir.low95:.4f} "
                        f"to {point.fnir.high95:.4f}",
                    )
                )
    return rows


def searches_in_words(searches: Searches) -> str:
    """How many of whom were searched for where."""
    return (
        f"N = {searches.gallery_subjects} subjects, {searches.mated_subjects} of them mated "
        f"({len(searches.rank_S)} searches), {searches.nonmated_subjects} strangers "
        f"({len(searches.best_T)} searches), {searches.draws} draws"
    )


def _pairs(prefix: str, result: VerificationResult) -> list[Row]:
    data = (
        f"{result.data}: {result.curve.mated} mated and {result.curve.nonmated} non-mated pairs "
        "of images"
    )
    protocol = f"{prefix.replace('_', '-')}, 1:1"
    return [
        _equal_error(prefix, result.equal_error.rate, data, protocol),
        *_tar(prefix, result.tar_at_far, data, protocol),
    ]


def _lfw(result: LfwResult) -> list[Row]:
    overlap = (
        "the network was imported: whether its authors trained on these people is not known"
        if result.shared_people is None
        else f"{result.shared_people} people of the protocol are in the training data"
    )
    data = f"LFW View 2, {result.accuracy.pairs} pairs; {overlap}"
    pairs = "1:1, all pairs together; a pair with a photo without a face is never accepted"
    return [
        _accuracy("lfw_accuracy", result.accuracy, data),
        *_disjoint(result),
        _equal_error("lfw", result.equal_error.rate, data, pairs),
        *_tar("lfw", result.tar_at_far, data, pairs),
        (
            "lfw_failures_to_acquire",
            result.failures_to_acquire,
            "LFW View 2, photos of the protocol",
            f"detector {result.detector or 'of others'}, most central face",
        ),
    ]


def _disjoint(result: LfwResult) -> list[Row]:
    if result.disjoint is None:
        return []
    data = f"LFW View 2, the {result.disjoint.pairs} pairs without these people"
    return [_accuracy("lfw_accuracy_disjoint", result.disjoint, data)]


def _accuracy(name: str, accuracy: FoldedAccuracy, data: str) -> Row:
    protocol = "ten folds, unrestricted threshold; a photo without a face is an error"
    return (name, accuracy.mean, data, f"{protocol}; standard error {accuracy.standard_error:.4f}")


def _equal_error(prefix: str, rate: float, data: str, protocol: str) -> Row:
    return (f"{prefix}_eer", rate, data, f"{protocol}; where FMR and FNMR are nearest")


def _tar(prefix: str, found: TarAtFar | None, data: str, protocol: str) -> list[Row]:
    if found is None:
        return []
    name = f"{prefix}_tar_at_far_{power_of_ten(FAR)}"
    return [(name, found.tar, data, f"{protocol}; similarity >= {found.threshold:.4f}")]
