"""Which policies touch a rotation, and that the strictest of them holds."""

import json
from datetime import timedelta

import pytest

from bot.commands import shown
from bot.rotation.people import People
from bot.rotation.policies import ASKS_NOTHING, STRICTER, NamedPolicy, Policy, asked_of, strictest
from bot.rotation.windows import Windows, read_opening
from bot.settings import WrongSettings, read_settings
from tests.bot.conftest import Slack
from tests.bot.values import NOW, affected, approval, rotation, rules, running

MON, TUE = (Windows(openings=(read_opening(f"{day} 09:00-17:00", "UTC"),)) for day in ("mon", "tue"))
LAX = Policy(names=("lax",), approvers=(("U1", "U2"),), approvals=1, soak=timedelta(minutes=5), move=(MON,))
STRICT = Policy(
    names=("strict",), approvers=(("U2", "U3"),), approvals=2, start=True, soak=timedelta(minutes=9),
    require_proof=True, require_reason=True, move=(TUE,), delete=(MON,),
)  # fmt: skip


def test_of_several_policies_the_strictest_holds_in_every_respect():
    both = strictest((LAX, STRICT))

    assert both == STRICT.but(names=("lax", "strict"), approvers=(("U1", "U2"), ("U2", "U3")), move=(MON, TUE))
    assert strictest((STRICT, LAX)).but(names=(), approvers=(), move=()) == both.but(names=(), approvers=(), move=())
    assert strictest((both, LAX, STRICT)) == both, "asked twice, it asks for no more"
    assert strictest(()) == ASKS_NOTHING


def test_every_field_of_a_policy_says_which_of_two_values_is_stricter():
    assert STRICTER.keys() == set(Policy.model_fields)


@pytest.mark.parametrize(
    ("match", "touches"),
    [
        ({}, True),
        ({"environments": ("prod",)}, True),
        ({"environments": ("production",)}, True),
        ({"environments": ("staging",)}, False),
        ({"keys": ("pk_old",)}, True),
        ({"keys": ("OpenAI*",)}, True),
        ({"keys": ("openai*",)}, False),
        ({"keys": ("OpenAI production",)}, True),
        ({"keys": ("OpenAI*",), "environments": ("staging",)}, False),
        ({"keys": ("Other",), "environments": ("prod",)}, False),
    ],
)
def test_a_policy_touches_a_rotation_by_environment_and_key(match, touches):
    assert NamedPolicy(**match, asks=STRICT).touches(rotation().plan) is touches


def test_a_policy_touches_the_environment_of_a_passthrough_route_too():
    plan = rotation().plan.but(tenant={"stag": "staging"}, route_environments=("stag",))

    assert asked_of(plan, [NamedPolicy(environments=("staging",), asks=STRICT)]) == STRICT


# --- a rotation under way ---


def people(*policies: NamedPolicy, **given) -> People:
    return People(Slack(), rules(**{"approvers": frozenset({"U_APPROVER", "U_OTHER"}), "policies": policies} | given))


def test_what_a_rotation_began_under_stays_and_today_only_adds_to_it():
    began = running(policy=LAX)
    today = people(NamedPolicy(asks=STRICT))

    assert today.strict(began).policy == strictest((LAX, STRICT))
    assert today.strict(began).approvals_required == 2
    assert people().strict(began).policy == LAX, "a policy that is gone still holds"


def test_a_plan_that_grows_comes_under_the_policies_of_its_new_environments():
    staging = NamedPolicy(environments=("staging",), asks=STRICT)
    grown = running().but(plan=rotation().plan.but(models=(affected(), affected("m2", "stag")),
                                                   environments={"prod": "production", "stag": "staging"}))  # fmt: skip

    assert people(staging).governed(running()).policy == ASKS_NOTHING
    assert people(staging).governed(grown).policy == STRICT


async def test_an_approver_must_be_allowed_by_every_policy_that_applies():
    judged = people()
    both = Policy(approvers=(("U_APPROVER", "U_OTHER"), ("U_OTHER",)))

    assert not (await judged.permissions("U_APPROVER", both)).approver
    assert (await judged.permissions("U_OTHER", both)).approver
    assert await judged.able(2, both) == ("U_OTHER",)
    assert not (await judged.permissions("U_ELSE", Policy(approvers=(("U_ELSE",),)))).approver, "a policy adds nobody"


