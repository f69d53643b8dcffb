"""The settings: every mistake ends in one sentence that names it, and no secret is ever printed."""

import json
import os
import re
import resource
from datetime import time, timedelta

import pytest

from bot.aisix.probes import GatewaySettings
from bot.check import Level
from bot.check.example import unfilled
from bot.check.machine import SURROUNDINGS
from bot.limits import limits_of, rules_of
from bot.rotation.hours import Quiet
from bot.settings import Settings, WrongSettings, read_settings
from bot.settings.providers import ProviderSettings
from tests.support.documents import read as read_document

BOT, APP, SIGNING = "xoxb-CANARY-bot", "xapp-CANARY-app", "CANARYsigning"
ADMIN, CALLER = "at-CANARY-admin", "ck-CANARY-caller"
GATEWAYS = {"env-1": {"url": "https://gw.example", "caller_key": CALLER}}

GOOD = {
    "SLACK_BOT_TOKEN": BOT,
    "SLACK_APP_TOKEN": APP,
    "SLACK_SIGNING_SECRET": SIGNING,
    "AISIX_CLOUD_API": "https://cp.example/api",
    "AISIX_ADMIN_TOKEN": ADMIN,
    "AISIX_GATEWAYS": json.dumps(GATEWAYS),
    "APPROVERS": "U123,S456",
}


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch):
    for name in [*os.environ]:
        if name.lower() in {*Settings.model_fields, "ssl_cert_file"}:
            monkeypatch.delenv(name)


@pytest.fixture
def read():
    def read_with(**changes: str | None) -> Settings:
        return read_settings(None, {name: value for name, value in (GOOD | changes).items() if value is not None})

    return read_with


def sentence(read, **changes: str | None) -> str:
    with pytest.raises(WrongSettings) as wrong:
        read(**changes)
    assert "CANARY" not in f"{wrong.value} {wrong.value!r} {wrong.value.__cause__!r}"
    return str(wrong.value)


def test_the_settings_of_the_contract_are_enough(read):
    settings = read(AISIX_GATEWAYS=None)

    assert (settings.approvers, settings.requesters, settings.aisix_gateways) == ({"U123", "S456"}, None, {})
    assert (settings.approvals_required, settings.self_approval, settings.http_mode) == (1, False, False)
    assert not read(PORT="3000").http_mode, "Socket Mode wins"


SWITCHED = {"step_up", "secret_on_a_page"}
RENAMED = {"concurrency": "control_plane_concurrency", "projection": "projection_timeout", "verify": "verify_timeout"}


@pytest.mark.parametrize("switch", ["true", "false"])
def test_every_rule_and_limit_is_what_its_own_setting_says(read, switch):
    settings = read(REQUESTERS="U9", SELF_APPROVAL=switch, REQUIRE_PROOF=switch, ENVIRONMENT_ORDER="a,b")
    numbers = {name: n for n, (name, value) in enumerate(settings, 2) if type(value) is int}
    lengths = {name: timedelta(seconds=n) for n, (name, value) in enumerate(settings) if isinstance(value, timedelta)}
    settings = settings.model_copy(update=numbers | lengths)

    for made in (vars(rules_of(settings)), vars(limits_of(settings))):
        off = {name: False for name in SWITCHED if name in made}
        assert made == off | {name: getattr(settings, RENAMED.get(name, name)) for name in made.keys() - SWITCHED}
    rules = rules_of(read(**SIGN_IN, SECRET_FORM="Web"))
    assert all(getattr(rules, name) for name in SWITCHED)


