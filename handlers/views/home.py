"""The Home tab of one person: what waits for them first, then what else there is. Drawn from records alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from bot.rotation.actions import Action
from bot.rotation.age import Aged
from bot.rotation.attention import harm
from bot.rotation.inventory import ProviderKey
from bot.rotation.overview import Overview, Waiting
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.views import revoking
from handlers.views.blocks import (
    Block,
    actions,
    button,
    code,
    context,
    header,
    link_button,
    section,
    sentence,
    visible,
    when,
)
from handlers.views.links import NOWHERE, OPEN_CARD, Places, motive
from handlers.views.words import mark, state_label

T = TypeVar("T")

HOME_PICK, HOME_ROTATE, HOME_HISTORY = "home_pick", "home_rotate", "home_history"

WAITING_MOST, UNDER_WAY_MOST, DUE_MOST, KEYS_MOST = 10, 10, 5, 20
"""How many of each part are listed: Slack takes 100 blocks."""

AS_OF = "as_of"
"""The block with the time at which the tab was drawn: it stays as it is until somebody opens it again."""

VALUE_MOST = 150
"""Characters of an option's value, which holds a key's id."""

SPOKEN_MOST = 75

LINE_MOST = 1000
"""Characters of one line."""

Links = Mapping[str, str]
"""The link to each rotation's card, by its id; empty where there is none yet."""

ON_CARD = "Decide on the card how it goes on."

DOES: Mapping[Action, str] = {
    Action.ENTER_SECRET: "Give the new secret.",
    Action.MINT: "Have the new secret made, or give it.",
    Action.TRY_AGAIN: ON_CARD,
    Action.ANOTHER_SECRET: ON_CARD,
    Action.VERIFY_AGAIN: "Look at the card, then let Keyturn verify again.",
    Action.ROLL_BACK: ON_CARD,
    Action.CANCEL: ON_CARD,
    Action.ACCEPT_UNPROVED: ON_CARD,
    Action.START: "Look at the card, then say whether models may move.",
    Action.ON_IT: "Callers fail, or a key leaked: look at the card, and say there whether you take care of it.",
    Action.ANSWER: "Answer what an approver asks.",
    Action.REVOKED: "Revoke the API key at its provider.",
    Action.NOT_NEEDED: "Revoke the API key at its provider.",
    Action.REVOKE_THERE: "Have Keyturn revoke the API key at its provider, on the card.",
    Action.CHOOSE_ROW: "Say which API key at the provider is the one to revoke, on the card.",
    Action.ENABLE_AGAIN: ON_CARD,
    Action.EXPOSED: ON_CARD,
    Action.REVIEW: "Give the review of the leak, on the card.",
    Action.DELETE_OLD_KEY: "Look at the card, then approve the delete of the old key or say what speaks against it.",
}
"""What a person does about a rotation that waits for them; an approval counts for what is shown, so the card has it."""


def home(overview: Overview, links: Links, now: datetime, places: Places = NOWHERE) -> Block:
    """Draw the tab of a full member."""
    parts = (
        _top(overview),
        _waiting(overview, links, places),
        _under_way(overview, links, places),
        _due(overview, links),
        _keys(overview, now),
        _last(overview, links, places),
        [context(f"As of {when(now)}. Open this tab again for the latest.") | {"block_id": AS_OF}],
    )
    return _view([block for part in parts for block in part])


def closed(said: str) -> Block:
    """Draw the tab of somebody who sees nothing here, and say why."""
    return _view([section(sentence(said))])


def _view(blocks: list[Block]) -> Block:
    return {"type": "home", "blocks": blocks}


def _top(overview: Overview) -> list[Block]:
    pick = [button("Rotate a key", HOME_PICK, "home", style="primary")] if overview.may_request else []
    return actions([*pick, button("History…", HOME_HISTORY, "home")])


def _waiting(overview: Overview, links: Links, places: Places) -> Iterator[Block]:
    yield header("Waits for you")
    more = "`/rotate-key status` lists all."
    empty = "Nothing. Keyturn shows here what you can do for a rotation: give a secret, decide at a stop, approve."
    yield from _listed(overview.waiting, lambda one: _asked(one, links, places), WAITING_MOST, more, empty)


def _asked(waiting: Waiting, links: Links, places: Places) -> Block:
    rotation, first = waiting
    link, act = links.get(rotation.id, ""), first[0]
    said = f"{_state(rotation)}\n{DOES.get(act, ON_CARD)} {_asked_for(rotation, places)}"
    if act not in (Action.ENTER_SECRET, Action.MINT):
        return section(said, LINE_MOST) | _opening(link)
    place = f" <{link}|Open its card.>" if link else ""
    give = button(act.value, act.name.lower(), rotation.id, style="primary")
    return section(f"{said}{place}", LINE_MOST) | {"accessory": give}


def _opening(link: str) -> Block:
    return {"accessory": link_button("Open card ↗", OPEN_CARD, link)} if link else {}