async def test_an_approval_that_todays_policy_would_not_allow_lapses():
    given = running(approvals=(approval("U_APPROVER"), approval("U_OTHER")))
    narrower = people(NamedPolicy(asks=Policy(names=("p",), approvers=(("U_OTHER",),))))

    after = await narrower.reviewed(given, NOW)

    assert [kept.by for kept in after.approvals] == ["U_OTHER"]
    assert after.voids[0].changes == ("The settings (APPROVERS, POLICY) no longer name this person.",)


def test_show_names_the_policies_and_who_started():
    record = running(policy=STRICT, starts=(approval("U_APPROVER"),))

    assert "  policies  strict" in list(shown.page(record))
    assert any(line.startswith("  started   U_APPROVER ") for line in shown.page(record))
    assert shown.details(record)["policies"] == ["strict"]


# --- as people write it ---

ENVIRON = {
    "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "APPROVERS": "U1",
    "AISIX_CLOUD_API": "https://cp.example.com/api", "AISIX_ADMIN_TOKEN": "t",
}  # fmt: skip


def read(policy: object) -> tuple[NamedPolicy, ...]:
    return read_settings(None, ENVIRON | {"POLICY": policy if isinstance(policy, str) else json.dumps(policy)}).policies


def test_a_policy_is_read_from_json_or_from_a_file_of_yaml(tmp_path):
    written = {"production": {"environments": ["production"], "approvals": 2, "start": True, "soak": "30m",
                              "zone": "Europe/Berlin", "move_windows": ["mon 09:00-17:00"],
                              "approvers": ["U2", "S1"], "freezes": ["2026-12-20/2027-01-04"]}}  # fmt: skip
    file = tmp_path / "policy.yaml"
    file.write_text("""
production:
  environments: [production]
  approvals: 2
  start: true
  soak: 30m
  zone: Europe/Berlin
  approvers: [U2, S1]
  move_windows: ["mon 09:00-17:00"]
  freezes: ["2026-12-20/2027-01-04"]
""")

    assert read(written) == read(f"@{file}")
    (policy,) = read(written)
    assert (policy.environments, policy.asks.approvals, policy.asks.start) == (("production",), 2, True)
    assert policy.asks.approvers == (("S1", "U2"),)
    assert policy.asks.soak == timedelta(minutes=30)
    assert str(policy.asks.move[0]) == "mon 09:00-17:00 Europe/Berlin, not 2026-12-20/2027-01-04 Europe/Berlin"
    assert str(policy.asks.delete[0]) == "not 2026-12-20/2027-01-04 Europe/Berlin", "a freeze holds for both"
    assert read_settings(None, ENVIRON).policies == ()


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"p": {"aprovers": ["U1"]}}, "POLICY has no field aprovers (at p): did you mean approvers?"),
        ({"p": {"approvals": 0}}, "POLICY is wrong (at p.approvals): it should be a number, at least 1."),
        ({"p": {"start": "perhaps"}}, "POLICY is wrong (at p.start): it should be true or false."),
        ({"p": {"approvers": ["@sre"]}}, "“@sre” is no user id (U…) and no user-group id (S…)."),
        ({"p": {"move_windows": ["mon 9-17"]}}, "“mon 9-17” is no window: it should look like"),
        ({"p": {"freezes": ["2027/2026"]}}, "“2027/2026” is no freeze: it should look like"),
        ({"p": {"zone": "Mars"}}, "“Mars” is no time zone: write UTC, or one like Europe/Berlin."),
        (
            {"p": {"move_windows": "mon 09:00-17:00"}},
            "POLICY is wrong (at p.move_windows): it should be a list of",
        ),
        ({"p`": {}}, "“p`” can't be the name of a policy"),
        ('{"p": {}, "p": {}}', "p is set twice: keep one."),
        ("@missing.yaml", "missing.yaml can't be read"),
        ("{", "it is not valid JSON"),
        ("policy.yaml", "POLICY is wrong: it is not JSON: before the name of a file write @"),
        ("[]", "in YAML or JSON: @policy.yaml."),
    ],
)
def test_what_is_wrong_with_a_policy_is_one_clear_sentence(policy, said):
    with pytest.raises(WrongSettings) as wrong:
        read(policy)

    (sentence,) = wrong.value.sentences
    assert said in sentence
