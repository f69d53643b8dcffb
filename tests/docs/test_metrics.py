"""The guide, the alert rules and the dashboard name the metrics that are served, with their labels, and no other."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from bot.gauges import Gauges
from bot.storage.figures import Shared
from bot.telemetry import metrics
from tests.support.documents import ROOT, anchors, read, rows

NOW = datetime(2026, 11, 30, tzinfo=UTC)
RULES, DASHBOARD = "deploy/prometheus/keyturn.rules.yml", "deploy/grafana/keyturn.json"
ENDS = {"counter": "_total", "info": "_info"}
OF_PROMETHEUS = {"up": set[str]()}
ADDED = {"job", "instance", "le"}
"""Labels that the scrape adds, and that of a histogram's buckets."""

PROMTOOL = shutil.which("promtool")
Names = dict[str, set[str]]


async def answer(given: Any, *_: Any) -> Any:
    return given


async def scraped() -> list[Any]:
    """Return every sample of a scrape at which all is known."""
    answers = [partial(answer, given) for given in (Shared({}, {}, 0, 0, 0, 0), {"a key": NOW}, None)]
    async with Gauges(*answers, lambda: NOW) as gauges:
        await gauges.read()
        families = [*metrics.REGISTRY.collect(), *await gauges.read()]
    return [one for family in families for one in family.samples if not one.name.endswith("_created")]


def labels_of(samples: list[Any]) -> Names:
    """Return the labels of every metric by its name; a labelled one may not have been counted yet."""
    own = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    names = {kind.name + ENDS.get(kind.type, ""): {*one._labelnames} for one in own for kind in one.describe()}  # noqa: SLF001
    for one in samples:
        if not one.name.startswith(tuple(names)):
            names[one.name] = {*one.labels}
    return names | {"keyturn_build_info": {"version"}}


@pytest.fixture
async def samples() -> list[Any]:
    return await scraped()


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(read(RULES))["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(read(DASHBOARD))["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, list[str]]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return {"the rules": [rule["expr"] for rule in rules()], "the dashboard": shown}


GROUPED = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
MATCHED = re.compile(r"(\w+)\s*\{([^}]*)\}")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
NAME = re.compile(r"(?<![\w$])([a-zA-Z_]\w*)\b(?!\s*\()")
WORDS = {"and", "or", "unless", "bool", "offset"}


def named(expr: str) -> tuple[set[str], set[str], list[tuple[str, str, str]]]:
    """Return the metrics that an expression reads, the labels that it groups by, and what it matches of each metric."""
    matched = [(whole(name), *one) for name, inner in MATCHED.findall(expr) for one in LABEL.findall(inner)]
    grouped = {label.strip() for inner in GROUPED.findall(expr) for label in inner.split(",")}
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", GROUPED.sub("", expr))
    return {whole(name) for name in NAME.findall(bare)} - WORDS, grouped, matched


def whole(name: str) -> str:
    """Return the name of the histogram that a series is of."""
    return re.sub("_(bucket|sum|count)$", "", name)


@pytest.mark.parametrize("where", ["the rules", "the dashboard"])
async def test_every_metric_that_a_panel_or_alert_reads_is_served(samples: list[Any], where: str) -> None:
    served = labels_of(samples) | OF_PROMETHEUS
    for expr in expressions()[where]:
        names, grouped, matched = named(expr)

        assert names, expr
        assert names <= served.keys()
        assert grouped <= ADDED.union(*(served[name] for name in names)), expr
        assert [one for one in matched if one[1] not in served[one[0]] | ADDED] == []


async def test_every_label_value_that_a_panel_or_alert_matches_is_served(samples: list[Any]) -> None:
    """Where a scrape shows every value of a label from the start."""
    values: dict[tuple[str, str], set[str]] = {}
    for one in samples:
        for label, value in one.labels.items():
            values.setdefault((one.name, label), set()).add(value)
    matched = [one for exprs in expressions().values() for expr in exprs for one in named(expr)[2]]
    asked = {(name, label, value) for name, label, text in matched for value in text.split("|")}
    known = {(name, label, value) for name, label, value in asked if label in ("state", "kind", "moved", "age")}

    assert len(known) > 5
    assert {(name, label, value) for name, label, value in known if value not in values[name, label]} == set()


async def test_the_dashboard_shows_every_metric_of_the_bot(samples: list[Any]) -> None:
    shown = {name for expr in expressions()["the dashboard"] for name in named(expr)[0]}

    assert {name for name in labels_of(samples) if name.startswith("keyturn_")} <= shown


def test_panels_lie_beside_each_other_and_read_one_source() -> None:
    cells = [
        (x, y)
        for panel in json.loads(read(DASHBOARD))["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_happens_and_where_the_guide_tells_more(rule: dict[str, Any]) -> None:
    page, _, place = rule["annotations"]["runbook"].partition("#")

    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".") or "python -m bot" in rule["annotations"]["description"]
    assert not place or place in anchors(page)


def alerts() -> Iterator[tuple[str, str]]:
    for name, severity, *_ in rows("docs/administer.md", "Alerts and a dashboard"):
        yield name.strip("`"), severity


def test_every_alert_is_in_the_guide_with_its_severity_and_no_other() -> None:
    assert dict(alerts()) == {rule["alert"]: rule["labels"]["severity"] for rule in rules()}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_prometheus_reads_the_rules_and_each_fires_when_it_should() -> None:
    folder = ROOT / "deploy/prometheus"
    subprocess.run([str(PROMTOOL), "check", "rules", "keyturn.rules.yml"], cwd=folder, check=True)
    subprocess.run([str(PROMTOOL), "test", "rules", "keyturn.rules.test.yml"], cwd=folder, check=True)


def test_every_alert_is_tried_by_the_test_of_the_rules() -> None:
    tried = set(re.findall(r'alertname="(\w+)"', read("deploy/prometheus/keyturn.rules.test.yml")))

    assert tried == {rule["alert"] for rule in rules()}


async def test_every_metric_is_in_the_guide_with_its_labels_and_no_other(samples: list[Any]) -> None:
    guide = {
        name: set(re.findall(r"`(\w+)`", labels.partition("(")[0] if labels != "none" else ""))
        for names, labels, *_ in rows("docs/administer.md", "Metrics")
        for name in re.findall(r"`(\w+)`", names)
    }

    assert guide == {name: labels for name, labels in labels_of(samples).items() if name.startswith("keyturn_")}
    assert "`process_" in read("docs/administer.md")
