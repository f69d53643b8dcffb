"""What the check says of the control plane, the gateways and the status addresses; each line says what to do."""

import json
from email.utils import format_datetime
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest
from structlog.testing import capture_logs

from bot import start
from bot.app import utc_now
from bot.check import Finding, Level, Product, strangers
from bot.check.findings import clock
from bot.settings import read_settings
from bot.start import control_plane_of, gateways_of, status_of
from tests.support.in_memory import CONTROL_PLANE, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

SETTINGS = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "APPROVERS": "U1",
    "AISIX_CLOUD_API": CONTROL_PLANE,
}


def gateways(tenancy: Tenancy, **changes: Any) -> str:
    """Return the setting, with *changes* to the gateway of staging."""
    known = json.loads(json.dumps(tenancy.scene.wire.settings()))
    known[tenancy.aisix.environment("staging").id] |= {"replicas": 1} | changes
    known[tenancy.aisix.environment("production").id] |= {"replicas": 2}
    return json.dumps(known)


async def checked(tenancy: Tenancy, **given: str) -> list[Finding]:
    environ = SETTINGS | {"AISIX_ADMIN_TOKEN": tenancy.aisix.admin_token, "AISIX_GATEWAYS": gateways(tenancy)} | given
    settings = read_settings(None, environ)
    async with (
        control_plane_of(settings) as control_plane,
        gateways_of(settings, utc_now) as their_gateways,
        status_of(settings, utc_now) as status,
    ):
        product = Product(settings, control_plane, their_gateways, status)
        return [finding for each in product.tries() for finding in await each.findings()]


def told(findings: list[Finding], level: Level) -> list[str]:
    return [f"{each.about}: {each.said}" for each in findings if each.level is level]


async def test_where_all_is_well_each_environment_is_named_with_its_id_and_each_replica():
    async with tenancy_of() as tenancy:
        findings = await checked(tenancy)
        production, staging = (tenancy.aisix.environment(name).id for name in ("production", "staging"))
        addresses = [url.split("/")[2] for url in tenancy.scene.wire.settings()[production]["status_urls"]]

    lines = [str(each) for each in findings]
    assert [each for each in findings if each.level is not Level.OK] == []
    assert f"ok     environment production: id {production}, 1 model, a gateway in AISIX_GATEWAYS." in lines
    assert f"ok     environment staging: id {staging}, 1 model, a gateway in AISIX_GATEWAYS." in lines
    assert f"ok     replicas of production: 2 replicas: {', '.join(addresses)}." in lines
    assert all(call.method == "GET" for call in tenancy.aisix.calls), "a check changes nothing"


ENTRY = '{"url": "https://…", "caller_key": "…"}'


@pytest.mark.parametrize(("proof", "level"), [("true", Level.WRONG), ("false", Level.WARN)])
async def test_an_environment_with_models_and_no_gateway_is_told_with_what_to_paste(proof, level):
    async with tenancy_of() as tenancy:
        known, staging = json.loads(gateways(tenancy)), tenancy.aisix.environment("staging").id
        del known[staging]
        findings = await checked(tenancy, AISIX_GATEWAYS=json.dumps(known), REQUIRE_PROOF=proof)

    (line,) = told(findings, level)
    assert line.startswith("environment staging: it has 1 model and no gateway, so nothing can test them. ")
    assert line.endswith(f'Add to AISIX_GATEWAYS: "{staging}": {ENTRY}')


@pytest.mark.parametrize(("proof", "level"), [("true", Level.WRONG), ("false", Level.WARN)])
@pytest.mark.parametrize(
    ("changes", "said"),
    [({"status_urls": []}, "no status_urls"), ({"replicas": 2}, "1 status address for 2 replicas: list one for each.")],
)
async def test_replicas_that_cannot_be_seen_are_told(proof, level, changes, said):
    async with tenancy_of() as tenancy:
        findings = await checked(tenancy, AISIX_GATEWAYS=gateways(tenancy, **changes), REQUIRE_PROOF=proof)

    (line,) = told(findings, level)
    assert line.startswith("replicas of staging: ")
    assert said in line


