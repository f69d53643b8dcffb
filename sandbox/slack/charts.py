"""What Slack accepts as a chart (`data_visualization`)."""

from collections.abc import Iterator

from sandbox.slack.checks import Check, Json, many, number, problem, shape, string, typed, unique

LABEL = string(20)
AXIS = string(50)


def _positive(value: Json, at: str) -> Iterator[str]:
    if value["value"] <= 0:
        yield problem(f"{at}/value", "must be more than 0")


def _as_the_axis_says(chart: Json, at: str) -> Iterator[str]:
    """Refuse a series that is named twice, or has not exactly one point for each category."""
    yield from unique("name", chart["series"], f"{at}/series")
    wanted = sorted(chart["axis_config"]["categories"])
    for index, series in enumerate(chart["series"]):
        if sorted(point["label"] for point in series["data"]) != wanted:
            yield problem(f"{at}/series/{index}/data", "must have one point for each of the categories")


POINT = shape({"label": LABEL, "value": number})
SERIES = shape({"name": LABEL, "data": many(POINT, 20)})
AXES = shape({"categories": many(LABEL, 20)}, {"x_label": AXIS, "y_label": AXIS})
PLOT = shape({"series": many(SERIES, 12), "axis_config": AXES}, {}, _as_the_axis_says)
PIE = shape({"segments": many(shape({"label": LABEL, "value": number}, {}, _positive), 12)})
CHART: Check = typed("chart", {"pie": PIE, "bar": PLOT, "area": PLOT, "line": PLOT})
