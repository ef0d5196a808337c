"""The manifest: strict in what it takes, and the contract id that follows from it."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contract.bundle import load_bundle
from contract.embedding_contract import PREFIX, EmbeddingContract, contract_id
from contract.errors import ManifestError
from contract.manifest import Manifest, parse_manifest

HASH = "ab" * 32

Change = Callable[[dict[str, Any]], object]


def gallery(subjects: int) -> dict[str, Any]:
    """One size of a calibration, every part filled."""
    return {
        "subjects": subjects, "draws": 10, "mated_subjects": 50, "mated_searches": 900,
        "nonmated_subjects": 400, "nonmated_searches": 4000,
        "points": [
            {
                "target_fpir": 0.01, "threshold": 0.7, "fpir": 0.01, "fpir_upper95": 0.02,
                "fnir": {"value": 0.2, "low95": 0.1, "high95": 0.3},
            }
        ],
        "unsupported": [{"target_fpir": 0.001, "reason": "400 strangers cannot show it"}],
        "tail": [{"share": 0.5, "similarity": 0.5}, {"share": 0.01, "similarity": 0.7}],
    }  # fmt: skip


def facts() -> dict[str, Any]:
    """A manifest as it lies on disk, every part filled."""
    return {
        "format_version": 3,
        "name": "test-faces",
        "version": "1.2.3",
        "description": "Nothing real.",
        "license": "MIT",
        "model": {"file": "model.ts", "format": "torchscript", "weights_dtype": "float16"},
        "files": {"model.ts": HASH, "notes.txt": "01" * 32},
        "embedding": {"size": 128, "space": "l2", "scale": 1.5, "d_max": 3.0},
        "input": {
            "width": 112, "height": 112, "color_order": "RGB", "alignment": "five_point_112",
            "fit": None,
        },
        "origin": {
            "loss": "L_exp",
            "starting_points": [
                {"role": "starting_weights", "name": "w", "license": "l", "remark": "r"},
                {"role": "teacher", "name": "t", "license": "l", "remark": ""},
            ],
        },
        "limits": ["decisions about people", "anything else"],
        "training_data": [
            {"name": "made up", "terms": "none", "identities": 3, "images": 9, "remark": ""}
        ],
        "metrics": [
            {"name": "m", "value": 0.5, "data": "d", "protocol": "p", "command": "c"}
        ],
        "default_threshold": {
            "similarity": 0.6, "fpir": 0.01, "gallery_subjects": 100, "searches": 400, "data": "d",
        },
        "calibration": {
            "data": "d", "images_enrolled": 1, "template_fusion": "best", "replicates": 1000,
            "galleries": [gallery(100), gallery(1000)],
        },
    }  # fmt: skip


def parsed(values: dict[str, Any]) -> Manifest:
    return parse_manifest(json.dumps(values), source="test")


def changed(change: Change) -> dict[str, Any]:
    values = copy.deepcopy(facts())
    change(values)
    return values


def test_a_manifest_survives_the_round_trip_through_json() -> None:
    manifest = parsed(facts())
    assert json.loads(manifest.model_dump_json()) == facts()
    assert parse_manifest(manifest.model_dump_json(), source="again") == manifest


def to_version_2(values: dict[str, Any]) -> None:
    values["format_version"] = 2
    del values["origin"], values["limits"], values["input"]["fit"]


def to_version_1(values: dict[str, Any]) -> None:
    to_version_2(values)
    values.update(format_version=1, calibration=None)


def of_images(values: dict[str, Any], fit: str = "pad", side: int = 64) -> None:
    values["input"].update(width=side, height=side, alignment="none", fit=fit)


@pytest.mark.parametrize(("number", "older"), [(1, to_version_1), (2, to_version_2)])
def test_a_manifest_of_an_older_version_still_loads_and_is_written_as_it_was(
    number: int, older: Change
) -> None:
    old = changed(older)
    manifest = parsed(old)
    assert manifest.format_version == number
    assert (manifest.calibration is None) == (number == 1)
    assert (manifest.input.fit, manifest.origin, manifest.limits) == (None, None, [])
    assert json.loads(manifest.model_dump_json()) == manifest.model_dump() == old
    assert manifest.contract == parsed(facts()).contract


@pytest.mark.parametrize("older", [to_version_1, to_version_2])
def test_older_images_without_alignment_may_have_any_size(older: Change) -> None:
    old = changed(older)
    old["input"].update(width=64, height=96, alignment="none")
    assert parsed(old).input.height == 96


@pytest.mark.parametrize("older", [to_version_1, to_version_2])
@pytest.mark.parametrize("key", ["origin", "limits", "fit"])
def test_an_older_manifest_has_no_key_of_version_3(older: Change, key: str) -> None:
    """Not even as null: an older OneGlance refuses it."""
    old = changed(older)
    (old["input"] if key == "fit" else old)[key] = [] if key == "limits" else None
    with pytest.raises(ManifestError, match=f"{key} came with format_version 3"):
        parsed(old)


def test_replacing_values_keeps_the_version_and_checks_the_whole() -> None:
    for older in (to_version_1, to_version_2):
        manifest = parsed(changed(older))
        assert manifest.replaced(name="other").model_dump() == changed(older) | {"name": "other"}
    with pytest.raises(ValidationError, match="must pin the sha256"):
        parsed(facts()).replaced(files={})


BUNDLES = Path(__file__).parents[2] / "service" / "bundles"


@pytest.mark.parametrize("shipped", sorted(BUNDLES.iterdir()), ids=lambda path: path.name)
def test_the_shipped_bundles_load(shipped: Path) -> None:
    manifest = load_bundle(shipped).manifest
    # Ten characters that were never trained on are too few to state a threshold.
    assert (manifest.default_threshold is None) == (manifest.name == "oneglance-simpsons")


@pytest.mark.parametrize("older", [to_version_1, to_version_2, lambda _: None])
def test_galleries_of_the_first_shipped_bundle_stay_valid(older: Change) -> None:
    """oneglance-faces 0.1.0 was served under this id before there were fits."""
    values = changed(older)
    values["files"]["model.ts"] = "4cc359ae0facd970dc541bdc1a511937102809d56dee551780ff28991bdf5b8f"
    values["embedding"].update(scale=1.0, d_max=2.0)
    assert parsed(values).contract.id == (
        PREFIX + "284099b93aa0e4077722c6952258872d09fd61112083a2db8c7fffacd5f892af"
    )


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_whole_images_state_their_fit(fit: str) -> None:
    values = changed(lambda v: of_images(v, fit))
    assert json.loads(parsed(values).model_dump_json()) == values


def test_a_calibration_may_be_missing_in_the_newest_format_too() -> None:
    assert parsed(changed(lambda v: v.update(calibration=None))).calibration is None


def test_a_point_without_fnir_is_one_of_too_few_mated_subjects() -> None:
    assert parsed(changed(lambda v: point(v).update(fnir=None))).calibration is not None


def dotted_keys(values: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = values.items() if isinstance(values, dict) else enumerate(values)
    keys = []
    for key, value in items:
        if isinstance(values, dict) and above != ("files",):
            keys.append((*above, key))
        if isinstance(value, dict | list):
            keys += dotted_keys(value, (*above, key))
    return keys


KEYS_OF_VERSION_3 = [("origin",), ("limits",), ("input", "fit")]
REQUIRED = [k for k in dotted_keys(facts()) if k[-1] != "remark" and k not in KEYS_OF_VERSION_3]


@pytest.mark.parametrize("key", REQUIRED, ids=str)
def test_each_missing_key_is_refused_by_name(key: tuple[Any, ...]) -> None:
    values = facts()
    inner: Any = values
    for step in key[:-1]:
        inner = inner[step]
    del inner[key[-1]]
    with pytest.raises(ManifestError, match=rf"{'.'.join(map(str, key))}: Field required"):
        parsed(values)


@pytest.mark.parametrize("missing", [KEYS_OF_VERSION_3, *([key] for key in KEYS_OF_VERSION_3)])
def test_a_missing_key_of_version_3_is_refused_in_words(missing: list[tuple[str, ...]]) -> None:
    values = facts()
    for *parents, name in missing:
        del (values[parents[0]] if parents else values)[name]
    words = ", ".join(".".join(key) for key in missing)
    with pytest.raises(ManifestError, match=f"format_version 3 must state {words}"):
        parsed(values)


@pytest.mark.parametrize(
    "part", [(), ("model",), ("embedding",), ("input",), ("origin",),
             ("origin", "starting_points", 0), ("training_data", 0), ("metrics", 0),
             ("default_threshold",), ("calibration",), ("calibration", "galleries", 0),
             ("calibration", "galleries", 0, "points", 0),
             ("calibration", "galleries", 0, "points", 0, "fnir"),
             ("calibration", "galleries", 0, "unsupported", 0),
             ("calibration", "galleries", 1, "tail", 1)], ids=str,
)  # fmt: skip
def test_an_unknown_key_anywhere_is_refused(part: tuple[Any, ...]) -> None:
    values = facts()
    inner: Any = values
    for step in part:
        inner = inner[step]
    inner["surprise"] = 1
    with pytest.raises(ManifestError, match="surprise"):
        parsed(values)


def size(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = values["calibration"]["galleries"][0]
    return found


def point(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = size(values)["points"][0]
    return found


REFUSED: dict[str, tuple[Change, str]] = {
    "newer format": (lambda v: v.update(format_version=4), "format_version"),
    "format 0": (lambda v: v.update(format_version=0), "format_version"),
    "format as text": (lambda v: v.update(format_version="2"), "format_version"),
    "old format with a calibration": (
        lambda v: (to_version_2(v), v.update(format_version=1)),
        "format_version 1 has no calibration",
    ),
    "faces with a fit": (lambda v: v["input"].update(fit="pad"), "five_point_112 makes the crops"),
    "whole images without a fit": (lambda v: v["input"].update(alignment="none"), "input.fit must"),
    "an unknown fit": (lambda v: of_images(v, "squeeze"), "input.fit"),
    "a fit that makes no square": (
        lambda v: (of_images(v), v["input"].update(height=96)), "fit makes squares, not 64x96",
    ),
    "no origin": (lambda v: v.update(origin=None), "must state an origin"),
    "no limit": (lambda v: v.update(limits=[]), "at least one of limits"),
    "an empty limit": (lambda v: v.update(limits=[""]), "limits.0"),
    "no loss": (lambda v: v["origin"].update(loss=""), "origin.loss"),
    "another role": (
        lambda v: v["origin"]["starting_points"][0].update(role="friend"), "starting_points.0.role",
    ),
    "name with a space": (lambda v: v.update(name="My Faces"), "name"),
    "empty name": (lambda v: v.update(name=""), "name"),
    "version of two parts": (lambda v: v.update(version="1.2"), "version"),
    "version with a tail": (lambda v: v.update(version="1.2.3\n"), "version"),
    "no description": (lambda v: v.update(description=""), "description"),
    "short hash": (lambda v: v["files"].update({"model.ts": "ab"}), "files"),
    "hash in capitals": (lambda v: v["files"].update({"model.ts": HASH.upper()}), "files"),
    "hash of no hex": (lambda v: v["files"].update({"model.ts": "g" * 64}), "files"),
    "model not pinned": (lambda v: v["files"].pop("model.ts"), "must pin the sha256 of model.ts"),
    "another model format": (lambda v: v["model"].update(format="onnx"), "model.format"),
    "another dtype": (lambda v: v["model"].update(weights_dtype="int8"), "weights_dtype"),
    "size 0": (lambda v: v["embedding"].update(size=0), "embedding.size"),
    "size as text": (lambda v: v["embedding"].update(size="128"), "embedding.size"),
    "size of a fraction": (lambda v: v["embedding"].update(size=1.5), "embedding.size"),
    "unknown space": (lambda v: v["embedding"].update(space="poincare"), "embedding.space"),
    "d_max of the wrong scale": (lambda v: v["embedding"].update(d_max=2.0), "is 3.0"),
    "d_max squared": (lambda v: v["embedding"].update(d_max=9.0), "is 3.0"),
    "scale 0": (lambda v: v["embedding"].update(scale=0.0, d_max=0.0), "embedding.scale"),
    "BGR": (lambda v: v["input"].update(color_order="BGR"), "input.color_order"),
    "crops of another width": (lambda v: v["input"].update(width=128), "112x112"),
    "crops of another height": (lambda v: v["input"].update(height=96), "112x112"),
    "threshold over 1": (lambda v: v["default_threshold"].update(similarity=1.01), "similarity"),
    "negative fpir": (lambda v: v["default_threshold"].update(fpir=-0.1), "fpir"),
    "calibration of another age": (lambda v: v.update(calibration={"a": 1}), "calibration"),
    "no gallery": (lambda v: v["calibration"].update(galleries=[]), "galleries"),
    "a gallery twice": (
        lambda v: v["calibration"].update(galleries=[gallery(90), gallery(90)]), "rising subjects",
    ),
    "galleries that fall": (
        lambda v: v["calibration"].update(galleries=[gallery(99), gallery(60)]), "rising subjects",
    ),
    "no image enrolled": (lambda v: v["calibration"].update(images_enrolled=0), "images_enrolled"),
    "templates fused otherwise": (
        lambda v: v["calibration"].update(template_fusion="mean"), "template_fusion",
    ),
    "empty gallery": (lambda v: size(v).update(subjects=0), "subjects"),
    "no strangers": (lambda v: size(v).update(nonmated_subjects=0), "nonmated_subjects"),
    "more mated than enrolled": (lambda v: size(v).update(mated_subjects=101), "more of them"),
    "strangers nobody searched for": (
        lambda v: size(v).update(nonmated_searches=3999), "at least once",
    ),
    "no tail": (lambda v: size(v).update(tail=[]), "tail"),
    "a tail that falls": (lambda v: size(v)["tail"].reverse(), "falling shares"),
    "a tail of falling similarities": (
        lambda v: size(v)["tail"][1].update(similarity=0.4), "rising similarities",
    ),
    "a tail of one share": (lambda v: size(v)["tail"][1].update(share=0.5), "falling shares"),
    "target 0": (lambda v: point(v).update(target_fpir=0.0), "target_fpir"),
    "target 1": (lambda v: point(v).update(target_fpir=1.0), "target_fpir"),
    "threshold of a distance": (lambda v: point(v).update(threshold=1.2), "threshold"),
    "rate outside of its interval": (lambda v: point(v)["fnir"].update(value=0.4), "low95, high95"),
    "interval upside down": (
        lambda v: point(v)["fnir"].update(low95=0.3, high95=0.1), "low95, high95",
    ),
    "unsupported without a reason": (
        lambda v: size(v)["unsupported"][0].update(reason=""), "reason",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "word"), REFUSED.values(), ids=list(REFUSED))
def test_what_does_not_fit_is_refused_by_name(change: Change, word: str) -> None:
    with pytest.raises(ManifestError, match="test is not a manifest") as caught:
        parsed(changed(change))
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize(
    "place",
    [("embedding", "scale"), ("embedding", "d_max"), ("metrics", 0, "value"),
     ("default_threshold", "similarity"), ("default_threshold", "fpir"),
     ("calibration", "galleries", 0, "points", 0, "threshold"),
     ("calibration", "galleries", 0, "points", 0, "fnir", "high95"),
     ("calibration", "galleries", 0, "tail", 0, "similarity")],
    ids=str,
)  # fmt: skip
def test_numbers_that_are_none_are_refused(number: float, place: tuple[Any, ...]) -> None:
    values = facts()
    values["embedding"]["space"] = "none"  # d_max is free there, so that only NaN is wrong
    inner: Any = values
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = number
    with pytest.raises(ManifestError, match=str(place[-1])):
        parsed(values)


OUTSIDE = ["../model.ts", "/etc/passwd", "a/model.ts", "model.ts/", "..", ".", "", "a\\b", "a\0b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_file_outside_of_the_bundle_is_refused(name: str) -> None:
    with pytest.raises(ManifestError, match="plain file name"):
        parsed(changed(lambda v: v["files"].update({name: HASH})))


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_model_outside_of_the_bundle_is_refused(name: str) -> None:
    with pytest.raises(ManifestError, match="plain file name"):
        parsed(changed(lambda v: v["model"].update(file=name)))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "\xff", "{}" * 2],
    ids=["empty", "{", "[]", "null", "ff", "{}{}"],
)
def test_text_that_is_no_manifest_is_refused_with_its_source(text: str) -> None:
    with pytest.raises(ManifestError, match=r"/some/manifest\.json is not a manifest"):
        parse_manifest(text.encode("latin-1"), source="/some/manifest.json")


# --- contract id ---

SAME: dict[str, Change] = {
    "name": lambda v: v.update(name="another"),
    "version": lambda v: v.update(version="2.0.0"),
    "description": lambda v: v.update(description="Something else."),
    "license": lambda v: v.update(license="GPL"),
    "other file": lambda v: v["files"].update({"notes.txt": HASH}),
    "file name": lambda v: (
        v["files"].update({"renamed.ts": v["files"].pop("model.ts")}),
        v["model"].update(file="renamed.ts"),
    ),
    "metrics": lambda v: v.update(metrics=[]),
    "threshold": lambda v: v.update(default_threshold=None),
    "calibration": lambda v: v.update(calibration=None),
    "format version 1": to_version_1,
    "format version 2": to_version_2,
    "origin": lambda v: v["origin"].update(loss="another"),
    "limits": lambda v: v.update(limits=["nothing"]),
    "training data": lambda v: v.update(training_data=[]),
    "numbers written as integers": lambda v: v["embedding"].update(d_max=3),
}

OTHER: dict[str, Change] = {
    "weights": lambda v: v["files"].update({"model.ts": "cd" * 32}),
    "size": lambda v: v["embedding"].update(size=256),
    "space": lambda v: v["embedding"].update(space="unit_range"),
    "scale": lambda v: v["embedding"].update(scale=2.0, d_max=4.0),
    "d_max": lambda v: v["embedding"].update(space="none", d_max=3.5),
    "alignment": lambda v: of_images(v, side=112),
    "alignment before there were fits": lambda v: (
        to_version_2(v),
        v["input"].update(alignment="none"),
    ),
    "width before there were fits": lambda v: (
        to_version_2(v),
        v["input"].update(alignment="none", width=96),
    ),
    "height before there were fits": lambda v: (
        to_version_2(v),
        v["input"].update(alignment="none", height=96),
    ),
    "side": lambda v: of_images(v, side=96),
    "fit crop": lambda v: of_images(v, "crop", side=112),
    "fit stretch": lambda v: of_images(v, "stretch", side=112),
}


@pytest.mark.parametrize("change", SAME.values(), ids=list(SAME))
def test_the_contract_id_stays_where_embeddings_stay(change: Change) -> None:
    assert parsed(changed(change)).contract == parsed(facts()).contract


@pytest.mark.parametrize("change", OTHER.values(), ids=list(OTHER))
def test_the_contract_id_changes_where_embeddings_change(change: Change) -> None:
    assert parsed(changed(change)).contract.id != parsed(facts()).contract.id


def test_no_two_changes_share_a_contract_id() -> None:
    ids = [parsed(changed(change)).contract.id for change in OTHER.values()]
    assert len(set(ids)) == len(OTHER)


def test_the_contract_id_is_golden() -> None:
    """Galleries on disk hold it: it must not move by a new Python, pydantic or json."""
    contract = parsed(facts()).contract
    assert contract.id == GOLDEN
    assert (contract.size, contract.d_max) == (128, 3.0)


# printf '["abab...",128,"l2",1.5,3.0,112,112,"RGB","five_point_112"]' | sha256sum
GOLDEN = PREFIX + "8952c1c2c3b7a5cc2785c3dd2db0659a102c1fcac076b572dc2feef40e23ac8b"


def test_the_contract_id_of_whole_images_is_golden() -> None:
    # printf '["abab...",128,"l2",1.5,3.0,64,64,"RGB","none","pad"]' | sha256sum
    assert parsed(changed(of_images)).contract.id == (
        PREFIX + "28e839985f34094ed13747e53f5bbb0efb6ba879c864937ab593a9ffdfa083dd"
    )


def test_contract_id_keeps_its_facts_apart() -> None:
    assert contract_id("ab", "c") != contract_id("a", "bc")
    assert contract_id("1") != contract_id(1)


@pytest.mark.parametrize("bad", [{"size": 0}, {"d_max": 0.0}, {"d_max": -2.0}, {"d_max": math.nan}])
def test_an_embedding_contract_without_a_space_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be positive|at least one"):
        EmbeddingContract(**{"id": "x", "size": 2, "d_max": 2.0, **bad})
