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
