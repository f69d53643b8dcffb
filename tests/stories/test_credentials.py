"""A token of ours that Slack refuses: not ready, logged, told to who asks; and one error of Slack's is none of that."""

import pytest
from structlog.testing import capture_logs

from tests.support.process import answer_of, until_answer
from tests.support.stage import KEY, Stage, free_port


async def test_a_revoked_bot_token_is_told_and_makes_the_bot_not_ready_until_it_works(
    bare_stage: Stage,
) -> None:
    bare_stage.overrides["PORT"] = str(free_port())
    ready = f"http://127.0.0.1:{bare_stage.overrides['PORT']}/readyz"
    with capture_logs() as logged:
        async with bare_stage.bot():
            for method in ("users.info", "usergroups.users.list", "chat.postMessage", "chat.postEphemeral"):
                bare_stage.slack.faults.fail(method, error="token_revoked", times=100_000)
            await bare_stage.slack.person("U_REQUESTER").command(KEY)
            told = await bare_stage.told("U_REQUESTER", "Slack refuses Keyturn's bot token (token_revoked)")
            assert "Tell the people who run Keyturn: SLACK_BOT_TOKEN needs a new one." in told
            assert await answer_of(ready) == (503, f"{told}\n")

            bare_stage.slack.faults.clear()
            await bare_stage.ask()
            assert await answer_of(ready) == (200, "ready\n")
            bare_stage.slack.calls.clear()

    refused = [each for each in logged if each["event"] == "credential_refused"]
    assert [(each["setting"], each["word"], each["log_level"]) for each in refused] == [
        ("SLACK_BOT_TOKEN", "token_revoked", "error")
    ]


async def test_a_revoked_app_token_is_told_and_the_renewed_one_of_the_settings_is_used_without_a_restart(
    bare_stage: Stage,
) -> None:
    bare_stage.overrides["PORT"] = str(free_port())
    ready = f"http://127.0.0.1:{bare_stage.overrides['PORT']}/readyz"
    with capture_logs() as logged:
        async with bare_stage.bot() as built:
            bare_stage.slack.renew_app_token()
            await bare_stage.slack.disconnect()
            while "app-level token (invalid_auth)" not in (told := await until_answer(ready, 503)):
                pass
            assert "Tell the people who run Keyturn: SLACK_APP_TOKEN needs a new one." in told
            bare_stage.slack.calls.clear()

            await built.credentials.tried(bare_stage.settings)
            await bare_stage.slack.until(lambda: bare_stage.slack.sockets == 1, what="one socket")
            assert await until_answer(ready, 200) == "ready\n"
            assert KEY in (await bare_stage.ask()).plain

    events = [(each["event"], each["setting"]) for each in logged if each["event"].startswith("credential_")]
    assert events == [("credential_refused", "SLACK_APP_TOKEN"), ("credential_works", "SLACK_APP_TOKEN")]


@pytest.mark.parametrize("status", [500, 429])
async def test_an_error_of_slack_at_the_first_command_is_no_uninstalled_app(bare_stage: Stage, status: int) -> None:
    async with bare_stage.bot():
        if status == 429:
            bare_stage.slack.faults.rate_limit("auth.test")
        else:
            bare_stage.slack.faults.fail("auth.test", error="internal_error", times=100_000)
        await bare_stage.ask()
        bare_stage.slack.faults.clear()