def test_what_is_written_as_people_write_it_is_read(read):
    one = {**GATEWAYS["env-1"], "status_urls": ["http://r:9090"], "probes": {"emb": "embeddings"}}
    given = {"AISIX_GATEWAYS": json.dumps({"env-1": one}), "APPROVERS": " W9 , S_TEAM,", "SLACK_APP_TOKEN": None}
    settings = read(**given, PORT="0", FINGERPRINT_PEPPER="", LOG_LEVEL="Warning", SLACK_API_URL="http://a/api")
    durations = {"0": 0, "0.5": 0.5, "90s": 90, "1h30m": 5400, "1h 30m": 5400, "2D": 172_800, "PT1M30S": 90}

    assert (settings.log_level, settings.slack_api_url) == ("warning", "http://a/api/")
    assert (settings.approvers, settings.fingerprint_pepper, settings.http_mode) == ({"W9", "S_TEAM"}, None, True)
    gateway = settings.aisix_gateways["env-1"]
    assert (gateway.status_urls, gateway.probes) == (("http://r:9090",), {"emb": "embeddings"})
    assert gateway.caller_key.get_secret_value() == CALLER
    assert {value: read(SOAK=value).soak.total_seconds() for value in durations} == durations


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("QUIET_HOURS", "22:00-07:00", Quiet(time(22), time(7))),
        ("QUIET_HOURS", "12:30 - 13:00", Quiet(time(12, 30), time(13))),
        ("QUIET_HOURS", "none", None),
        ("WORKING_DAYS", "mon-fri", frozenset(range(5))),
        ("WORKING_DAYS", "Sat-Mon", frozenset({5, 6, 0})),
        ("WORKING_DAYS", "mon, wednesday", frozenset({0, 2})),
        ("WORKING_DAYS", "none", frozenset(range(7))),
        ("TIME_ZONE", "Europe/Berlin", {"": "Europe/Berlin"}),
        ("TIME_ZONE", "C1=America/Lima, Europe/Berlin", {"C1": "America/Lima", "": "Europe/Berlin"}),
    ],
)
def test_when_people_may_be_reminded_is_read_as_people_write_it(read, name, value, kept):
    assert getattr(read(**{name: value}), name.lower()) == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("QUIET_HOURS", value)
            for value in ("22:00", "22:00-22:00", "25:00-07:00", "night", "22-7", "22:00Z-07:00Z")
        ),
        *(("WORKING_DAYS", value) for value in ("weekdays", ",", "mon-")),
        *(("TIME_ZONE", value) for value in ("Berlin", "C1=", "C1=UTC,C1=UTC", "/etc/passwd", "../UTC")),
    ],
)
def test_hours_days_and_zones_that_nobody_can_mean_are_refused(read, name, value):
    assert sentence(read, **{name: value}).startswith(f"{name} is wrong")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("DOCS_URL", "https://git.example/keyturn/blob/main/docs", "https://git.example/keyturn/blob/main/docs/"),
        ("DOCS_URL", "http://localhost:8000/", "http://localhost:8000/"),
        ("DOCS_URL", "", None),
        *(("AISIX_DASHBOARD", url, url) for url in ("https://aisix.example", "http://127.0.0.1:8080/#/keys/{key}?x=1")),
    ],
)
def test_a_page_that_people_open_is_an_address_with_tls_or_on_this_machine(read, name, value, kept):
    assert getattr(read(**{name: value}), name.lower()) == kept


BROWSE = "https://tracker.example.com/browse/{ticket}"


def test_a_ticket_has_a_pattern_and_perhaps_an_address_behind_an_arrow(read):
    assert read().ticket_pattern is None
    linked = read(TICKET_PATTERN=rf"OPS-\d+ => {BROWSE}").ticket_pattern
    plain = read(TICKET_PATTERN=r"(?:OPS|NET)-\d+").ticket_pattern

    assert (linked.pattern, linked.template) == (r"OPS-\d+", BROWSE)
    assert (plain.pattern, plain.template) == (r"(?:OPS|NET)-\d+", "")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("OPS-(", "the pattern is no regular expression"),
        ("a" * 201, "the pattern should have 1 to 200 letters"),
        (f"=> {BROWSE}", "the pattern should have 1 to 200 letters"),
        (r"(\w+)+", "the pattern should repeat no group"),
        *(
            (f"OPS => {template}", "what follows => should be an address with {ticket} behind the host")
            for template in (
                "",
                "https://tracker.example.com/",
                "http://tracker.example.com/{ticket}",
                "http://localhost/{ticket}",
                "https://{ticket}.example.com/",
                "https://me:x@tracker.example.com/{ticket}",
                "https://tracker.example.com/{key}/{ticket}",
                f"{BROWSE}{'x' * 200}",
            )
        ),
    ],
)
def test_a_pattern_of_tickets_that_is_wrong_is_told_in_a_sentence(read, value, why):
    said = sentence(read, TICKET_PATTERN=value)

    assert said.startswith(f"TICKET_PATTERN is wrong: {why}")
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "AISIX_CLOUD_API", "AISIX_ADMIN_TOKEN", "APPROVERS"])
@pytest.mark.parametrize("how", [None, ""])
def test_a_setting_that_is_missing_or_empty_is_named(read, name, how):
    said = sentence(read, **{name: how})

    assert said.startswith(f"{name} is missing: it should be ")


