"""`keyturn status`, `show` and `resume`: what they print, what they change, and their exit codes."""

import asyncio
import json
import os
import pwd
import re
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner
from redis import Redis as Client
from redis.asyncio import Redis

from bot import __version__
from bot.cli import main
from bot.commands.rotations import SIZE
from bot.rotation.audit import Kind
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.record import Rotation
from bot.rotation.states import State, StepName
from bot.storage.namespace import Namespace
from bot.storage.records import Store
from bot.terminal import Level, keeping, tell
from tests.bot.values import EVENT, NAMESPACE, NOW, SOAKED, approval, later, plan_of, rotation, running, stopped
from tests.support.documents import rows

USER = pwd.getpwuid(os.getuid()).pw_name
REFUSED = Evidence(verdict=Verdict.REJECTED, reason="401 from the provider", at=NOW)
MOTIVE = {"why": "quarterly", "ticket": "OPS-4412"}
GIVEN = approval().but(reason="tried by hand")
STOPPED = stopped(done=SOAKED, approvals=(GIVEN,), findings={"m1": Finding(moved_at=NOW, latest=REFUSED)}, **MOTIVE)


class Desk(NamedTuple):
    """A terminal that knows where Redis is, and nothing else."""

    redis_url: str

    def type(self, line: str) -> Any:
        return CliRunner(env={"REDIS_URL": self.redis_url}).invoke(main, line.split())

    def in_store(self, work: Callable[[Store], Coroutine[Any, Any, Any]], namespace: Namespace = NAMESPACE) -> Any:
        async def working() -> Any:
            async with Redis.from_url(self.redis_url, decode_responses=True) as redis:
                return await work(Store(redis, namespace))

        return asyncio.run(working())

    def save(self, *records: Rotation, namespace: Namespace = NAMESPACE) -> None:
        async def work(store: Store) -> None:
            for record in records:
                await store.save(record, EVENT, at=NOW)

        self.in_store(work, namespace)

    def record(self) -> Rotation | None:
        return self.in_store(lambda store: store.load("rabc123"))

    def last_entry(self) -> dict[str, Any]:
        async def work(store: Store) -> list[str]:
            return [line async for line in store.trail()]

        return json.loads(self.in_store(work)[-1])


@pytest.fixture
def desk(redis_url: str) -> Desk:
    return Desk(redis_url)


def test_status_lists_a_page_of_what_is_under_way(desk):
    desk.save(*(rotation(id=f"r{n:03}", requested_at=later(n), plan=plan_of(f"pk_{n}")) for n in range(SIZE + 1)))

    first, second = desk.type("status"), desk.type("status --page 2")
    assert (first.exit_code, second.exit_code) == (0, 0)
    lines = first.stdout.splitlines()
    assert lines[0] == "21 rotations under way."
    assert lines[1] == (
        "r000  waiting for the new secret: OpenAI production, asked for by U_REQUESTER in C_OPS, 2026-11-23 14:02 UTC"
    )
    assert lines[-1] == "These are 1 to 20 of 21. The next: python -m bot status --page 2"
    assert second.stdout.splitlines()[1:] == [
        "r020  waiting for the new secret: OpenAI production, asked for by U_REQUESTER in C_OPS, 2026-11-23 14:02 UTC",
        "These are 21 to 21 of 21.",
    ]
    (told,) = json.loads(desk.type("status --json --page 2").stdout)["namespaces"]
    assert (told["namespace"], told["total"], told["first"], told["last"]) == (NAMESPACE.queue, 21, 21, 21)
    assert [each["id"] for each in told["rotations"]] == ["r020"]


def test_history_finds_what_is_over_too_by_its_filters_and_refuses_what_it_cannot_read(desk):
    old = rotation(State.CANCELLED, id="r2old11", plan=plan_of("pk_old"), requested_at=later(-86_400), ended_at=NOW)
    desk.save(old, rotation(id="r3new22", plan=plan_of("pk_new")))

    assert desk.type("history").stdout.startswith("2 rotations found.\nr3new22")
    assert desk.type("history --key pk_old --by U_REQUESTER").stdout.splitlines()[0] == "1 rotation found."
    assert desk.type("history --environment nowhere").stdout == "No rotation is like that.\n"
    [told] = json.loads(desk.type("history --json --until 2026-11-22").stdout)["namespaces"]
    assert ([each["id"] for each in told["rotations"]], told["total"]) == (["r2old11"], 1)
    assert told["rotations"][0]["ended_at"] == NOW.isoformat()
    wrong = desk.type("history --since yesterday")
    assert (wrong.exit_code, wrong.stderr) == (1, "`since:` and `until:` take a day, as 2026-11-01.\n")


