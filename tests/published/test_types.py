"""Every golden file is what Slack's published types of blocks and forms allow (`make types`, needs npm)."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.documents import ROOT
from tests.support.pictures import GOLDEN

HERE = ROOT / "tests/published"
WORK = ROOT / "var/types"
"""`make types` installs the package and the compiler here, as the lock in this folder pins them."""

COMPILE = "node node_modules/typescript/bin/tsc --noEmit --strict --pretty false --target es2022 --module nodenext"
COMPLAINT = re.compile(r"^([\w-]+)\.ts\(.*?error (TS.*)$", re.MULTILINE)
SENT = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(GOLDEN.glob("*.json"))}


def message(*blocks: object) -> dict[str, object]:
    return {"text": "Something", "blocks": [*blocks]}


def plain(text: str) -> dict[str, object]:
    return {"type": "plain_text", "text": text}


POINT = {"label": "14:02", "value": 3}
AXES = {"categories": ["14:02"]}
CHART = {"type": "line", "axis_config": AXES, "series": [{"name": "old key", "data": [POINT]}]}
GOOD = message({"type": "data_visualization", "title": "Requests", "chart": CHART})
WRONG: dict[str, Any] = {
    "an-unknown-block": message({"type": "hologram"}),
    "a-field-with-a-wrong-name": message({"type": "section", "text": plain("a"), "expanded": True}),
    "a-header-that-is-not-plain": message({"type": "header", "text": {"type": "mrkdwn", "text": "a"}}),
    "a-plan-whose-title-is-an-object": message({"type": "plan", "title": plain("Rotating"), "tasks": []}),
    "a-task-of-an-unknown-status": message(
        {"type": "plan", "title": "a", "tasks": [{"type": "task_card", "task_id": "1", "title": "a", "status": "done"}]}
    ),
    "a-table-without-a-caption": message({"type": "data_table", "rows": [[{"type": "raw_text", "text": "Model"}]]}),
    "an-alert-of-an-unknown-level": message({"type": "alert", "level": "panic", "text": plain("a")}),
    "a-chart-without-a-title": message({"type": "data_visualization", "chart": CHART}),
    "a-form-without-a-title": {"type": "modal", "blocks": []},
    "a-message-without-text": {"blocks": []},
    "a-thread-with-one-wrong-message": [message(), message({"type": "hologram"})],
    "an-option-without-a-value": {"text": plain("OpenAI production"), "value": None},
}
PUBLISHED = (
    'import type { Lacking } from "./declared.js";\n\nexport const kind: Lacking<"data_table"> = "data_table";\n'
)
"""A declaration of our own for a block that the package has by now."""


@pytest.fixture(scope="module")
def complaints() -> dict[str, str]:
    """What the compiler holds against each of all of them, by name."""
    for left in WORK.glob("*.ts"):
        left.unlink()
    shutil.copy(HERE / "declared.ts", WORK)
    for name, content in {**SENT, **WRONG, "good": GOOD}.items():
        (WORK / f"{name}.ts").write_text(constant(content), encoding="utf-8")
    (WORK / "published.ts").write_text(PUBLISHED, encoding="utf-8")
    return compiled()


def constant(content: object) -> str:
    kind = "Thread" if isinstance(content, list) else kind_of(content)
    value = json.dumps(content, indent=1, ensure_ascii=False)
    return f'import type {{ {kind} }} from "./declared.js";\n\nexport const sent: {kind} = {value};\n'


def kind_of(content: Any) -> str:
    if content.get("type") in ("modal", "home"):
        return "Form" if content["type"] == "modal" else "Home"
    return "Choice" if "value" in content else "Message"


def compiled() -> dict[str, str]:
    files = sorted(file.name for file in WORK.glob("*.ts"))
    told = subprocess.run([*COMPILE.split(), *files], cwd=WORK, check=False, capture_output=True, text=True)
    found = dict(COMPLAINT.findall(told.stdout))
    assert bool(found) == bool(told.returncode), told.stdout + told.stderr
    return found


def test_every_golden_file_is_what_slacks_published_types_allow(complaints: Mapping[str, str]):
    assert len(SENT) > 150
    assert {name: complaints[name] for name in SENT if name in complaints} == {}


def test_a_chart_which_the_package_lacks_is_held_to_what_slacks_page_says(complaints: Mapping[str, str]):
    assert "good" not in complaints


def test_what_is_wrong_is_found(complaints: Mapping[str, str]):
    assert set(WRONG) - set(complaints) == set()


def test_a_block_declared_here_that_the_package_has_by_now_is_found(complaints: Mapping[str, str]):
    assert "published" in complaints
    assert "declared" not in complaints
