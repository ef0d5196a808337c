"""Compose files, proxy and manifest are valid, fit together, and let nobody in."""

import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from benchmarks.dockerfile import read_dockerfile
from benchmarks.openapi import SNAPSHOT
from tests.wheel_programs import tool

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


def composed(*names: str) -> dict[str, Any]:
    """Compose files with their anchors in place, laid over one another as Docker does."""
    whole: dict[str, Any] = {}
    for name in names:
        lay_over(whole, yaml.safe_load((DOCKER / name).read_text(encoding="utf-8")))
    return whole


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            lay_over(below[key], value)
        else:
            below[key] = value


OURS = {"oneglance", "replica-1", "replica-2"}


@pytest.mark.parametrize(
    "names", [["compose.yaml"], ["compose.yaml", "compose.cuda.yaml"]], ids=lambda n: n[-1]
)
def test_compose_files_are_valid(names: list[str]) -> None:
    whole = composed(*names)
    parsed = PyCompose.from_yaml(yaml.safe_dump(whole))
    assert set(parsed.service_names()) == set(whole["services"])
    stages = read_dockerfile(DOCKER / "Dockerfile")
    for name in OURS:
        build = whole["services"][name]["build"]
        assert build["target"] == names[-1].split(".")[1].replace("yaml", "cpu")
        assert build["target"] in stages
        assert whole["services"][name]["image"] == f"oneglance:{build['target']}"
        assert (DOCKER / build["context"]).resolve() == ROOT


def test_the_check_of_compose_files_sees_a_wrong_word() -> None:
    whole = composed("compose.yaml")
    whole["services"]["proxy"]["read_onyl"] = True
    with pytest.raises(ValueError, match="read_onyl"):
        PyCompose.from_yaml(yaml.safe_dump(whole))


def test_each_profile_has_its_services_and_all_that_they_need() -> None:
    whole = composed("compose.yaml")
    services = whole["services"]
    by_profile: dict[str, set[str]] = {}
    for name, service in services.items():
        (profile,) = service["profiles"]
        by_profile.setdefault(profile, set()).add(name)
        for before in service.get("depends_on", ()):
            assert services[before]["profiles"] == service["profiles"]
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (DOCKER / source).exists() if source[0] == "." else source in whole["volumes"]
    assert by_profile == {
        "single": {"oneglance"},
        "scale": {"replica-1", "replica-2", "proxy", "postgres", "wal-owner"},
        "observe": {"prometheus", "grafana"},
    }
    assert set(whole["volumes"]) == {
        mount.split(":")[0]
        for service in services.values()
        for mount in service.get("volumes", ())
        if not mount.startswith(".")
    }


def test_nothing_is_published_to_a_network_and_nothing_may_do_more_than_it_must() -> None:
    for name, service in composed("compose.yaml")["services"].items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        assert not service.get("privileged")
        assert ":latest" not in service["image"]
        assert ":" in service["image"]
        if name not in ("postgres", "wal-owner"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
            assert service["security_opt"] == ["no-new-privileges:true"], name


def test_no_password_is_written_down() -> None:
    """Each comes from the environment, and is empty otherwise, which PostgreSQL's image refuses."""
    for name, service in composed("compose.yaml")["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", key) and value != "true":
                assert value in ("${PGPASSWORD:-}", "${ONEGLANCE_ADMIN_KEY:-}"), (name, key)
    grafana = composed("compose.yaml")["services"]["grafana"]["environment"]
    # Without an account there is no first password, which would be `admin`.
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


@pytest.fixture(scope="module")
def proxy() -> dict[str, Any]:
    """The Caddyfile as Caddy understands it, with the addresses of compose.yaml."""
    environment = composed("compose.yaml")["services"]["proxy"]["environment"]
    done = tool("caddy", "adapt", "--config", DOCKER / "Caddyfile", **environment)
    assert done.returncode == 0, done.stderr
    assert tool("caddy", "fmt", DOCKER / "Caddyfile").stdout == (DOCKER / "Caddyfile").read_text(
        encoding="utf-8"
    )
    adapted: dict[str, Any] = json.loads(done.stdout)
    return adapted


def handlers(part: Any) -> Iterator[dict[str, Any]]:
    """Every reverse_proxy of a configuration."""
    if isinstance(part, dict):
        if part.get("handler") == "reverse_proxy":
            yield part
        for inner in part.values():
            yield from handlers(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from handlers(inner)


def test_the_proxy_asks_the_replicas_that_there_are(proxy: dict[str, Any]) -> None:
    found = list(handlers(proxy))
    assert len(found) == 3
    replicas = {name for name in composed("compose.yaml")["services"] if "replica" in name}
    for handler in found:
        assert {u["dial"] for u in handler["upstreams"]} == {f"{name}:8000" for name in replicas}
        assert handler["health_checks"]["active"]["uri"] == "/readyz"
        assert handler["health_checks"]["passive"]["max_fails"] == 1


def test_what_one_replica_alone_knows_is_asked_of_one(proxy: dict[str, Any]) -> None:
    """Each operation that begins a job, the jobs, and what hangs on them."""
    (server,) = proxy["apps"]["http"]["servers"].values()
    (sticky,) = [
        route["match"][0]["path"]
        for route in server["routes"]
        if any("client_ip_hash" in json.dumps(handler) for handler in handlers(route))
    ]
    paths = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"]
    wanted = {
        path
        for path, operations in paths.items()
        for operation in operations.values()
        if "202" in operation["responses"] or path.startswith("/v1/jobs")
    }
    assert len(wanted) >= 5
    for path in wanted:
        asked = re.sub(r"\{\w+\}", "x", path)
        assert any(fnmatch.fnmatch(asked, pattern) for pattern in sticky), path


def test_only_what_changes_nothing_is_sent_again(proxy: dict[str, Any]) -> None:
    paths = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"]
    for handler in handlers(proxy):
        reading, asking = handler["load_balancing"]["retry_match"]
        assert reading == {"method": ["GET", "HEAD"]}
        assert asking["method"] == ["POST"]
        assert set(asking["path"]) - {"/identify"} <= set(paths)
        assert not any(word in path for path in asking["path"] for word in ("enroll", "merge"))


def manifests() -> list[dict[str, Any]]:
    text = (DOCKER / "kubernetes.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def test_the_manifest_for_kubernetes_is_valid() -> None:
    found = manifests()
    assert [one["kind"] for one in found] == ["Deployment", "Service", "PodDisruptionBudget"]
    for one in found:
        for version in ("1.30", "1.37"):
            kubernetes_validate.validate(one, version, strict=True)
    broken = manifests()[0]
    broken["spec"]["replcas"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.37", strict=True)


def test_pods_are_found_probed_and_restricted() -> None:
    deployment, service, budget = manifests()
    pod = deployment["spec"]["template"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= pod["metadata"]["labels"].items()
    assert deployment["spec"]["replicas"] == 2
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["spec"]["securityContext"]["runAsUser"] == 10001
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in
              ("startup", "readiness", "liveness")}  # fmt: skip
    assert probes == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
    for variable in container["env"]:
        if variable["name"] in (
            "ONEGLANCE_GALLERY",
            "ONEGLANCE_GALLERY_SECRET",
            "ONEGLANCE_ADMIN_KEY",
            "PGPASSWORD",
        ):
            assert "secretKeyRef" in variable["valueFrom"]