def test_a_receipt_is_found_by_the_tag_of_the_new_key_too(desk):
    desk.save(rotation(State.COMPLETED, id="r7k2abc", deleted_at=NOW, ended_at=NOW))
    by_id, by_tag = desk.type("receipt r7k2abc"), desk.type("receipt r7k2abc-2")

    assert json.loads(by_id.stdout)
    assert (by_tag.exit_code, by_tag.stdout) == (0, by_id.stdout)


def test_status_of_several_bots_names_each_and_of_none_says_so(desk):
    assert desk.type("status").stdout == "Nothing is under way.\n"
    other = Namespace.of("T2", "https://cp.example.com/api")
    desk.save(rotation())
    desk.save(rotation(State.CANCELLED, id="r_over"), namespace=other)

    said = desk.type("status").stdout
    assert f"1 rotation under way in {NAMESPACE.queue}." in said
    assert f"Nothing is under way in {other.queue}." in said


def test_show_says_the_stop_and_what_helps_each_model_with_its_verdict_and_the_approvals(desk):
    desk.save(STOPPED)

    assert desk.type("show rabc123").stdout.splitlines() == [
        "rabc123  stopped (it stopped)",
        "  key       OpenAI production (pk_old) -> OpenAI production (rabc123) (pk_new)",
        "  asked     by U_REQUESTER in C_OPS, 2026-11-23 14:02 UTC",
        "  reason    quarterly · OPS-4412",
        "  steps     8 of 11 done, next: recheck (checking everything once more)",
        "  stop      It stopped. (2026-11-23 14:02 UTC)",
        "  helps     Try again: once that is fixed; on the card, or `python -m bot resume rabc123`",
        "  helps     Roll back: on the card",
        "  guide     docs/stops.md#it-stopped",
        "  approvals 1 of 1: U_APPROVER 2026-11-23 14:02 UTC, because tried by hand",
        "  models    1 of 1 on the new key",
        "            alias-m1 in prod: rejected: 401 from the provider",
    ]
    for listed in (desk.type("status"), desk.type("history")):
        assert "because quarterly · OPS-4412" in listed.stdout
    told = json.loads(desk.type("show rabc123 --json").stdout)
    assert (told["why"], told["ticket"]) == ("quarterly", "OPS-4412")
    assert (told["state"], told["step"]["name"], told["stop"]["headline"]) == ("BLOCKED", "recheck", "it stopped")
    assert [help_["action"] for help_ in told["stop"]["helps"]] == ["Try again", "Roll back"]
    assert [(model["alias"], model["verdict"]) for model in told["models"]] == [("alias-m1", "rejected")]
    assert [each["by"] for each in told["approvals"]] == ["U_APPROVER"]


@pytest.mark.parametrize(
    ("typed", "by"), [("", USER), ("--by alice", "alice"), ("--by U_APPROVER --json", "U_APPROVER")]
)
def test_resume_does_what_try_again_does_and_the_trail_says_who_did_it_at_the_command_line(desk, typed, by):
    desk.save(STOPPED)
    with Client.from_url(desk.redis_url) as redis:
        redis.config_resetstat()
        done = desk.type(f"resume rabc123 {typed}")
        assert "cmdstat_time" in redis.info("commandstats"), "its clock says when it was done"

    assert (done.exit_code, done.stderr) == (0, "")
    after = desk.record()
    assert after
    assert (after.state, after.stop, after.approvals) == (State.RUNNING, None, ())
    assert StepName.PROJECT not in after.done
    entry = desk.last_entry()
    assert (entry["kind"], entry["by"], entry["what"]) == (Kind.CHANGE, f"{by} at the command line", "tried again")
    if "--json" in typed:
        assert json.loads(done.stdout)["state"] == "RUNNING"
    else:
        assert f"The audit trail says that {by} did this" in done.stdout


