"""The image: its Dockerfile and scripts are clean, and say what docs/operations.md promises."""

import os
import re
import subprocess
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dockerfile import allowed, needed, read_dockerfile
from benchmarks.server import free_port
from tests.wheel_programs import tool

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SCRIPTS = sorted(DOCKER.rglob("*.sh"))
TARGETS = ("cpu", "cuda")


def test_hadolint_has_nothing_to_say() -> None:
    done = tool("hadolint", DOCKER / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_has_nothing_to_say() -> None:
    assert len(SCRIPTS) >= 4
    done = tool("shellcheck", *SCRIPTS)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_step_of_the_image_is_a_script_that_can_be_run_elsewhere() -> None:
    stages = read_dockerfile(DOCKER / "Dockerfile")
    run = {step.words[0] for s in stages.values() for step in s.steps if step.name == "RUN"}
    assert run == {"docker/install.sh", "/usr/local/lib/oneglance/account.sh"}
    assert all(os.access(script, os.X_OK) for script in SCRIPTS)


def test_the_image_is_pinned_and_runs_as_nobody_special() -> None:
    stages = read_dockerfile(DOCKER / "Dockerfile")
    images = {stage.base for stage in stages.values()} - set(stages)
    assert images == {"python:3.11-slim-bookworm"}
    for target in TARGETS:
        steps = [step for stage in needed(stages, target) for step in stage.steps]
        (user,) = [step.text for step in steps if step.name == "USER"]
        assert user == "10001:10001"
        # Of what the compiler may have been in, only the environment is taken.
        copied = [step.words for step in stages[target].steps if step.name == "COPY"]
        assert copied == [[f"--from=install-{target}", "/opt/oneglance", "/opt/oneglance"]]
        assert "install" not in stages[target].base
    account = (DOCKER / "account.sh").read_text(encoding="utf-8")
    assert "--uid 10001" in account
    assert "--gid 10001" in account


@pytest.mark.parametrize(
    ("more", "expected"), [("", set()), ("openvino,training", {"openvino", "training"})]
)
@pytest.mark.parametrize("target", TARGETS)
def test_further_extras_are_installed_where_they_are_asked_for(
    target: str, more: str, expected: set[str]
) -> None:
    stage = read_dockerfile(DOCKER / "Dockerfile")[f"install-{target}"]
    assert "MORE_EXTRAS" in [step.text for step in stage.steps if step.name == "ARG"]
    (run,) = [step.text for step in stage.steps if step.name == "RUN"]
    # As the build's shell reads the line, without what it would do.
    words = run.replace("docker/install.sh", "printf '%s\\n'", 1)
    done = subprocess.run(
        ["sh", "-c", words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MORE_EXTRAS": more},
    )
    venv, package = done.stdout.splitlines()
    named = re.fullmatch(r"\.\[(.*)\]", package)
    assert venv == "/opt/oneglance"
    assert named
    with (ROOT / "pyproject.toml").open("rb") as file:
        known = set(tomllib.load(file)["project"]["optional-dependencies"])
    always = {"service", "postgres", "yunet", "encryption", "otel"}
    assert set(named[1].split(",")) == always | expected
    assert set(named[1].split(",")) <= known


def test_what_the_image_is_made_of_is_let_into_the_build() -> None:
    let_in = allowed(ROOT / ".dockerignore")
    for stage in read_dockerfile(DOCKER / "Dockerfile").values():
        for step in stage.steps:
            if step.name == "COPY" and not step.text.startswith("--from"):
                assert set(step.words[:-1]) <= let_in
    assert all((ROOT / path).exists() for path in let_in)
    assert not let_in & {"data", "runs", "tests", ".git", ".venv"}


def test_a_step_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM x AS a\nADD y z\n")
    with pytest.raises(ValueError, match="ADD"):
        read_dockerfile(file)


@pytest.mark.parametrize("local", ["2.14.1+cpu", "2.14.1"])
def test_an_index_of_builds_for_cpus_goes_before_ours(local: str, tmp_path: Path) -> None:
    """What the argument PIP_EXTRA_INDEX_URL rests on: pip under our pins, without a network."""
    pinned = re.search(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    local = local.replace("2.14.1", pinned[1])
    for version in {pinned[1], local}:
        name = f"torch-{version}"
        with zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as wheel:
            info = f"{name}.dist-info"
            about = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
            wheel.writestr(f"{info}/METADATA", about)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    done = tool(
        "python", "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-index",
        "--find-links", tmp_path, "--constraint", ROOT / "constraints.txt", "torch",
    )  # fmt: skip
    assert f"Would install torch-{local}\n" in done.stdout, done.stderr


class Answering(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    """Answers /readyz with Answering.status."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def healthy(port: int) -> int:
    """As the HEALTHCHECK asks, in an environment that names a proxy."""
    return tool(
        "python", DOCKER / "healthy.py", ONEGLANCE_PORT=str(port), http_proxy="http://127.0.0.1:1"
    ).returncode


def test_the_health_check_asks_for_readiness(
    service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert healthy(service.server_port) == 0
    monkeypatch.setattr(Answering, "status", 503)
    assert healthy(service.server_port) == 1
    assert healthy(free_port()) == 1
