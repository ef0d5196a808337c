"""Dashboards and alerts ask for metrics that there are, by labels that they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Api, face_photo

DOCKER = Path(__file__).parents[2] / "docker"
DASHBOARDS = sorted((DOCKER / "grafana" / "dashboards").glob("*.json"))
# What Prometheus adds to each series, and what it says of each address that it asks.
OF_PROMETHEUS = {"job", "instance"}
ALWAYS_THERE = {"up"}
# Only of a collection that was calibrated on itself.
NOT_SHOWN_HERE = {"oneglance_calibration_age_seconds": {"collection"}}


def dashboard() -> dict[str, Any]:
    (path,) = DASHBOARDS
    shown: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return shown


def questions() -> Iterator[str]:
    """Every expression of a panel or an alert."""
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            # Grafana puts a duration there.
            yield target["expr"].replace("$__rate_interval", "1m")
    rules = yaml.safe_load((DOCKER / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    for group in rules["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def asked(question: str) -> tuple[dict[str, set[str]], set[str]]:
    """Labels that are asked of each metric, and those that are summed by."""
    metrics: dict[str, set[str]] = {}
    summed: set[str] = set()

    def visit(part: Any) -> None:
        if isinstance(part, promql_parser.MatrixSelector):
            part = part.vector_selector
        if isinstance(part, promql_parser.VectorSelector):
            labels = {matcher.name for matcher in part.matchers.matchers}
            metrics.setdefault(part.name, set()).update(labels)
        elif isinstance(part, promql_parser.AggregateExpr) and part.modifier:
            summed.update(part.modifier.labels)

    promql_parser.walk(promql_parser.parse(question), pre_visit=visit)
    return metrics, summed


@pytest.fixture
def told(api: Api) -> dict[str, set[str]]:
    """Labels by the name of each sample that the service tells after some work."""
    api.enroll(face_photo(1), name="Ada")
    api.identify(face_photo(1, 2))
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(api.get("/metrics").text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def test_every_question_is_about_metrics_that_there_are(told: dict[str, set[str]]) -> None:
    known = {**told, **NOT_SHOWN_HERE, **{name: set[str]() for name in ALWAYS_THERE}}
    count = 0
    for question in questions():
        count += 1
        metrics, summed = asked(question)
        assert metrics, question
        assert set(metrics) <= set(known), question
        for name, labels in metrics.items():
            assert labels <= known[name] | OF_PROMETHEUS, question
            assert summed <= known[name] | OF_PROMETHEUS, question
    assert count > 20


def test_a_wrong_question_is_seen() -> None:
    metrics, summed = asked('sum by (a) (rate(x_total{b="1"}[1m])) / y + 2')
    assert metrics == {"x_total": {"b"}, "y": set()}
    assert summed == {"a"}
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum(rate(x[1m])")


def test_every_metric_of_ours_is_shown(told: dict[str, set[str]]) -> None:
    """Whoever adds one puts it on the dashboard, or says here why not."""
    shown = {name for question in questions() for name in asked(question)[0]}
    families = {re.sub("_(total|bucket|sum|count|created)$", "", name) for name in shown}
    left_out = {"oneglance_bundle_info", "oneglance_gallery_revision"}
    ours = {
        re.sub("_(total|bucket|sum|count|created)$", "", name)
        for name in told
        if name.startswith("oneglance_")
    }
    assert ours - families == left_out


def test_panels_lie_beside_each_other_and_legends_name_labels() -> None:
    panels = dashboard()["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        for target in panel["targets"]:
            summed = asked(target["expr"].replace("$__rate_interval", "1m"))[1] or {"instance"}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= summed
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_dashboard_asks_the_prometheus_that_there_is() -> None:
    provided = DOCKER / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    (source,) = yaml.safe_load(provided.read_text(encoding="utf-8"))["datasources"]
    uids = {panel["datasource"]["uid"] for panel in dashboard()["panels"]}
    assert uids == {source["uid"]}
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert source["url"] == "http://prometheus:9090"
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "oneglance"
    (found_by,) = job["dns_sd_configs"]
    assert set(found_by["names"]) == {name for name in services if "build" in services[name]}
    (rules,) = config["rule_files"]
    assert (DOCKER / "prometheus" / Path(rules).name).is_file()
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert [path.name for path in DASHBOARDS] == [Path(home).name]
