"""The private form: what it says, what it refuses at the field, and that nothing is created twice."""

import asyncio
import json

import pytest

from tests.support.stage import NEW_SECRET, Stage, stage_of


def creations(stage: Stage) -> list[object]:
    return [call for call in stage.aisix.calls if call.method == "POST" and "/provider_keys" in call.path]


async def opened(stage: Stage, card, who: str = "U_REQUESTER"):
    await stage.press("Enter new secret", card, who=who)
    person = stage.slack.person(who)
    await stage.slack.until(lambda: person.modal, what="the form")
    return person


async def test_the_form_says_that_slack_does_not_hide_it_and_who_receives_it(stage: Stage) -> None:
    card = await stage.ask()
    person = await opened(stage, card)

    said = json.dumps(person.modal, ensure_ascii=False)

    assert "Slack does not hide what you type here" in said
    assert "It goes to AISIX once, straight from this form" in said


async def test_only_the_requester_gets_the_form(stage: Stage) -> None:
    card = await stage.ask()
    await stage.press("Enter new secret", card, who="U_APPROVER")

    said = await stage.told("U_APPROVER", "can give the secret")

    assert "<@U_REQUESTER>" in said
    assert stage.slack.person("U_APPROVER").modal is None


async def test_a_mistake_is_shown_at_the_field_and_never_repeats_the_value(stage: Stage) -> None:
    card = await stage.ask()

    result = await stage.give(card, "sk-one half and another")

    assert result.errors == {"secret": "This has a space in the middle; a key of openai is one word."}
    assert not result.closed
    assert creations(stage) == []


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        (f"OPENAI_API_KEY={NEW_SECRET}", "This is a whole line, with the name of the key"),
        (f'{NEW_SECRET}",', "This ends with a quote, a comma or another mark"),
        ("sk-\u2026****\u2026", "This is masked or cut short"),
        ("<your-api-key>", "This is a placeholder"),
        ("${OPENAI_API_KEY}", "This names a variable"),
    ],
)
async def test_a_paste_that_is_surely_no_key_is_refused_and_the_form_stays_open(
    stage: Stage, pasted: str, told: str
) -> None:
    card = await stage.ask()

    result = await stage.give(card, pasted)
    again = await stage.slack.person("U_REQUESTER").submit({"secret": NEW_SECRET})

    assert told in result.errors["secret"]
    assert not result.closed
    assert again.closed
    assert NEW_SECRET not in str(result.errors)


async def test_a_token_of_keyturns_own_is_not_sent_to_a_provider(stage: Stage) -> None:
    person = await opened(stage, await stage.ask())
    own = [secret.get_secret_value() for secret in stage.built.settings.secrets]

    told = [(await person.submit({"secret": secret})).errors["secret"] for secret in own]

    assert len(own) >= 4
    assert {*told} == {"This is a secret of Keyturn's own settings: paste the one that the provider gave you."}
    assert creations(stage) == []


async def test_a_bedrock_label_on_an_openai_adapter_takes_one_word_and_no_document(stage: Stage) -> None:
    key = stage.aisix.add_key(
        "Bedrock by word",
        provider="amazon-bedrock",
        adapter="openai",
        api_base="https://bedrock.example/openai/v1",
        secret="ABSKb2xkMTIzNDU2Nzg5MA==",
        environments=["production"],
    )
    card = await stage.ask(key.id)

    refused = await stage.give(card, '{"access_key_id": "a", "secret_access_key": "b", "region": "c"}')
    taken = await stage.slack.person("U_REQUESTER").submit({"secret": "ABSKbmV3MTIzNDU2Nzg5MA=="})

    assert refused.errors == {"secret": "This is a JSON document; a key for the openai adapter is one word."}
    assert taken.closed


async def test_a_trailing_line_break_is_dropped(stage: Stage) -> None:
    card = await stage.ask()
    await stage.give(card, NEW_SECRET + "\n\n")

    await stage.says(card, "waiting for an approver")


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


async def test_two_submissions_create_one_replacement(stage: Stage) -> None:
    card = await stage.ask()
    person = await opened(stage, card)
    first = await person.submit({"secret": NEW_SECRET})
    await stage.press("Enter new secret", card) if "Enter new secret" in card.buttons else None
    await stage.says(card, "waiting for an approver")

    assert first.closed
    assert len(creations(stage)) == 1


async def test_slack_delivering_the_form_twice_creates_one_replacement(stage: Stage) -> None:
    card = await stage.ask()
    await opened(stage, card)
    stage.slack.deliver_twice = True
    await stage.slack.person("U_REQUESTER").submit({"secret": NEW_SECRET})
    stage.slack.deliver_twice = False

    await stage.says(card, "waiting for an approver")

    assert len(creations(stage)) == 1


async def test_the_replacement_can_be_named_and_carries_the_rotations_tag(stage: Stage) -> None:
    card = await stage.ask()
    await stage.give(card, NEW_SECRET, name="OpenAI spare")
    await stage.says(card, "waiting for an approver")

    record = await stage.record()

    assert stage.aisix.provider_keys[record.replacement_id].display_name == f"OpenAI spare ({record.id})"


async def test_a_lost_answer_to_the_creation_is_found_again_and_no_second_key_made(stage: Stage) -> None:
    card = await stage.ask()
    stage.aisix.faults.drop("POST", "/provider_keys", after_effect=True)

    await stage.give(card)
    await stage.says(card, "waiting for an approver")

    assert len(creations(stage)) == 1
    assert len(stage.aisix.provider_keys) == 3


async def test_a_creation_that_never_arrived_asks_for_the_secret_once_more(stage: Stage) -> None:
    card = await stage.ask()
    stage.aisix.faults.drop("POST", "/provider_keys", after_effect=False)

    await stage.give(card)
    await stage.says(card, "please give it once more")
    await stage.give(card)
    await stage.says(card, "waiting for an approver")

    assert len(stage.aisix.provider_keys) == 3


async def test_a_creation_that_is_told_to_wait_is_not_lost(redis_url: str) -> None:
    async with stage_of(redis_url, overrides={"CREATE_GRACE": "30"}) as stage, stage.bot():
        card = await stage.ask()
        stage.aisix.faults.rate_limit("POST", "/provider_keys", retry_after=0.2, times=2)

        await stage.give(card)

        await stage.says(card, "waiting for an approver")


async def test_a_refused_creation_stops_and_offers_another_secret(stage: Stage) -> None:
    card = await stage.ask()
    stage.aisix.faults.fail("POST", "/provider_keys", status=403)

    await stage.give(card)
    await stage.says(card, "stopped: the replacement was not created")
    assert "it needs the read and the write scope" in card.plain
    await stage.give(card, NEW_SECRET, button="Another secret")

    await stage.says(card, "waiting for an approver")


async def test_closing_the_form_changes_nothing(stage: Stage) -> None:
    card = await stage.ask()
    person = await opened(stage, card)
    await person.close_modal()
    await asyncio.sleep(0)

    assert creations(stage) == []
    assert "Enter new secret" in card.buttons
