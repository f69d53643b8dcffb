"""The private form: what it says, what it refuses at the field, and that nothing is created twice."""

import json
from typing import Any

from sandbox.slack import Message
from tests.support.stage import NEW_SECRET, WRONG_SECRET, Stage, submitted


def creations(stage: Stage) -> list[Any]:
    return [call for call in stage.aisix.calls if call.method == "POST" and "/provider_keys" in call.path]


async def opened(stage: Stage, card: Message) -> Any:
    await stage.press("Enter new secret", card)
    person = stage.slack.person("U_REQUESTER")
    await stage.slack.until(lambda: person.modal, what="the form")
    return person


async def test_a_mistake_is_told_at_the_field_without_the_value_and_the_form_stays_open(stage: Stage) -> None:
    stage.aisix.switches.raw_bodies = True
    card = await stage.ask()
    person = await opened(stage, card)
    said = json.dumps(person.modal, ensure_ascii=False)
    assert "Slack doesn't hide what you type here" in said
    assert "It goes to AISIX once, straight from this form" in said

    own = [secret.get_secret_value() for secret in stage.built.settings.secrets]
    told = {
        "sk-one half and another": "This has a space in the middle; a key of openai is one word.",
        f"OPENAI_API_KEY={NEW_SECRET}": "This is a whole line, with the name of the key",
        **dict.fromkeys(own, "This is a secret of Keyturn's own settings: paste the one that the provider gave you."),
    }
    for pasted, words in told.items():
        result = await submitted(person, {"secret": pasted})
        assert list(result.errors) == ["secret"]
        assert words in result.errors["secret"]
        assert not result.closed
        assert pasted not in result.errors["secret"]
        assert NEW_SECRET not in result.errors["secret"]
    assert len(own) >= 4
    assert creations(stage) == []

    assert (await submitted(person, {"secret": NEW_SECRET + "\n\n", "name": "OpenAI spare"})).closed
    record = await stage.recorded(lambda record: record.replacement_id)
    assert creations(stage)[0].body["api_key"] == NEW_SECRET
    assert stage.aisix.provider_keys[record.replacement_id].display_name == f"OpenAI spare ({record.id})"


async def test_a_document_longer_than_a_field_goes_into_two(stage: Stage) -> None:
    key = stage.aisix.add_key(
        "Vertex", provider="google-vertex", adapter="vertex", secret="{}", environments=["production"]
    )
    account = {
        "type": "service_account",
        "client_email": "x@y",
        "private_key": "-----BEGIN PRIVATE KEY-----\n" + "A" * 3200 + "\n-----END PRIVATE KEY-----\n",
        "token_uri": "https://t",
    }
    document = json.dumps({"project": "p", "region": "r", "service_account_json": account})
    stage.aisix.switches.raw_bodies = True
    card = await stage.ask(key.id)

    result = await stage.give(card, document[:3000], rest=document[3000:])
    await stage.slack.until(lambda: creations(stage), what="the replacement")

    assert result.closed
    assert creations(stage)[0].body["api_key"] == document


async def test_models_go_back_when_the_question_is_sent_and_a_secret_that_comes_before_they_are_has_to_wait(
    bare_stage: Stage,
) -> None:
    bare_stage.overrides |= {"PATIENCE": "30", "CONTROL_PLANE_ATTEMPTS": "1"}
    bare_stage.aisix.switches.model_create = (
        False  # so there is no rehearsal, and callers' models meet the wrong secret
    )
    person = bare_stage.slack.person("U_REQUESTER")
    async with bare_stage.bot():
        card = await bare_stage.ask()
        await bare_stage.give(card, WRONG_SECRET)
        await bare_stage.says(card, "stopped: the new secret was refused")
        stopped = await bare_stage.record()
        await bare_stage.press("Another secret", card)
        await bare_stage.slack.until(lambda: person.modal, what="the question")
        assert "Move 1 model back" in str(person.modal)
        await person.close_modal()
        assert await bare_stage.record() == stopped
        assert stopped.replacement_id in bare_stage.keys_in_use()

        bare_stage.aisix.faults.fail("GET", "/provider_keys", status=500, times=1000)
        await bare_stage.press("Another secret", card)
        await bare_stage.slack.until(lambda: person.modal, what="the question again")
        await person.submit()
        result = await person.submit({"secret": NEW_SECRET})
        assert "The refused secret is still being taken back" in str(result.errors)

        bare_stage.aisix.faults.clear()
        await bare_stage.says(card, "waiting for the new secret")
        assert stopped.replacement_id not in bare_stage.keys_in_use()
        assert (await submitted(person, {"secret": NEW_SECRET})).closed