SIGN_IN = {
    "APPROVAL_LINK": "https://keyturn.example.com",
    "OIDC_ISSUER": "https://login.example.com",
    "OIDC_CLIENT_ID": "keyturn",
    "OIDC_CLIENT_SECRET": "given-by-the-provider",
    "PORT": "3000",
}


@pytest.mark.parametrize("missing", [name for name in SIGN_IN if name != "APPROVAL_LINK"])
def test_a_sign_in_that_could_not_work_is_refused(read, missing):
    assert sentence(read, **SIGN_IN | {missing: None}).startswith(f"APPROVAL_LINK needs {missing}: ")


def test_a_page_for_secrets_that_nobody_could_open_is_refused(read):
    assert sentence(read, SECRET_FORM="web").startswith("SECRET_FORM=web needs APPROVAL_LINK, ")


@pytest.mark.parametrize("name", [name for name in SIGN_IN if name.startswith("OIDC")])
def test_a_sign_in_that_nobody_would_be_asked_for_is_refused(read, name):
    said = f"{name} has no effect without APPROVAL_LINK: set that too, or leave this out."
    assert sentence(read, **{name: SIGN_IN[name]}) == said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APPROVAL_LINK", "http://keyturn.example.com"),
        ("APPROVAL_LINK", "https://keyturn.example.com/?to=x"),
        ("OIDC_ISSUER", "http://login.example.com"),
        ("OIDC_CLIENT_SECRET", "two words"),
    ],
)
def test_a_sign_in_over_no_tls_or_at_no_address_is_refused(read, name, value):
    assert sentence(read, **SIGN_IN | {name: value}).startswith(f"{name} is wrong: ")


def every_secret() -> dict[str, str]:
    """A canary in every setting that is secret or may hold a password, and in nothing else."""
    hidden = {
        "url": "https://gw.example",
        "caller_key": CALLER,
        "status_urls": ["http://ops:CANARY-status@replica:9090/?token=CANARY-token"],
    }
    return {
        "REDIS_URL": "rediss://keyturn:CANARY-redis@redis.example:6379/0",
        "FINGERPRINT_PEPPER": "CANARY-pepper-16",
        **SIGN_IN | {"OIDC_CLIENT_SECRET": "CANARY-client-secret"},
        "AISIX_GATEWAYS": json.dumps({"env-1": hidden}),
        "PROVIDERS": json.dumps({"main": {"kind": "openai", "admin_key": "sk-admin-CANARY", "project": "proj_1"}}),
    }


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"kind": "groq"},
            "PROVIDERS is wrong (at main.kind): it should be openai, anthropic, openrouter, xai or aws-iam.",
        ),
        ({"admin_key": "CANARY key"}, "at main.admin_key it should be an admin key of that provider"),
        ({"project": ""}, "at main.project it should be the id of a project at OpenAI"),
        ({"kind": "anthropic"}, "at main.project leave it out: an account of kind anthropic has no project"),
        ({"workspace": "w"}, "at main.workspace leave it out: an account of kind openai has no workspace"),
        ({"url": "http://proxy.example/v1"}, "at main.url it should be another address"),
        ({"url": "https://CANARY@proxy.example/v1"}, "at main.url it should be another address"),
        ({"kind": "aws-iam"}, "at main.admin_key leave it out: an account of kind aws-iam has no admin_key"),
        ({"kind": "aws-iam"}, "at main.user it should be the name of an IAM user at AWS"),
        ({"kind": "aws-iam", "user": "a/b"}, "(at main.user): it should be the name of an IAM user at AWS"),
        ({"admin_key": None}, "at main.admin_key it should be an admin key of that provider"),
        ({"user": "u"}, "at main.user leave it out: an account of kind openai has no user"),
        ({"projects": "p"}, "PROVIDERS has no field projects (at main): did you mean project?"),
    ],
)
def test_what_an_account_at_a_provider_lacks_is_told(read, entry, said):
    good = {"kind": "openai", "admin_key": "sk-admin-CANARY", "project": "proj_1"}

    assert said in sentence(read, PROVIDERS=json.dumps({"main": good | entry}))


