"""Check what Slack tells of the bot, its tokens, its channels and the people who may approve."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from bot.aisix.waiting import ahead
from bot.check.findings import Try, Wrong, clock, ok, warn, wrong
from bot.limits import rules_of
from bot.rotation.errors import Refused, Unanswerable
from bot.rotation.people import Directory, People
from bot.rotation.plan import plural
from bot.rotation.policies import ASKS_NOTHING, Policy
from bot.rotation.policy import check_member
from bot.settings import Settings
from bot.terminal import Finding


class Slack(NamedTuple):
    """What a check asks of Slack; each raises `WrongSettings` if a token is refused, or Slack does not answer."""

    who: Callable[[], Awaitable[tuple[dict[str, Any], Directory]]]
    open_socket: Callable[[str], Awaitable[None]] | None
    """None where the bot itself has just tried: Slack limits how often."""

    date: Callable[[], Awaitable[str | None]]
    """The time by Slack's clock, as a header of HTTP; None if it does not tell."""

    is_in_a_channel: Callable[[], Awaitable[bool | None]]
    """None if Slack does not tell."""

    is_in_channel: Callable[[str], Awaitable[bool | None]]
    """The same of the channel with this id."""

    refused_blocks: Callable[[], Awaitable[frozenset[str] | None]]
    """The blocks of a card that the workspace does not take; None if Slack does not tell."""

    tells_addresses: Callable[[], bool | None]
    """Whether it tells people's e-mail addresses, once it has answered; None if that is not known."""

    may_attach: Callable[[], bool | None]
    """Whether the app may put files into threads, once Slack has answered; None if it does not tell."""


def tries(slack: Slack, settings: Settings) -> Iterator[Try]:
    """Return what can be tried."""
    yield Try("Slack", "SLACK_API_URL", partial(_bot, slack, settings))
    if (token := settings.slack_app_token) and slack.open_socket:
        yield Try("Slack socket", "SLACK_API_URL", partial(_socket, slack.open_socket, token.get_secret_value()))


async def _bot(slack: Slack, settings: Settings) -> list[Finding]:
    team, directory = await slack.who()
    people = {person for id_ in sorted(settings.approvers) for person in await meant_by(id_, directory)}
    if not people:
        raise Wrong("nobody is in the user groups of APPROVERS, so nobody could approve.")
    known = f"bot {team.get('user')} in workspace {team.get('team')}; {plural(len(people), 'approver')}."
    return [
        *([wrong(short)] if (short := await shortage(People(directory, rules_of(settings)))) else [ok(known)]),
        *clock(ahead(await slack.date())),
        *_channels(joined=await slack.is_in_a_channel()),
        *await ages(slack.is_in_channel, settings),
        _blocks(await slack.refused_blocks()),
        _files(may_attach=slack.may_attach()),
        *_addresses(slack, settings),
    ]


async def shortage(people: People, policy: Policy = ASKS_NOTHING) -> str:
    """Say why nobody's rotation under a *policy* could be approved; empty if somebody's could."""
    try:
        return await people.shortage(policy)
    except Unanswerable:
        raise Wrong("it does not tell who the people in APPROVERS are: try again in a minute.") from None


def _channels(*, joined: bool | None) -> Iterator[Finding]:
    if joined is None:
        yield warn(
            "it does not tell which channels the bot is in: give the app the scopes channels:read and groups:read "
            "(manifest.yml), and see that you have invited it."
        )
    elif not joined:
        yield warn("the bot is in no channel, so it can show nothing: /invite it to the channel where people rotate.")


async def ages(is_in_channel: Callable[[str], Awaitable[bool | None]], settings: Settings) -> list[Finding]:
    """Say whether old keys can be listed, where the settings want that."""
    if not (settings.rotate_every or any(one.asks.rotate_every for one in settings.policies)):
        lost = "AGE_CHANNEL is set without ROTATE_EVERY, so no keys are listed: set both, or neither."
        return [warn(lost)] if settings.age_channel else []
    if settings.age_channel is None:
        return [warn("ROTATE_EVERY is set without AGE_CHANNEL, so old keys are listed nowhere: name a channel.")]
    joined = await is_in_channel(settings.age_channel)
    if joined is None:
        return [warn("it does not tell whether the bot is in AGE_CHANNEL: see that you have invited it.")]
    if not joined:
        return [wrong(f"the bot is not in {settings.age_channel} (AGE_CHANNEL), so it can list no keys: /invite it.")]
    return [ok(f"old keys are listed in {settings.age_channel}.")]


def _blocks(refused: frozenset[str] | None) -> Finding:
    if refused is None:
        return warn(
            "the blocks of a card were not tried, as it does not offer blocks.validate here. Nothing to do: what it "
            "refuses of a card comes again in plainer blocks."
        )
    if not refused:
        return ok("it takes every block of a card.")
    return warn(
        f"it does not take {', '.join(sorted(refused))} in this workspace yet, so cards come in plainer blocks. "
        "Nothing to do: it brings new blocks to one workspace after the other."
    )


def _addresses(slack: Slack, settings: Settings) -> Iterator[Finding]:
    """Say whether Slack tells people's e-mail addresses, where a sign-in has to be compared with them."""
    if settings.approval_link and slack.tells_addresses() is False:
        yield wrong("it tells nobody's e-mail address, so APPROVAL_LINK lets nobody in: grant users:read.email.")


def _files(*, may_attach: bool | None) -> Finding:
    if may_attach is None:
        return warn(
            "it does not tell whether the app has files:write: if not, receipts list every model in the thread."
        )
    if may_attach:
        return ok("it takes files: a receipt has every model as CSV.")
    return ok("it takes no files, as the app has no files:write: a receipt lists every model in the thread.")


async def meant_by(id_: str, directory: Directory, setting: str = "APPROVERS") -> frozenset[str]:
    """Return the people that an id in a *setting* means; raise `Wrong` if they could not approve."""
    try:
        if id_.startswith("S"):
            return await directory.members(id_)
        check_member(await directory.person(id_))
    except Unanswerable:
        raise Wrong(
            f"it does not tell who {id_} in {setting} is: that should be the id of a person (U…) or a user group (S…)."
        ) from None
    except Refused as refusal:
        raise Wrong(f"{id_} in {setting} could not approve. {refusal}") from None
    return frozenset({id_})


async def _socket(open_socket: Callable[[str], Awaitable[None]], app_token: str) -> list[Finding]:
    await open_socket(app_token)
    return [ok("a socket can be opened.")]
