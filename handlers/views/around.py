"""What a card says that its record does not hold: links to other rotations and pages, and who was told."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from bot.rotation.attention import occasion
from bot.rotation.holds import KeyHold
from bot.rotation.record import Rotation
from handlers.views.blocks import when
from handlers.views.links import NOWHERE, Places

DIRECTLY = "dm:"
"""The prefix of the fields about direct messages; the person follows."""

AGAIN = "#"
"""What follows the occasion in a field about a direct message that is sent again: how often."""

TROUBLE = "trouble:"
"""How the occasion of a trouble begins, which is also the key of its reply."""


class Around(NamedTuple):
    """The rest of a card: *others* are links to further rotations of the key, *maker* to the one that made the key."""

    others: tuple[str, ...] = ()
    maker: str = ""
    told: str = ""
    places: Places = NOWHERE
    team_url: str = ""
    batch: str = ""
    """Which batch it belongs to, with a link to its message."""

    hold: KeyHold | None = None
    """The hold that counts for the old key, until that is gone."""

    escalation: str = ""
    """Mentions of the people whom a second page goes to as well."""


NOTHING = Around()


def in_batch(rotation: Rotation, shown: Mapping[str, str], link: Callable[[str, str], str]) -> str:
    """Say which batch a rotation belongs to, with a *link* to the message that is *shown*; empty if to none."""
    if not rotation.batch:
        return ""
    said = f"one of {shown['keys']} in a batch" if shown.get("keys") else "one of a batch"
    return f"<{link(shown['channel'], shown['ts'])}|{said}>" if shown.get("ts") else said


def told(rotation: Rotation, shown: Mapping[str, str]) -> str:
    """Say who was told of the newest open trouble, and when Slack took that; empty if nobody is known to be."""
    if not occasion(rotation).startswith(TROUBLE):
        return ""
    return "; ".join(f"<@{person}>, {when(at)}" for person, at in _told(rotation, shown))


def _told(rotation: Rotation, shown: Mapping[str, str]) -> Iterator[tuple[str, datetime]]:
    about = occasion(rotation)
    if reply := shown.get(about):
        yield rotation.requested_by, _time(reply)
    for field, sent in shown.items():
        if field.startswith(DIRECTLY) and sent.split(" ")[2:3] and sent.split(" ")[2].partition(AGAIN)[0] == about:
            yield field.removeprefix(DIRECTLY), _time(sent.split(" ")[1])


def _time(ts: str) -> datetime:
    """Return when Slack took a message, by its timestamp."""
    return datetime.fromtimestamp(float(ts), UTC)
