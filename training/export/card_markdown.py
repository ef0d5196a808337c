"""The model card as Markdown: `inspect --markdown`, and the pages of docs/models/."""

from collections.abc import Iterator

from contract.bundle import Bundle
from contract.calibration.records import Calibration, Estimate, GalleryCalibration
from contract.manifest import DefaultThreshold, Manifest, Metric, StartingPoint, TrainingData
from training.export.model_card import model_card

ROLES = {"starting_weights": "Starting weights", "teacher": "Teacher"}


def card_page(bundle: Bundle) -> str:
    """The whole page; nothing in it depends on where the bundle lies.

    Raises BundleFileError if the model is not TorchScript.
    """
    return "\n".join(_lines(bundle)) + "\n"


def _lines(bundle: Bundle) -> Iterator[str]:
    m = bundle.manifest
    yield f"# {m.name} {m.version}"
    yield from ("", _text(m.description), "", f"**Licence of the weights:** {_text(m.license)}")
    yield from ("", "## Not fit for", "")
    yield from (f"- {_text(limit)}" for limit in m.limits)
    if not m.limits:
        yield f"Not stated: manifests of format version {m.format_version} do not say it."
    yield from ("", "## Network", "")
    yield from _network(bundle)
    yield from ("", "## Origin", "")
    yield from _origin(m)
    yield from ("", "## Training data", "")
    for data in m.training_data:
        yield _training_data(data)
    yield from ("", "## Figures", "")
    yield from _figures(m.metrics)
    yield from ("", "## Default threshold", "")
    yield _threshold(m.default_threshold)
    yield from ("", "## Calibration", "")
    yield from _calibration(m.calibration)


def _network(bundle: Bundle) -> Iterator[str]:
    m, facts = bundle.manifest, model_card(bundle)
    e, i = m.embedding, m.input
    fit = "" if i.fit is None else f", whole images by `{i.fit}`"
    yield from _table(
        ("fact", "value"),
        [
            ("file", f"`{m.model.file}`, {m.model.format}, weights stored as "
             f"{m.model.weights_dtype}, {facts['model_bytes'] / 1e6:.2f} MB"),
            ("sha256", f"`{bundle.sha256}`"),
            ("parameters", f"{facts['parameters']:,}"),
            ("input", f"{i.width}x{i.height} pixels {i.color_order}, alignment `{i.alignment}`"
             + fit),
            ("embedding", f"{e.size} numbers, space `{e.space}`, scale {e.scale:g}, d_max "
             f"{e.d_max:g}"),
            ("contract id", f"`{m.contract.id}`"),
            ("manifest format", str(m.format_version)),
        ],
    )  # fmt: skip


def _origin(manifest: Manifest) -> Iterator[str]:
    origin = manifest.origin
    if origin is None:
        yield f"Not stated: manifests of format version {manifest.format_version} do not say it."
        return
    yield f"- Loss: {_text(origin.loss)}"
    yield from (_starting_point(point) for point in origin.starting_points)
    if not origin.starting_points:
        yield "- Starting weights, teacher: none"


def _starting_point(point: StartingPoint) -> str:
    remark = f" ({_text(point.remark)})" if point.remark else ""
    return f"- {ROLES[point.role]}: {_text(point.name)}{remark}. Licence: {_text(point.license)}"


def _training_data(data: TrainingData) -> str:
    remark = f" {_text(data.remark)}" if data.remark else ""
    return (
        f"- **{_text(data.name)}**: {data.images:,} images of {data.identities:,} identities. "
        f"Terms: {_text(data.terms)}.{remark}"
    )


def _figures(metrics: list[Metric]) -> Iterator[str]:
    if not metrics:
        yield "None: `oneglance-train evaluate` measures and writes them."
        return
    commands = list(dict.fromkeys(m.command for m in metrics))
    yield from _table(
        ("figure", "value", "data", "protocol", "command"),
        [
            (f"`{m.name}`", f"{m.value:.6g}", _text(m.data), _text(m.protocol),
             str(1 + commands.index(m.command)))
            for m in metrics
        ],
    )  # fmt: skip
    yield from ("", "Commands:", "")
    yield from (f"{number}. `{_text(command)}`" for number, command in enumerate(commands, start=1))


def _threshold(threshold: DefaultThreshold | None) -> str:
    if threshold is None:
        return "None: every request has to name one."
    return (
        f"Similarity >= {threshold.similarity:.4f}: FPIR {threshold.fpir:.2%} of "
        f"{threshold.searches:,} searches in a gallery of {threshold.gallery_subjects:,} subjects "
        f"({_text(threshold.data)})."
    )


def _calibration(calibration: Calibration | None) -> Iterator[str]:
    if calibration is None:
        yield "None."
        return
    yield (
        f"Measured on {_text(calibration.data)}, in galleries of N subjects; images enrolled of "
        f"each: {calibration.images_enrolled}. Intervals are 95 %, by "
        f"{calibration.replicates:,} bootstrap replicates over subjects."
    )
    yield ""
    yield from _table(
        ("N", "target FPIR", "threshold", "FPIR seen (upper 95 %)", "FNIR", "stranger searches"),
        [row for gallery in calibration.galleries for row in _points(gallery)],
    )
    reasons = [
        f"- N = {gallery.subjects:,}, FPIR {point.target_fpir:.4g}: {_text(point.reason)}"
        for gallery in calibration.galleries
        for point in gallery.unsupported
    ]
    if reasons:
        yield from ("", "Not supported by the data:", "", *reasons)


def _points(gallery: GalleryCalibration) -> Iterator[tuple[str, ...]]:
    for point in gallery.points:
        yield (
            f"{gallery.subjects:,}",
            f"{point.target_fpir:.4g}",
            f"{point.threshold:.4f}",
            f"{point.fpir:.4f} ({point.fpir_upper95:.4f})",
            _rate(point.fnir),
            f"{gallery.nonmated_searches:,}",
        )


def _rate(rate: Estimate | None) -> str:
    if rate is None:
        return "too few mated subjects"
    return f"{rate.value:.3f} ({rate.low95:.3f} to {rate.high95:.3f})"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    for cells in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _text(words: str) -> str:
    """On one line, so that it stays in its list item or cell."""
    return " ".join(words.split())
