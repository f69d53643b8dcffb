"""The page on providers has what the adapters can do, and every sentence that people read of a fault."""

import inspect
from types import ModuleType

import pytest

from bot.check.providers import CONTESTED, NOBODYS
from bot.providers import KINDS, account, anthropic, aws_iam, client, openai, xai
from bot.rotation.credentials import Ability
from tests.support.documents import filled, read

PAGE = "docs/providers.md"


def abilities() -> str:
    rows = [
        f"| {kind.title} | {' | '.join('yes' if each in kind.abilities else 'no' for each in Ability)} |"
        for kind in KINDS.values()
    ]
    return "\n".join([f"| | {' | '.join(Ability)} |", "|---" * (len(Ability) + 1) + "|", *rows])


WHEN = {
    client.AWAY: "no connection, or a certificate that is not trusted; no effect",
    client.LATE: "a time-out",
    client.LOST: "the connection broke off",
    client.LONG: "a longer answer",
    client.UNREAD: "no JSON, or another shape",
    client.BROKEN: "408, 5xx",
    client.REFUSALS[429]: "429, also with Retry-After; no effect",
    client.ELSEWHERE: "a redirect",
    client.BAD_ID: "an id like `..`",
    client.ANOTHER: "any other 4xx",
    **{sentence: str(status) for status, sentence in client.REFUSALS.items() if status != 429},
    account.NO_MINT: "mint, where there is none",
    account.NO_DISABLE: "disable and enable, where there is none",
    account.STILL_LISTED: "404, and the list still has it",
    account.ENDLESS: "a list without an end",
    account.UNCHANGED: "a success that shows no change",
    account.NO_CLEAR_ANSWER: "anything but a success or a 401, when a secret is tried",
    openai.NO_PROJECT: "OpenAI: 404 of the list",
    openai.NOT_MADE: "OpenAI: 400 at a mint",
    openai.KEYLESS: "OpenAI: an account without a key",
    openai.NOT_ALONE: "OpenAI: 400 at a delete, and the account has other keys",
    anthropic.FULL: "Anthropic: 400 with `…api_key_limit_exceeded`",
    anthropic.STRANGE: "Anthropic: 404",
    xai.NOT_LISTED: "xAI: the list lacks it",
    xai.BLOCKED: "xAI: a secret is tried that is blocked (only the log has it)",
    aws_iam.UNKNOWN: "AWS: 401, or 403 with `InvalidClientTokenId`, `SignatureDoesNotMatch` or `ExpiredToken`",
    aws_iam.FORBIDDEN: "AWS: any other 403",
    aws_iam.NO_USER: "AWS: 404 of the list",
    aws_iam.NOT_LISTED: "AWS: the list lacks it (only the log has it)",
    aws_iam.OWN: "AWS: the access key is the bot's own",
    aws_iam.NAMELESS: "AWS: mint",
    aws_iam.UNTRIED: "AWS: a secret is to be tried",
    NOBODYS: "`check`: no provider key fits the account",
    CONTESTED: "`check`: several accounts fit a provider key",
}


def sentences() -> str:
    return "\n".join(
        ["| when | what people read |", "|---|---|", *(f"| {why} | {said} |" for said, why in WHEN.items())]
    )


def said_in(module: ModuleType) -> set[str]:
    constants = (value for name, value in inspect.getmembers(module) if name.isupper())
    return {one for one in constants if isinstance(one, str) and one.endswith(".")}


@pytest.mark.parametrize(("mark", "content"), [("abilities", abilities()), ("sentences", sentences())])
def test_the_page_has_what_the_code_says(mark, content):
    assert read(PAGE) == filled(PAGE, mark, content)


def test_every_sentence_of_the_adapters_is_on_the_page():
    assert {
        one for module in (client, account, openai, anthropic, xai, aws_iam) for one in said_in(module)
    } <= WHEN.keys()
