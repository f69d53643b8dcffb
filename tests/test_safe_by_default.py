"""What is not chosen is safe, and what looks for mistakes looks everywhere."""

import json
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.settings import Settings
from bot.storage.embedded import embedded_server

ROOT = Path(__file__).parents[1]
RUFF = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
BANDIT_LEFT_OUT = {"S101"}
"""Ruff's S rules are bandit's checks; an assertion that states an invariant is no check of what comes from outside."""


def ruff(*args: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "ruff", *args, "--output-format", "json"]
    return list(json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout))


def default(name: str) -> Any:
    return Settings.model_fields[name].get_default()


UNSAFE = {
    "a requester approves alone": lambda: default("self_approval"),
    "nobody has to approve": lambda: default("approvals_required") < 1,
    "everybody approves": lambda: not Settings.model_fields["approvers"].is_required(),
    "Slack is spoken to in the clear": lambda: not default("slack_api_url").startswith("https://slack.com/"),
    "AISIX is guessed": lambda: not Settings.model_fields["aisix_cloud_api"].is_required(),
    "a token is made up": lambda: (
        not Settings.model_fields["slack_bot_token"].is_required()
        or not Settings.model_fields["aisix_admin_token"].is_required()
        or default("slack_app_token") or default("slack_signing_secret") or default("fingerprint_pepper")
    ),
    "a port is open that nobody asked for": lambda: default("port") is not None,
    "a store is shared that nobody named": lambda: default("redis_url") is not None,
    "the log says more than it has to": lambda: default("log_level") != "info",
    "a body may be of any size": lambda: default("http_body_limit") > 1_000_000,
    "every model moves at once": lambda: default("waves") == (),
    "one answer is enough": lambda: default("probes") < 2,
    "old evidence is good enough": lambda: default("evidence_max_age") > timedelta(days=1),
    "nobody looks after the delete": lambda: default("watch") < timedelta(minutes=10),
    "an approval waits for ever": lambda: default("approval_expiry") > timedelta(days=7),
    "a call waits for ever": lambda: any(
        default(name) > timedelta(minutes=1) for name in Settings.model_fields if name.endswith("_timeout")
        and name not in ("projection_timeout", "verify_timeout")
    ),
}  # fmt: skip


@pytest.mark.parametrize("danger", UNSAFE)
def test_by_default_it_is_not_so_that(danger: str) -> None:
    assert not UNSAFE[danger]()


async def test_the_folder_of_the_embedded_server_is_its_users_alone(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_bandits_checks_are_selected_as_ruffs_s_rules() -> None:
    assert RUFF["select"] == ["ALL"]
    assert {rule for rule in RUFF["ignore"] if rule.startswith("S") and rule[1:].isdigit()} == BANDIT_LEFT_OUT
    assert not [
        rule
        for folder, rules in RUFF["per-file-ignores"].items()
        for rule in rules
        if folder.startswith(("bot", "handlers")) and rule.startswith("S") and rule[1:].isdigit()
    ]


def test_bandits_checks_of_imports_which_ruff_has_as_a_preview_find_one_process() -> None:
    found = ruff("check", "--preview", "--select", "S4", "bot", "handlers")

    assert [(Path(each["filename"]).name, each["code"]) for each in found] == [("embedded.py", "S404")]


def test_what_is_excused_by_hand_is_a_name_a_label_and_the_embedded_servers_survivor() -> None:
    found = ruff("check", "--ignore-noqa", "--select", "S", "--ignore", "S101", "bot", "handlers")

    assert {(Path(each["filename"]).name, each["code"]) for each in found} == {
        ("connect.py", "S106"),
        ("embedded.py", "S603"),
        ("embedded.py", "S607"),
        ("modal.py", "S105"),
        ("actions.py", "S105"),
        ("states.py", "S105"),
    }


def test_the_check_audits_what_is_pinned_and_a_strict_audit_can_be_had() -> None:
    rules = dict(
        rule.split(":", 1) for rule in (ROOT / "Makefile").read_text(encoding="utf-8").split("\n\n") if ":" in rule
    )

    assert ".ci/audit\n" in rules["check"] + "\n"
    assert ".ci/audit --strict" in rules["audit"]


SAID: dict[str, tuple[dict[str, Any] | None, int, int]] = {
    "all is well": ({"name": "a", "version": "1", "vulns": []}, 0, 0),
    "one is weak": ({"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}, 1, 1),
    "one is not known there": ({"name": "a", "skip_reason": "not found"}, 0, 1),
    "nobody answers": (None, 0, 1),
}
"""What the advisory service says, and the exit status of the audit without and with --strict."""


@pytest.mark.parametrize("said", SAID)
def test_the_audit_fails_on_a_weakness_and_when_strict_also_on_silence(said: str, tmp_path: Path) -> None:
    package, *statuses = SAID[said]
    answer = json.dumps({"dependencies": [package]}) if package else ""
    (tmp_path / "pip_audit.py").write_text(f"print({answer!r}, end='')", encoding="utf-8")
    environ = {"PYTHONPATH": str(tmp_path)}

    for strict, status in zip(([], ["--strict"]), statuses, strict=True):
        command = [sys.executable, str(ROOT / ".ci" / "audit"), *strict]
        run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert (run.returncode, "CVE-1" in run.stdout) == (status, said == "one is weak"), run