NEVER_NONE = (
    "LEASE", "CONTROL_PLANE_TIMEOUT", "PROBE_TIMEOUT", "SLACK_TIMEOUT", "REDIS_TIMEOUT", "SECRET_EXPIRY",
)  # fmt: skip
NO_ADDRESS = (
    "gw.example",
    "",
    "https://",
    "http://gw:99999",
    "http://g w",
    "http://xn--",
    "http://gw/?a",
    "http://gw/#/",
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "CANARY"),
        ("SLACK_EDITS_PER_MINUTE", "1"),
        ("AISIX_CLOUD_API", "cp.example/api"),
        ("AISIX_GATEWAYS", '{"env-7": {"url": "https://gw"}}'),
        ("AISIX_GATEWAYS", '{"env": {"url": "https://gw", "caller_key": "ck-CANARY", "probes": ["x"]}}'),
        *(("DOCS_URL", value) for value in ("docs/", "http://docs.example", "https://me:CANARY@docs.example")),
        *(("DOCS_URL", f"https://docs.example/{rest}") for rest in ("?a", "#a", "{key}", "<x>")),
        *(("AISIX_DASHBOARD", value) for value in ("aisix", "http://aisix.example/{key}", "https://CANARY@aisix/{key}")),
        *(("AISIX_DASHBOARD", f"https://aisix.example/{rest}") for rest in ("{id}", "a b", "|x", "<x>")),
        ("PROBES", "0"),
        ("FINGERPRINT_PEPPER", "CANARY-15-chars"),
        ("APPROVERS", "alice"),
        ("APPROVERS", "U123, <@U456>"),
        ("APPROVALS_REQUIRED", "0"),
        ("SELF_APPROVAL", "maybe"),
        ("SWEEP_INTERVAL", "31"),
        ("HTTP_BODY_LIMIT", "10"),
        ("LOG_LEVEL", "loud"),
        *(("SOAK", value) for value in ("soon", "-1", "-PT1S", "1e20", "inf", "nan", "1m1h", "99999999999d")),
        *((name, "0") for name in NEVER_NONE),
        ("AISIX_ADMIN_TOKEN", "at-…"),
        ("AISIX_ADMIN_TOKEN", "CANARY\nb"),
        ("REDIS_URL", "CANARY:6379"),
        ("REDIS_URL", "redis://:CANARY@host:port"),
        ("REDIS_URL", "redis://CANARY#1@host"),
        *((name, "https://me:CANARY@example.com/api") for name in ("SLACK_API_URL", "AISIX_CLOUD_API")),
        ("AISIX_GATEWAYS", '{"env": {"url": "https://u:CANARY@gw", "caller_key": "ck-CANARY"}}'),
        ("AISIX_GATEWAYS", '{"e": {"url": "https://g", "caller_key": "c", "status_urls": ["x:CANARY@y"]}}'),
        *(("AISIX_GATEWAYS", json.dumps({"env": {"url": url, "caller_key": "ck"}})) for url in NO_ADDRESS),
    ],
)  # fmt: skip
def test_a_setting_that_is_wrong_is_named_with_its_place_and_what_it_should_be_and_no_secret(read, name, value):
    said = sentence(read, **every_secret() | {name: value})

    assert said.startswith(f"{name} is wrong")
    assert ("env-7.caller_key" in said) is ("env-7" in value)
    assert "it should be " in said
    assert said.endswith(".")
    assert "\n" not in said


def test_each_gateway_that_is_wrong_is_named_with_its_field(read):
    wrong = {"a": {"url": "x", "caller_key": "CANARY CANARY"}, "b": {**GATEWAYS["env-1"], "status_urls": ["http://"]}}

    assert sentence(read, AISIX_GATEWAYS=json.dumps(wrong)) == (
        "AISIX_GATEWAYS is wrong: at a.url it should be the address of a gateway, https://host, without a user; "
        "at a.caller_key it should be a key of ASCII letters without blanks; "
        "at b.status_urls it should be addresses, http://host:port."
    )


