"""Settings: from the environment, from the command line, and which of them wins."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service import cli
from service.settings import SHIPPED_BUNDLE, Settings


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Options that `oneglance serve` would have started with."""
    seen: list[dict[str, Any]] = []

    def serve(given: dict[str, Any]) -> int:
        seen.append(given)
        return 0

    monkeypatch.setattr(cli, "_serve", serve)
    return seen


@pytest.mark.usefixtures("no_settings")
def test_defaults_serve_the_shipped_bundle_to_this_machine_alone() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.bundle_path == SHIPPED_BUNDLE
    assert SHIPPED_BUNDLE.parts[-3:] == ("service", "bundles", "oneglance-faces")
    assert settings.max_image_bytes <= settings.max_body_bytes
    assert settings.worker_threads >= 1


def test_every_setting_is_an_environment_variable(no_settings: pytest.MonkeyPatch) -> None:
    values = {
        "host": "::1",
        "port": "0",
        "log_format": "json",
        "bundle_path": "/b",
        "further_bundle_paths": "/c,/d",
        "bundle_pins_path": "/p.json",
        "gallery": "postgresql://localhost/g",
        "protect_templates": "False",
        "gallery_secret_file": "/s",
        "gallery_secret": "22",
        "row_key_file": "/r",
        "row_key": "33",
        "collection": "staff",
        "search_tier": "flat",
        "subject_score": "mean",
        "target_fpir": "0.02",
        "expiry_sweep_s": "9",
        "device": "cpu",
        "precision": "float32",
        "embedder_runtime": "openvino",
        "detector": "mtcnn",
        "yunet_model_path": "/y.onnx",
        "detector_min_face_px": "33",
        "detector_max_side_px": "512",
        "quality": "strict",
        "quality_min_face_px": "34",
        "quality_min_sharpness": "0.1",
        "quality_min_brightness": "0.2",
        "quality_max_yaw_deg": "31.0",
        "quality_max_pitch_deg": "32.0",
        "quality_max_roll_deg": "33.0",
        "quality_max_covered": "0.3",
        "quality_min_detection_score": "0.4",
        "quality_look_again_ms": "0",
        "max_image_bytes": "11",
        "max_image_pixels": "12",
        "max_body_bytes": "13",
        "max_images_per_request": "14",
        "max_images_per_batch": "23",
        "worker_threads": "3",
        "max_batch_faces": "31",
        "max_queued_requests": "0",
        "max_queued_requests_in_overload": "32",
        "request_deadline_s": "33.0",
        "shutdown_grace_s": "34.0",
        "idempotency_keep_s": "21",
        "max_idempotency_keys": "22",
        "max_queued_jobs": "4",
        "max_remembered_jobs": "5",
        "import_path": "/i",
        "max_import_bytes": "24",
        "max_import_photos": "25",
        "import_report_keep_hours": "28",
        "export_path": "/e",
        "export_keep_hours": "26",
        "max_health_report_templates": "8",
        "max_strangers_per_calibration": "6",
        "max_feedback_per_collection": "27",
        "calibration_renewal_check_s": "7",
        "admin_key": "k",
        "admin_key_file": "/k",
        "allow_no_keys": "True",
        "key_refresh_s": "29",
        "max_requests_per_minute_per_key": "30",
        "compreface_collections": "k=staff",
        "compreface_store_image": "crop",
    }
    assert values.keys() == Settings.model_fields.keys()
    for name, value in values.items():
        no_settings.setenv(f"ONEGLANCE_{name.upper()}", value)
    no_settings.setenv("ONEGLANCE_DATA_ROOT", "/elsewhere")  # Not ours: not looked at.
    settings = Settings()
    assert {name: str(getattr(settings, name)) for name in values} == values
    assert isinstance(settings.bundle_path, Path)


def test_every_setting_is_an_option_that_goes_before_the_environment(
    no_settings: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    options = dict.fromkeys(Settings.model_fields, "7")
    words = [w for n, v in options.items() for w in ("--" + n.replace("_", "-"), v)]
    assert cli.main(["serve", *words]) == 0
    assert {name: str(value) for name, value in started[0].items()} == options
    no_settings.setenv("ONEGLANCE_PORT", "1")
    no_settings.setenv("ONEGLANCE_HOST", "0.0.0.0")
    assert cli.main(["serve", "--port", "7"]) == 0
    settings = Settings(**started[1])
    assert (settings.port, settings.host) == (7, "0.0.0.0")


@pytest.mark.usefixtures("no_settings")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65536),
        ("port", -1),
        ("device", "tpu"),
        ("precision", "float16"),
        ("embedder_runtime", "tensorrt"),
        ("gallery", ""),
        ("collection", "../etc"),
        ("search_tier", "fast"),
        ("subject_score", "worst"),
        ("expiry_sweep_s", 0),
        ("detector_min_face_px", 11),
        ("quality", "best"),
        ("quality_min_sharpness", 1.1),
        ("quality_max_yaw_deg", 91),
        ("max_image_bytes", 0),
        ("worker_threads", 0),
        ("max_batch_faces", 0),
        ("max_queued_requests", -1),
        ("max_queued_requests_in_overload", -1),
        ("request_deadline_s", 0),
        ("shutdown_grace_s", -1),
        ("key_refresh_s", 0),
        ("max_requests_per_minute_per_key", -1),
    ],
)
def test_a_setting_out_of_range_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**{name: value})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


@pytest.mark.usefixtures("no_settings")
def test_how_many_wait_follows_the_workers_unless_it_is_said() -> None:
    settings = Settings(worker_threads=4)
    assert (settings.queued_requests, settings.queued_requests_in_overload) == (64, 2)
    settings = Settings(worker_threads=4, max_queued_requests=0, max_queued_requests_in_overload=0)
    assert (settings.queued_requests, settings.queued_requests_in_overload) == (0, 0)


def test_settings_do_not_change_once_made() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_help_describes_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", "--help"])
    assert ended.value.code == 0
    shown = re.sub(r"\s+", " ", capsys.readouterr().out)
    for name, field in Settings.model_fields.items():
        assert "--" + name.replace("_", "-") in shown
        assert field.description
        assert field.description in shown


@pytest.mark.parametrize("words", [[], ["dance"], ["serve", "--nowhere", "1"], ["serve", "--port"]])
def test_a_command_that_is_none_ends_with_its_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: oneglance" in capsys.readouterr().err
