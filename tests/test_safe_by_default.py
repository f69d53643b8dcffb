"""What is not chosen is safe, and what looks for mistakes looks everywhere."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.settings import Settings
from bot.storage.embedded import embedded_server

ROOT = Path(__file__).parents[1]


SAFE: dict[str, Any] = {
    "self_approval": False,
    "approvals_required": 1,
    "slack_api_url": "https://slack.com/api/",
    "port": None,
    "redis_url": None,
    "log_level": "info",
    "http_body_limit": 1_000_000,
    "waves": (1,),
    "probes": 3,
    "evidence_max_age": timedelta(days=1),
    "watch": timedelta(hours=1),
    "approval_expiry": timedelta(days=3),
}
NEEDED = {"approvers", "aisix_cloud_api", "slack_bot_token", "aisix_admin_token"}
"""Settings that nobody guesses."""


def test_every_default_is_safe() -> None:
    fields = Settings.model_fields

    assert {name: fields[name].get_default() for name in SAFE} == SAFE
    assert {name for name, field in fields.items() if field.is_required()} == NEEDED
    assert [
        n for n, one in fields.items() if "SecretStr" in str(one.annotation) and one.default and n not in NEEDED
    ] == []
    assert max(fields[name].get_default() for name in fields if name.endswith("_timeout")) <= timedelta(minutes=2)


async def test_the_folder_of_the_embedded_server_is_its_users_alone(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_what_is_excused_by_hand_is_a_name_a_label_a_safe_loader_plain_xml_and_the_embedded_servers_survivor() -> None:
    command = f"{sys.executable} -m ruff check --ignore-noqa --select S --ignore S101 --output-format json bot handlers"
    found = subprocess.run(command.split(), cwd=ROOT, capture_output=True, check=False).stdout
    excused = {f"{Path(each['filename']).stem} {each['code']}" for each in json.loads(found)}

    names = {f"{file} S105" for file in ("modal", "actions", "nudges", "states", "commands", "declared")}
    assert excused == names | {"connect S106", "embedded S603", "embedded S607", "values S506", "aws_iam S314"}


SAID: dict[str, tuple[dict[str, Any] | None, int, int]] = {
    "all is well": ({"name": "a", "version": "1", "vulns": []}, 0, 0),
    "one is weak": ({"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}, 1, 1),
    "one is not known there": ({"name": "a", "skip_reason": "not found"}, 0, 1),
    "nobody answers": (None, 0, 1),
}
"""What the advisory service says, and the exit status of the audit without and with --strict."""


@pytest.mark.parametrize("said", SAID)
def test_the_audit_fails_on_a_weakness_and_if_strict_also_without_an_answer(said: str, tmp_path: Path) -> None:
    package, *statuses = SAID[said]
    answer = json.dumps({"dependencies": [package]}) if package else ""
    (tmp_path / "pip_audit.py").write_text(f"print({answer!r}, end='')", encoding="utf-8")
    environ = {"PYTHONPATH": str(tmp_path)}

    for strict, status in zip(([], ["--strict"]), statuses, strict=True):
        command = [sys.executable, str(ROOT / ".ci" / "audit"), *strict]
        run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert (run.returncode, "CVE-1" in run.stdout) == (status, said == "one is weak"), run
