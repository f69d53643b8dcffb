"""Answers at a response_url."""

import aiohttp
import pytest


@pytest.fixture
async def post():
    async with aiohttp.ClientSession() as session:

        async def post(url, **body):
            async with session.post(url, json=body) as answer:
                return answer.status, await answer.text()

        yield post


@pytest.fixture
def url(slack):
    """An address at which the member's command may be answered."""
    return f"{slack.site.base_url}/actions/T_HOME/{slack.site.response_urls.give('U_MEMBER', 'C_OPS')}"


@pytest.fixture
def message(slack):
    return slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "card", [])


@pytest.fixture
def message_url(slack, message):
    """The same for a click on a message."""
    ticket = slack.site.response_urls.give("U_MEMBER", "C_OPS", message.ts)
    return f"{slack.site.base_url}/actions/T_HOME/{ticket}"


def texts(slack):
    return [each["text"] for each in slack.person("U_MEMBER").ephemerals]


async def test_an_answer_is_for_one_person_unless_it_says_otherwise(slack, url, post):
    assert await post(url, text="one") == (200, "ok")
    await post(url, text="two", response_type="in_channel")

    assert texts(slack) == ["one"]
    assert [m.text for m in slack.messages("C_OPS")] == ["two"]


async def test_an_address_is_good_for_five_answers(slack, url, post):
    answers = [await post(url, text=str(number)) for number in range(6)]

    assert [status for status, _ in answers] == [200] * 5 + [404]
    assert "used_url" in answers[-1][1]
    assert len(texts(slack)) == 5


async def test_an_address_is_good_for_thirty_minutes(slack, url, post):
    later = slack.now() + 30 * 60 + 1
    slack.now = lambda: later

    status, text = await post(url, text="x")

    assert (status, "expired_url" in text) == (404, True)


async def test_an_unknown_address_is_nothing(slack, post):
    status, _ = await post(f"{slack.site.base_url}/actions/T_HOME/guess", text="x")

    assert status == 404


async def test_the_first_answer_may_be_replaced_and_deleted(slack, url, post):
    await post(url, text="one")

    await post(url, text="two", replace_original=True, response_type="in_channel")
    assert texts(slack) == ["two"]
    assert slack.messages("C_OPS") == []

    await post(url, delete_original=True)
    assert texts(slack) == []


async def test_a_message_may_be_replaced_and_deleted_from_its_own_button(slack, message, message_url, post):
    await post(message_url, text="new", replace_original=True)
    assert message.text == "new"
    assert message.edits == [("card", [])]

    await post(message_url, delete_original=True)
    assert slack.messages("C_OPS") == []


async def test_an_answer_to_a_click_leaves_the_message_alone(slack, message, message_url, post):
    await post(message_url, text="only you")

    assert message.text == "card"
    assert texts(slack) == ["only you"]


async def test_an_answer_that_slack_cannot_show_is_refused(slack, url, post):
    assert (await post(url, text=""))[0] == 400
    assert (await post(url, blocks=[{"type": "alert"}]))[0] == 400
    assert texts(slack) == []