def away(tenancy: Tenancy) -> dict[str, str]:
    return {"AISIX_GATEWAYS": gateways(tenancy, url="http://nobody.invalid")}


def misnamed(tenancy: Tenancy) -> dict[str, str]:
    known = json.loads(gateways(tenancy))
    return {"AISIX_GATEWAYS": json.dumps({"production": known[tenancy.aisix.environment("production").id]})}


def other_order(_: Tenancy) -> dict[str, str]:
    return {"ENVIRONMENT_ORDER": "staging,prodution"}


WRONG = {
    "a refused token": (lambda _: {"AISIX_ADMIN_TOKEN": "at-wrong"}, "AISIX_ADMIN_TOKEN does not work."),
    "a refused caller key": (
        lambda t: {"AISIX_GATEWAYS": gateways(t, caller_key="ck-wrong")},
        "gateway of staging: the caller_key in AISIX_GATEWAYS is refused (401): make a caller key for Keyturn.",
    ),
    "a name for an id": (misnamed, "production is a name: write its id, "),
    "an order of strangers": (
        other_order,
        "ENVIRONMENT_ORDER names prodution, and AISIX Cloud has no such environment: did you mean production?",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_named(case):
    change, said = WRONG[case]
    async with tenancy_of() as tenancy:
        lines = told(await checked(tenancy, **change(tenancy)), Level.WRONG)

    assert [said in line for line in lines] == [True]


UNTOLD = "it does not say its version"
OLD = "before 0.5.0 a gateway may use a token of the old secret for an hour."


@pytest.mark.parametrize(
    ("server", "said"), [("AISIX/0.4.2", OLD), ("AISIX/0.3.0", OLD), ("", UNTOLD), ("nginx", UNTOLD)]
)
async def test_a_gateway_that_is_old_or_says_no_version_is_told(monkeypatch, server, said):
    async with tenancy_of() as tenancy:
        headed(monkeypatch, tenancy, "Server", server)
        warned = told(await checked(tenancy), Level.WARN)

    assert [said in line for line in warned] == [True] * 3


async def test_a_web_page_that_answers_everything_is_taken_for_no_gateway_and_no_replica(monkeypatch):
    async with tenancy_of() as tenancy:
        carry = tenancy.carry

        async def carried(request: httpx.Request) -> httpx.Response:
            is_aisix = str(request.url).startswith(CONTROL_PLANE)
            return await carry(request) if is_aisix else httpx.Response(200, html="<html>Welcome</html>")

        monkeypatch.setattr(tenancy, "carry", carried)
        findings = await checked(tenancy)

    unlike = "another page than a gateway's"
    assert [each.said for each in findings if each.about == "gateway of staging"] == [
        "GET /v1/models lists no models: is the url in AISIX_GATEWAYS that of a gateway?"
    ]
    assert [unlike in line for line in told(findings, Level.WRONG)].count(True) == 8
    assert [each.about for each in findings if each.level is Level.OK and "environment " not in each.about] == [
        "AISIX Cloud"
    ]


@pytest.mark.parametrize(("listed", "lines"), [("swapped", 3), ("shared", 2)])
async def test_a_status_address_of_another_environment_is_told(listed, lines):
    async with tenancy_of() as tenancy:
        known = json.loads(gateways(tenancy))
        one, other = (known[tenancy.aisix.environment(name).id] for name in ("production", "staging"))
        theirs = {"swapped": one["status_urls"], "shared": other["status_urls"]}[listed]
        one["status_urls"], other["status_urls"] = other["status_urls"], theirs
        one["replicas"] = other["replicas"] = 1
        found = told(await checked(tenancy, AISIX_GATEWAYS=json.dumps(known)), Level.WRONG)

    said = {"swapped": "shows none of this environment's models", "shared": "more than one environment in the settings"}
    assert sum(line.startswith("replicas of ") for line in found) == lines
    assert said[listed] in " ".join(found)


async def test_a_gateway_that_lists_none_of_the_environments_models_is_told():
    async with tenancy_of() as tenancy:
        tenancy.aisix.add_model("dev", "only-in-dev", key=tenancy.old)
        known = json.loads(gateways(tenancy))
        dev, staging = (known[tenancy.aisix.environment(name).id] for name in ("dev", "staging"))
        dev |= {"url": staging["url"], "caller_key": staging["caller_key"]}
        warned = told(await checked(tenancy, AISIX_GATEWAYS=json.dumps(known)), Level.WARN)

    assert [line.partition(":")[0] for line in warned if "lists none of this environment's models" in line] == [
        "gateway of dev"
    ]


@pytest.mark.parametrize(
    ("probes", "level", "said"),
    [
        (
            {"chat-large": "chat other"},
            Level.WRONG,
            "sends the test requests for `chat-large` to another model, `other`",
        ),
        ({"chat-larg": "chat"}, Level.WARN, "no such model: did you mean `chat-large`?"),
        ({"any/mini": "chat", "chat-large": "chat", "any/*": "any/large"}, Level.OK, "the caller key works"),
    ],
)
async def test_an_entry_of_probes_that_tests_another_model_or_none_is_told(probes, level, said):
    async with tenancy_of() as tenancy:
        spare = tenancy.aisix.add_key("Other key", secret="sk-other-0123456789abc")
        for alias in ("other", "any/*"):
            tenancy.aisix.add_model("staging", alias, key=spare)
        findings = await checked(tenancy, AISIX_GATEWAYS=gateways(tenancy, probes=probes))

    about = [each for each in findings if each.about == "gateway of staging"]
    assert [said in each.said for each in about if each.level is level] == [True]
    assert {each.level for each in about} == {level, Level.OK}


def headed(monkeypatch, tenancy: Tenancy, name: str, value: str) -> None:
    """Have every answer carry a header."""
    carry = tenancy.carry

    async def carried(request: httpx.Request) -> httpx.Response:
        answer = await carry(request)
        answer.headers[name] = value
        return answer

    monkeypatch.setattr(tenancy, "carry", carried)


async def test_clocks_that_differ_are_told(monkeypatch):
    async with tenancy_of() as tenancy:
        headed(monkeypatch, tenancy, "Date", format_datetime(utc_now().replace(year=utc_now().year + 1)))
        warned = told(await checked(tenancy), Level.WARN)

    assert [line.partition(":")[0] for line in warned] == [
        "AISIX Cloud",
        "gateway of production",
        "gateway of staging",
        "gateway of dev",
    ]
    assert all("s ahead of this machine's: let both follow a time server (NTP)." in line for line in warned)


@pytest.mark.parametrize(
    ("ahead", "said"), [(None, []), (4.9, []), (-4.9, []), (6, ["6 s ahead of"]), (-70, ["70 s behind"])]
)
def test_a_clock_may_differ_by_five_seconds(ahead, said):
    assert [part in finding.said for finding, part in zip(clock(ahead), said, strict=True)] == [True] * len(said)


async def test_an_order_may_name_environments_by_name_or_id():
    async with tenancy_of() as tenancy:
        machine = await tenancy.machine()
        inventory = await machine.world.control_plane.inventory()

    assert strangers(["staging", inventory.environments[0].id], inventory) == []
    assert strangers(["nowhere"], inventory) == [
        "ENVIRONMENT_ORDER names nowhere, and AISIX Cloud has no such environment: it has production, staging, dev."
    ]


async def test_a_check_beside_the_start_that_breaks_off_is_logged(monkeypatch):
    monkeypatch.setattr(start, "checked", AsyncMock(side_effect=KeyError("sk-CANARY")))
    with capture_logs() as logged:
        await start.log_findings(read_settings(None, SETTINGS | {"AISIX_ADMIN_TOKEN": "at-1"}))

    assert logged == [{"event": "check_unfinished", "log_level": "warning", "kind": "KeyError"}]
