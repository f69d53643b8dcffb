"""The guide names the metrics that are served, with their labels, and no other."""

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

from bot import metrics
from bot.gauges import Gauges
from bot.storage.figures import Shared
from tests.support.documents import read, rows

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ENDS = {"counter": "_total", "info": "_info"}
Names = dict[str, set[str]]


async def answer(given: Any, *_: Any) -> Any:
    return given


async def served() -> Names:
    """Return the labels of every metric of a scrape by its name."""
    own = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    names = {kind.name + ENDS.get(kind.type, ""): {*one._labelnames} for one in own for kind in one.describe()}  # noqa: SLF001
    answers = [partial(answer, given) for given in (Shared({}, {}, 0, 0, 0, 0), {"a key": NOW}, None)]
    async with Gauges(*answers, lambda: NOW) as gauges:
        await gauges.read()
        read_now = await gauges.read()
    page = [sample for family in (*metrics.REGISTRY.collect(), *read_now) for sample in family.samples]
    other = [one for one in page if not one.name.startswith(tuple(names)) and not one.name.endswith("_created")]
    for one in other:
        names.setdefault(one.name, set()).update(one.labels)
    return names | {"keyturn_build_info": {"version"}}


async def test_every_metric_is_in_the_guide_with_its_labels_and_no_other() -> None:
    guide = {
        name: set(re.findall(r"`(\w+)`", labels.partition("(")[0] if labels != "none" else ""))
        for names, labels, *_ in rows("docs/administer.md", "Metrics")
        for name in re.findall(r"`(\w+)`", names)
    }
    of_the_bot = {name: labels for name, labels in (await served()).items() if name.startswith("keyturn_")}

    assert guide == of_the_bot
    assert "`process_" in read("docs/administer.md")