@pytest.mark.parametrize(("signing", "port"), [(SIGNING, None), (None, "3000"), ("", "3000"), (SIGNING, "")])
def test_socket_mode_or_http_mode_is_required(read, signing, port):
    said = sentence(read, SLACK_APP_TOKEN=None, SLACK_SIGNING_SECRET=signing, PORT=port)

    assert said.startswith("SLACK_APP_TOKEN is missing")
    assert "SLACK_SIGNING_SECRET and PORT" in said


def test_no_secret_is_printed(read):
    settings = read(**every_secret())
    gateway = settings.aisix_gateways["env-1"]

    assert "CANARY" in settings.redis_url.get_secret_value()
    assert "CANARY" in gateway.status_urls[0]
    for one in (settings, gateway):
        for printed in (repr(one), str(one), f"{one!r:>10}", f"{one.model_dump()}", one.model_dump_json()):
            assert "CANARY" not in printed


def test_every_setting_that_is_secret_by_its_name_is_hidden_by_pydantic_and_one_of_the_secrets(read):
    settings = read(**every_secret())
    named = re.compile(r"token|secret(?!_expiry|_sources|_form)|pepper|redis_url|password|caller_key|admin_key")
    fields = {**Settings.model_fields, **GatewaySettings.model_fields, **ProviderSettings.model_fields}
    hidden = {name for name, field in fields.items() if "SecretStr" in str(field.annotation)}

    assert {name for name in fields if named.search(name)} == hidden
    assert {*settings.secrets} == {
        *(getattr(settings, name) for name in hidden - {"caller_key", "admin_key"}),
        settings.aisix_gateways["env-1"].caller_key,
        settings.providers["main"].admin_key,
    }


def test_settings_are_read_from_a_file_and_the_environment_wins(monkeypatch, tmp_path):
    lines = [f"{name}='{value}'" for name, value in GOOD.items()]
    (tmp_path / ".env").write_text("\n".join([*lines, "PROBES=5", "LOG_LEVEL=error"]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROBES", "7")
    settings = read_settings()

    assert (settings.probes, settings.log_level) == (7, "error")
    assert settings.aisix_gateways["env-1"].caller_key.get_secret_value() == CALLER


async def test_a_value_left_from_the_example_is_wrong_without_a_network():
    lines = [line.partition("=") for line in read_document(".env.example").splitlines() if not line.startswith("#")]
    environ = {name: value for name, _, value in lines}
    found = await unfilled(read_settings(None, environ)).findings()
    keyless = json.dumps({"env-1": {"url": "https://gw.example", "caller_key": "fill-in"}})
    (left,) = await unfilled(read_settings(None, GOOD | {"AISIX_GATEWAYS": keyless})).findings()

    assert {each.level for each in found} == {Level.WRONG}
    assert [each.said.partition(" ")[0] for each in found] == list(environ)
    assert left.said.startswith("AISIX_GATEWAYS still has the caller_key of .env.example (at env-1): ")
    assert await unfilled(read_settings(None, GOOD)).findings() == []


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False), (0o600, False), (None, False)])
async def test_a_file_of_secrets_that_everybody_may_read_is_doubtful(monkeypatch, tmp_path, mode, warned):
    monkeypatch.chdir(tmp_path)
    if mode is not None:
        (tmp_path / ".env").touch(mode)
        (tmp_path / ".env").chmod(mode)
    found = [each.said for each in await SURROUNDINGS.findings() if ".env" in each.said]

    assert found == ["every user of this machine may read .env, which holds secrets: chmod 600 .env."] * warned


@pytest.mark.parametrize(("files", "warned"), [(511, True), (512, False), (resource.RLIM_INFINITY, False)])
async def test_a_process_that_may_open_few_files_is_doubtful(monkeypatch, files, warned):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    found = [each.said for each in await SURROUNDINGS.findings() if "ulimit" in each.said]

    assert found == ["the process may open 511 files at a time (ulimit -n): let it open 512 or more."] * warned


def test_a_start_without_any_setting_fails_with_one_sentence(tmp_path):
    (empty := tmp_path / ".env").touch()
    missing = tmp_path / "none"
    for file, why in ((missing, f"there is no {missing} here"), (empty, f"{empty} sets nothing")):
        with pytest.raises(WrongSettings) as wrong:
            read_settings(file, {"PATH": "/bin"})
        assert len(wrong.value.sentences) == 1
        assert str(wrong.value).startswith(f"Nothing is set: {why}, and the environment has no setting of Keyturn. ")
