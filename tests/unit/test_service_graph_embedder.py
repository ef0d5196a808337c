"""embedder_runtime: what it gives, what it says, and what it refuses in words."""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.bundle import Bundle, load_bundle
from contract.errors import BundleError, OneGlanceError
from service import graph_embedder as module
from service.doctor.bundles import check_bundles
from service.embedder import Embedder, TorchScriptEmbedder
from service.embedder_choice import make_embedder
from service.graph_sessions import Embed
from service.parity import largest_shift, probe_crops
from service.settings import Settings
from tests.conftest import ApiMaker, BundleMaker, Face, Pixels, face_photo, texture

RUNTIMES = ("onnxruntime", "openvino")


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


def chosen(bundle: Bundle, **settings: Any) -> Embedder:
    return make_embedder(bundle, Settings(worker_threads=2, **settings))


@pytest.fixture
def crops() -> Pixels:
    return np.stack([texture(Face(seed)) for seed in range(11)])


@pytest.mark.usefixtures("no_settings")
def test_torchscript_unless_another_is_named(bundle: Bundle) -> None:
    embedder = chosen(bundle, device="cpu")
    assert isinstance(embedder, TorchScriptEmbedder)
    assert embedder.runtime == "torchscript"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_another_runtime_embeds_the_same_and_says_how_far_it_is_off(
    runtime: str, bundle: Bundle, crops: Pixels, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    embedder = chosen(bundle, embedder_runtime=runtime)
    assert (embedder.runtime, embedder.device, embedder.precision) == (runtime, "cpu", "float32")
    (said,) = (record.getMessage() for record in caplog.records if record.name == module.__name__)
    assert said.startswith(f"tiny@1.2.3 by {runtime}: similarities move by at most 0.0000")
    # More crops than are computed at once, a picture that numpy turns round, and none.
    expected = chosen(bundle, device="cpu", precision="float32")
    for asked in (crops, crops[:1], crops[:, :, ::-1], crops[:0]):
        found = embedder.embed(asked)
        assert str(found.dtype) == "float32"
        np.testing.assert_allclose(found, expected.embed(asked), atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("setting", "value", "advice"),
    [("device", "cuda", "cpu"), ("precision", "bfloat16", "float32")],
)
def test_what_it_cannot_do_is_refused(
    runtime: str, setting: str, value: str, advice: str, bundle: Bundle
) -> None:
    with pytest.raises(OneGlanceError, match=f"{runtime} computes .*take {setting} {advice}"):
        chosen(bundle, embedder_runtime=runtime, **{setting: value})


@pytest.mark.parametrize(
    ("asked", "warned"),
    [
        ({"embedder_runtime": "openvino"}, True),
        ({"embedder_runtime": "openvino", "device": "cpu"}, False),
        ({"embedder_runtime": "torchscript", "device": "cpu"}, False),
    ],
)
def test_a_device_that_lies_idle_is_warned_of_once(
    asked: dict[str, str],
    warned: bool,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert chosen(bundle, **asked).device == "cpu"
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(said) == warned
    assert all("embedder_runtime torchscript to use it, or device cpu" in line for line in said)


@pytest.mark.parametrize(
    ("runtime", "absent", "extra"),
    [
        ("onnxruntime", "onnxruntime", "onnx"),
        ("openvino", "openvino", "openvino"),
        ("openvino", "onnx", "openvino"),
    ],
)
def test_a_package_that_is_not_there_is_named_with_its_command(
    runtime: str, absent: str, extra: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith(("contract.graphs.", f"{absent}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(OneGlanceError, match=rf"needs the package {absent}.*oneglance\[{extra}\]"):
        chosen(bundle, embedder_runtime=runtime)


@pytest.mark.parametrize("off", [0.1, float("nan")])
def test_a_runtime_that_computes_something_else_is_not_served(
    off: float, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.open_session

    def spoilt(*args: Any, **options: Any) -> Embed:
        embed = real(*args, **options)
        return lambda crops: embed(crops) + np.float32(off)

    monkeypatch.setattr(module, "open_session", spoilt)
    with pytest.raises(
        BundleError, match=r"moves similarities of tiny@1.2.3 by up to .* torchscript"
    ):
        chosen(bundle, embedder_runtime="onnxruntime")


def test_a_shift_of_one_crop_among_many_is_seen(bundle: Bundle) -> None:
    exact = chosen(bundle, device="cpu", precision="float32").embed
    last = probe_crops(112, 112)[-1]

    def fast(crops: Pixels) -> Any:
        moved = np.array([np.array_equal(crop, last) for crop in crops])
        return exact(crops) + moved[:, None] * np.float32(0.02 / 8)  # 64 numbers: 0.02 in all.

    assert largest_shift(exact, exact, bundle.manifest) == pytest.approx(0, abs=1e-6)
    assert largest_shift(exact, fast, bundle.manifest) == pytest.approx(0.01, abs=1e-5)


def test_the_whole_service_runs_by_it(make_api: ApiMaker, make_bundle: BundleMaker) -> None:
    api = make_api(bundle_path=make_bundle(), embedder_runtime="openvino")
    assert api.get("/readyz").json()["embedder_runtime"] == "openvino"
    api.enroll(face_photo(1), name="Ada")
    assert api.who(face_photo(Face(1, noise=3))) == "Ada"
    assert api.who(face_photo(2)) is None


def test_the_doctor_says_which_runs_or_why_none_does(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        bundle_path=tiny_bundle,
        bundle_pins_path=tmp_path / "pins.json",
        embedder_runtime="onnxruntime",
    )
    _, (found,) = check_bundles(settings)
    assert found.level == "ok"
    assert "computes by onnxruntime on cpu in float32" in found.detail
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    _, (found,) = check_bundles(settings)
    assert found.level == "fail"
    assert "pip install 'oneglance[onnx]'" in found.detail