def _under_way(overview: Overview, links: Links, places: Places) -> Iterator[Block]:
    yield header("Under way")
    nothing = "Nothing else" if overview.waiting else "Nothing"
    empty = f"{nothing}. `/rotate-key NAME` in a channel shows what uses a key, and changes nothing yet."
    more = "`/rotate-key status` lists all."
    yield from _listed(overview.others, lambda one: _line(one, links, places), UNDER_WAY_MOST, more, empty)


def _line(rotation: Rotation, links: Links, places: Places) -> Block:
    said = section(f"{_state(rotation)}\n{_asked_for(rotation, places)}", LINE_MOST)
    return said | _opening(links.get(rotation.id, ""))


def _state(rotation: Rotation) -> str:
    """Say the state without its progress, which goes on while nobody draws the tab again."""
    name, stop = code(rotation.plan.old_key.display_name, 60), rotation.stop
    why = f": {stop.headline}" if stop and rotation.state is State.BLOCKED else ""
    said = ", ".join(filter(None, (f"{state_label(rotation)}{why}", harm(rotation))))
    return f"{mark(rotation)} {name}: {sentence(said, 300)}"


def _asked_for(rotation: Rotation, places: Places) -> str:
    why = f" {said}" if (said := motive(rotation, places)) else ""
    return f"Asked for by <@{rotation.requested_by}>, {when(rotation.requested_at)}.{why}"


def _due(overview: Overview, links: Links) -> Iterator[Block]:
    yield header("Revocations due")
    empty = "None. After a delete the old API key still works at its provider: its owner and the due date stand here."
    yield from _listed(overview.due, lambda one: _to_revoke(one, links), DUE_MOST, "Each card has its own.", empty)


def _to_revoke(rotation: Rotation, links: Links) -> Block:
    said = revoking.task(rotation).partition("\n")[0]
    name = code(rotation.plan.old_key.display_name, 60)
    return section(f"{name}: {said}", LINE_MOST) | _opening(links.get(rotation.id, ""))


def _keys(overview: Overview, now: datetime) -> Iterator[Block]:
    yield header("Keys by age")
    if overview.keys is None:
        yield section(
            "AISIX can't be read now. Open this tab again in a minute; if it stays, see `python -m bot check`."
        )
        return
    empty = "AISIX lists no provider key. Add one there first."
    more = "`/rotate-key` lists all." if overview.may_request else ""
    yield from _listed(overview.keys, lambda one: _key(one, overview, now), KEYS_MOST, more, empty)
    unknown = sum(one.age.since is None for one in overview.keys)
    if unknown:
        yield context(f"{plural(unknown, 'key')} of unknown age: neither AISIX nor a rotation of Keyturn tells it.")


def _key(aged: Aged, overview: Overview, now: datetime) -> Block:
    key, age = aged.key, aged.age.at(now)
    days = plural(age.days, "day") if age and age.days else "less than a day"
    old = "age unknown" if age is None else f"{days} old"
    busy = ", being rotated" if key.id in overview.busy else ""
    due = " · *due for a rotation*" if key.id in overview.overdue and not busy else ""
    hold = overview.holds.get(key.id)
    kept = f" · on hold until {hold.end} by <@{hold.by}>" if hold else ""
    said = section(f"{code(key.display_name)} · {code(key.provider, 40)} · {old}{busy}{due}{kept}", LINE_MOST)
    if busy or not overview.may_request or len(key.id) > VALUE_MOST:
        return said
    return said | {"accessory": _rotate(key)}


def _rotate(key: ProviderKey) -> Block:
    """Build the button, with the name of its key for people who hear the page."""
    spoken = visible(f"Rotate {key.display_name}", SPOKEN_MOST)
    return button("Rotate", HOME_ROTATE, key.id) | {"accessibility_label": spoken}


def _last(overview: Overview, links: Links, places: Places) -> Iterator[Block]:
    yield header("Last rotations")
    if not overview.last:
        yield section("None has ended yet. What ends is listed here, with a link to its card and its receipt.")
        return
    yield section("\n".join(f"• {_ended(rotation, links, places)}" for rotation in overview.last))
    yield context("`/rotate-key history` lists more.")


def _ended(rotation: Rotation, links: Links, places: Places) -> str:
    link, at = links.get(rotation.id, ""), rotation.ended_at or rotation.requested_at
    name = code(rotation.plan.old_key.display_name, 60)
    place = f" (<{link}|open>)" if link else ""
    why = f", {said}" if (said := motive(rotation, places)) else ""
    who = f"asked for by <@{rotation.requested_by}>"
    return f"{mark(rotation)} {name}: {state_label(rotation)}, {when(at)}, {who}{why}{place}"


def _listed(parts: Sequence[T], draw: Callable[[T], Block], most: int, more: str, empty: str) -> Iterator[Block]:
    """Yield a block for each of the first *most* parts, and count the rest."""
    if not parts:
        yield section(empty)
    yield from map(draw, parts[:most])
    if (left := len(parts) - most) > 0:
        yield context(f"And {left:,} more. {more}")