@pytest.mark.parametrize(
    ("record", "name", "sentence"),
    [
        (running(), "alice", "“Try again” no longer applies: this rotation is running."),
        (rotation(), "alice", "“Try again” no longer applies: this rotation is waiting for the new secret."),
        (running(done=SOAKED).to(State.AWAITING_APPROVAL), "alice", "“Try again” no longer applies"),
        (STOPPED, "x" * 81, "The name should be one of 1 to 80 letters."),
        (STOPPED, "sk-proj-A1b2-C3d4-E5f6-G7h8", "This looks like a secret"),
        (STOPPED, "A1b2C3d4E5f6G7h8I9j0", "This looks like a secret"),
    ],
)
def test_resume_refuses_in_one_sentence_what_does_not_apply_and_changes_nothing(desk, record, name, sentence):
    desk.save(record)
    before = desk.record()

    done = desk.type(f"resume rabc123 --by {name}")

    assert (done.exit_code, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert desk.record() == before
    if name == "alice":
        entry = desk.last_entry()
        assert (entry["kind"], entry["by"]) == (Kind.REFUSAL, "alice at the command line")


@pytest.mark.parametrize("command", ["show", "resume"])
def test_a_rotation_that_is_not_there_is_one_sentence(desk, command):
    said, told = desk.type(f"{command} r_nope"), desk.type(f"{command} r_nope --json")
    sentence = "There is no rotation r_nope: `python -m bot status` lists those under way."

    assert (said.exit_code, said.stdout, said.stderr) == (1, "", f"{sentence}\n")
    assert (told.exit_code, told.stderr) == (1, "")
    assert json.loads(told.stdout) == {"ok": False, "findings": [{"level": "wrong", "about": "", "said": sentence}]}


ALL = "SLACK_BOT_TOKEN is missing"
STORE = "REDIS_URL is wrong"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        *((command, STORE) for command in ("status", "show r1", "resume r1", "audit verify")),
        *((command, ALL) for command in ("check", "doctor", "carry-over keyturn")),
    ],
)
def test_wrong_settings_are_json_too_and_only_a_start_says_that_it_cannot_start(tmp_path, command, sentence):
    environ = {"REDIS_URL": "redis://host/name", "SLACK_BOT_TOKEN": ""}
    said, told = (CliRunner(env=environ).invoke(main, [*command.split(), *more]) for more in ((), ("--json",)))

    assert (said.exit_code, said.stdout, told.exit_code, told.stderr) == (1, "", 1, "")
    assert sentence in said.stderr
    assert ("Keyturn cannot start." in said.stderr) is (command == "check")
    found = json.loads(told.stdout)
    assert found["ok"] is False
    assert {(each["level"], each["about"]) for each in found["findings"]} == {("wrong", "settings")}
    assert any(each["said"].startswith(sentence) for each in found["findings"])


def test_lines_are_told_in_json_with_their_level_what_they_are_about_and_what_belongs_to_them():
    with keeping() as found:
        tell(Level.HALF, "split over two keys.", "rabc", ["2 models on `a: b`."])
        tell(Level.LEFT, "AISIX refused: no (403).")

    assert [each.as_json() for each in found] == [
        {"level": "half", "about": "rabc", "said": "split over two keys.", "more": ["2 models on `a: b`."]},
        {"level": "left", "about": "", "said": "AISIX refused: no (403)."},
    ]


@pytest.mark.parametrize("well", [True, False])
def test_audit_verify_tells_it_in_json_with_the_same_exit_code(desk, well):
    desk.save(rotation())
    done = desk.type(f"audit verify --json{'' if well else ' --head 9f86d081884c7d659a2f'}")

    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"], told["findings"][0]["level"]) == (
        0 if well else 1,
        well,
        "ok" if well else "wrong",
    )
    assert told["findings"][0]["about"] == "audit trail"


GUIDE = rows("docs/administer.md", "Commands")
COMMANDS = [
    "",
    "web",
    "worker",
    "check",
    "status",
    "history",
    "show",
    "resume",
    "doctor",
    "carry-over",
    "audit verify",
    "receipt verify",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_in_whole_sentences(desk, command):
    short, long = desk.type(f"{command} -h"), desk.type(f"{command} --help")

    assert (short.exit_code, short.stdout) == (0, long.stdout)
    listed = [line for line in short.stdout.splitlines() if "..." in line]
    assert [line for line in listed if not line.startswith("Usage:")] == [], "nothing is cut off"
    said = " ".join(short.stdout.split())
    assert "Exit status" in said
    assert ("--json" in said) is (command not in ("", "web", "worker"))


def leaves(group: click.Group, before: str = "") -> set[str]:
    """The commands that do something, with the words that lead to them."""
    found = {before + name: command for name, command in group.commands.items()}
    return {
        word
        for name, command in found.items()
        for word in (leaves(command, f"{name} ") if isinstance(command, click.Group) else {name})
    }


def test_the_guide_has_every_command_with_its_exit_codes():
    listed = {words.strip() for name, *_ in GUIDE for words in re.findall(r"`keyturn((?: [a-z-]+)*)", name)}

    assert listed == {"", *(words.removesuffix(" print") for words in leaves(main))}
    assert all(status.startswith("0") for _, _, status in GUIDE)


def test_the_version_is_told(desk):
    assert desk.type("--version").stdout.split() == ["keyturn", __version__]
