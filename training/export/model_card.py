"""What a bundle is, for people and for programs: the output of `inspect`."""

import textwrap
from collections.abc import Iterator
from typing import Any

from contract.bundle import Bundle
from contract.manifest import Manifest, Metric
from contract.torchscript import load_torchscript

WIDTH = 100
LABEL = 20


def model_card(bundle: Bundle) -> dict[str, Any]:
    """The manifest and what follows from the bundle's files, as JSON can state it.

    Raises BundleFileError if the model is not TorchScript.
    """
    model = load_torchscript(bundle)
    return {
        **bundle.manifest.model_dump(mode="json"),
        "contract_id": bundle.manifest.contract.id,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "model_bytes": len(bundle.read_model()),
        # load_bundle and read_model refuse every other.
        "hashes_verified": True,
    }


def card_lines(bundle: Bundle) -> Iterator[str]:
    """The same for people, a line each."""
    card, m = model_card(bundle), bundle.manifest
    yield f"{m.name} {m.version}"
    yield from textwrap.wrap(m.description, WIDTH)
    yield ""
    yield from _row("licence", m.license)
    for limit in m.limits:
        yield from _row("not fit for", limit)
    yield from _row(
        "model",
        f"{m.model.file}: {m.model.format}, weights stored as {m.model.weights_dtype}, "
        f"{card['model_bytes'] / 1e6:.2f} MB, {card['parameters']:,} parameters",
    )
    e, i = m.embedding, m.input
    yield from _row(
        "embedding", f"{e.size} numbers, space {e.space}, scale {e.scale:g}, d_max {e.d_max:g}"
    )
    yield from _row(
        "input",
        f"{i.width}x{i.height} pixels {i.color_order}, alignment {i.alignment}"
        + ("" if i.fit is None else f", whole images by {i.fit}"),
    )
    yield from _row("contract id", m.contract.id)
    yield from _row("manifest format", str(m.format_version))
    for name, sha256 in m.files.items():
        yield from _row(f"sha256 {name}", f"{sha256} (verified)")
    yield from _origin(m)
    yield from _training_data(m)
    yield from _metrics(m.metrics)
    yield from _threshold(m)
    yield from _calibration(m)


def _origin(manifest: Manifest) -> Iterator[str]:
    if manifest.origin is None:
        return
    yield ""
    yield from _row("loss", manifest.origin.loss)
    for point in manifest.origin.starting_points:
        yield from _row(point.role.replace("_", " "), f"{point.name}; licence: {point.license}")
        if point.remark:
            yield from _row("  remark", point.remark)


def _training_data(manifest: Manifest) -> Iterator[str]:
    for data in manifest.training_data:
        yield ""
        yield from _row(
            "training data",
            f"{data.name}: {data.images:,} images of {data.identities:,} identities",
        )
        yield from _row("  terms", data.terms)
        if data.remark:
            yield from _row("  remark", data.remark)


def _metrics(metrics: list[Metric]) -> Iterator[str]:
    yield ""
    if not metrics:
        yield from _row("metrics", "none: `oneglance-train evaluate` measures and writes them")
    for metric in metrics:
        yield from _row("metric", f"{metric.name} = {metric.value:.6g}")
        yield from _row("  data", metric.data)
        yield from _row("  protocol", metric.protocol)
        yield from _row("  command", metric.command)


def _threshold(manifest: Manifest) -> Iterator[str]:
    yield ""
    threshold = manifest.default_threshold
    if threshold is None:
        yield from _row("default threshold", "none: every request has to name one")
        return
    yield from _row("default threshold", f"similarity >= {threshold.similarity:.4f}")
    yield from _row(
        "  evidence",
        f"FPIR {threshold.fpir:.2%} of {threshold.searches:,} searches, gallery of "
        f"{threshold.gallery_subjects:,} subjects",
    )
    yield from _row("  data", threshold.data)


def _calibration(manifest: Manifest) -> Iterator[str]:
    """Whatever the calibration holds: its fields are the manifest's to define."""
    yield ""
    if manifest.calibration is None:
        yield from _row("calibration", "none")
        return
    yield "calibration"
    yield from _tree(manifest.calibration.model_dump(mode="json"), "  ")


def _tree(values: dict[str, Any], indent: str) -> Iterator[str]:
    """Nested values as indented lines; a list of flat records has a line for each."""
    for key, value in values.items():
        label = key.replace("_", " ")
        if isinstance(value, dict) and not _is_flat(value):
            yield f"{indent}{label}"
            yield from _tree(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{label}" + ("" if value else ": none")
            for number, item in enumerate(value, start=1):
                if isinstance(item, dict) and not _is_flat(item):
                    yield f"{indent}  {number}."
                    yield from _tree(item, indent + "    ")
                else:
                    yield f"{indent}  {_scalar(item)}"
        else:
            yield f"{indent}{label}: {_scalar(value)}"


def _is_flat(values: dict[str, Any]) -> bool:
    return not any(
        isinstance(value, list) or (isinstance(value, dict) and not _is_flat(value))
        for value in values.values()
    )


def _scalar(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key.replace('_', ' ')} " + (f"({_scalar(v)})" if isinstance(v, dict) else _scalar(v))
            for key, v in value.items()
        )
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _row(label: str, text: str) -> Iterator[str]:
    """The label, and the text beside it, wrapped."""
    indent = " " * LABEL
    return iter(
        textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"{label:<{LABEL - 1}} ",
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
