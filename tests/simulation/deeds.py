"""What can happen in a town: what people press, what others change in AISIX, and what fails."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from bot.rotation.actions import Action
from bot.rotation.flags import flags, shown_of
from bot.rotation.policy import (
    Chosen,
    Pressed,
    acceptable,
    acceptable_as_a_whole,
    causes,
    mark_of,
    offered,
    shown_unproved,
)
from bot.rotation.record import Rotation
from bot.rotation.secret import Submitted, Typed
from bot.rotation.starting import asked_at_start
from bot.rotation.states import State
from sandbox.aisix import ProviderKey
from tests.simulation.clockwork import Actor
from tests.simulation.town import AHEAD, APPROVERS, EVERYBODY, OLD_SECRET, Town

KEYS = ("OpenAI production", "OpenAI production", "OpenAI production", "Other key")
RARE = (Action.CANCEL, Action.ROLL_BACK, Action.VERIFY_AGAIN, Action.NOT_YET, Action.ASK, Action.EXPOSED)
"""Pressed less often than the rest, or no rotation would get far."""

JUST_NOW = Pressed(away=timedelta(0))
Press = Callable[[Town, Rotation, str], None]

# --- people ---


def ask(town: Town, key: str = "", who: str = "") -> None:
    who = who or town.random.choice(EVERYBODY)
    key = key or town.random.choice(KEYS)
    posted = town.random.random() < 0.97

    async def work() -> None:
        rotation = await town.service.start(key, by=who, team="T_HOME", channel="C_OPS")
        if posted:
            await town.slack.show(rotation)
        else:
            await town.service.withdraw(rotation, "Keyturn is not in this channel.")

    town.begin(Actor("start", who=who), work())


def press(town: Town) -> None:
    """Somebody presses something on the newest card, or on one that was forgotten in a window; now and then twice."""
    cards = list(town.slack.cards.values())
    if not cards:
        return ask(town)
    seen = town.random.choice(cards)
    shown = seen[-1] if town.random.random() < 0.8 else town.random.choice(seen)
    buttons: Sequence[Action] = offered(shown)
    if not buttons or town.random.random() < 0.1:
        buttons = list(Action)
    elif town.random.random() < 0.8:
        buttons = [button for button in buttons if button not in RARE]
    for action in town.random.sample(buttons, min(1, len(buttons))):
        who = town.random.choice(EVERYBODY) if town.random.random() < 0.3 else fitting(town, shown, action)
        for _ in range(2 if town.random.random() < 0.15 else 1):
            PRESSES[action](town, shown, who)
    return None


OF_APPROVERS = {
    Action.DELETE_OLD_KEY,
    Action.ACCEPT_UNPROVED,
    Action.NOT_YET,
    Action.ASK,
    Action.NOT_NEEDED,
    Action.START,
}


def fitting(town: Town, shown: Rotation, action: Action) -> str:
    """Return one who may press it."""
    if action not in OF_APPROVERS:
        return shown.requested_by
    return town.random.choice([who for who in APPROVERS if who != shown.requested_by])


def give(town: Town, shown: Rotation, who: str, secret: str = "") -> None:
    secret = secret or _some_secret(town)

    async def work() -> None:
        if town.random.random() < 0.5:
            await town.service.offer_secret_form(shown.id, by=who)
        taken = await town.service.give_secret(shown.id, Submitted(secret, ""), by=who)
        await town.service.create_replacement(taken)

    town.begin(Actor("give", shown.id, who), work())


def _some_secret(town: Town) -> str:
    wrong = f"sk-wrong-{town.random.getrandbits(64):016x}"
    likely = (14, 2 if town.good_secrets else 0, 1, 3)
    kind = town.random.choices(("new", "given before", OLD_SECRET, wrong), likely)[0]
    return town.secret() if kind == "new" else town.random.choice(town.good_secrets) if " " in kind else kind


def approve(town: Town, shown: Rotation, who: str) -> None:
    """Press Delete old key, most often with a reason where it takes one; the click may be delivered once more."""
    town.clicks += town.random.random() < 0.9
    seen, mark = (shown.seen, shown_of(shown)) if shown.state == "AWAITING_APPROVAL" else ("", None)
    reason = "known trouble" if flags(shown) and town.random.random() < 0.9 else ""
    click = f"click-{town.clicks}"
    work = town.service.approve(shown.id, by=who, pressed=JUST_NOW, click=click, shown=mark, reason=reason)
    town.begin(Actor("approve", shown.id, who, shown=seen), work)  # type: ignore[arg-type]


def _some_of(town: Town, shown: Rotation) -> Chosen:
    """Choose every cause, one model, or what the form does not have."""
    marks, models = [mark_of(cause) for cause, _ in causes(shown)], [model.id for model in acceptable(shown)]
    if not models:
        return Chosen() if acceptable_as_a_whole(shown) else Chosen(frozenset({"m_unknown"}))
    return Chosen(causes=frozenset(marks)) if town.random.random() < 0.7 else Chosen(frozenset(models[:1]))


def accept(town: Town, shown: Rotation, who: str) -> None:
    chosen = _some_of(town, shown)

    async def work() -> None:
        form, pressed = (
            shown_unproved(await town.service.offer_acceptance(shown.id, by=who)),
            Pressed(away=timedelta(0)),
        )
        await town.service.accept_unproved(shown.id, chosen, "known trouble", by=who, shown=form, pressed=pressed)

    town.begin(Actor("accept", shown.id, who), work())


def another(town: Town, shown: Rotation, who: str) -> None:
    async def work() -> None:
        asked = await town.service.another_secret(shown.id, by=who)
        if asked.state is State.BLOCKED:  # it asks before models move back
            await town.service.another_secret(shown.id, by=who, agreed=len(asked.moved))
        if town.random.random() < 0.7:
            give(town, shown, who)

    town.begin(Actor("another", shown.id, who), work())


def _told(name: str, **told: str) -> Press:
    """Press a button whose form has several fields."""

    def pressed(town: Town, shown: Rotation, who: str) -> None:
        town.begin(Actor(name, shown.id, who), getattr(town.service, name)(shown.id, by=who, **told))

    return pressed


def start(town: Town, shown: Rotation, who: str) -> None:
    """Press Start; the click may be delivered once more."""
    town.clicks += town.random.random() < 0.9
    click = f"click-{town.clicks}"
    mark = asked_at_start(shown)
    work = town.service.start_moving(shown.id, by=who, pressed=JUST_NOW, click=click, shown=mark, reason="it is known")
    town.begin(Actor("start moving", shown.id, who), work)  # type: ignore[arg-type]


def _plain(name: str) -> Press:
    def pressed(town: Town, shown: Rotation, who: str) -> None:
        town.begin(Actor(name, shown.id, who), getattr(town.service, name)(shown.id, by=who))

    return pressed


def _said(name: str, *words: object, **more: object) -> Press:
    """Press a button whose form takes a few words."""

    def pressed(town: Town, shown: Rotation, who: str) -> None:
        town.begin(Actor(name, shown.id, who), getattr(town.service, name)(shown.id, *words, by=who, **more))

    return pressed


PRESSES: dict[Action, Press] = {
    Action.ENTER_SECRET: give,
    Action.MINT: _said("mint", Typed()),
    Action.CANCEL: _plain("cancel"),
    Action.TRY_AGAIN: _plain("try_again"),
    Action.ANOTHER_SECRET: another,
    Action.VERIFY_AGAIN: _plain("verify_again"),
    Action.ROLL_BACK: _plain("roll_back"),
    Action.ACCEPT_UNPROVED: accept,
    Action.DELETE_OLD_KEY: approve,
    Action.START: start,
    Action.ON_IT: _plain("on_it"),
    Action.NOT_YET: _said("not_yet", "known trouble"),
    Action.ASK: _said("ask", "is it known?"),
    Action.ANSWER: _said("answer", 1, "it is"),
    Action.EXPOSED: _told("expose", what="a key", where="a log", since=""),
    Action.REVIEW: _told("give_review", what="a key", where="a log", since="unknown", reach="all"),
    Action.REVOKED: _plain("revoked"),
    Action.NOT_NEEDED: _said("not_needed", "it expires"),
    Action.CHOOSE_ROW: _said("choose_row", "row_1"),
    Action.REVOKE_THERE: _said("revoke_there", "known trouble", pressed=JUST_NOW, shown=""),
    Action.ENABLE_AGAIN: _plain("enable_again"),
}


def crowd(town: Town) -> None:
    """Several people press on one card in the same moment, or ask for one key."""
    cards = [seen[-1] for seen in town.slack.cards.values() if offered(seen[-1])]
    shown, key = town.random.choice(cards) if cards else None, town.random.choice(KEYS)
    for who in town.random.sample(EVERYBODY, 3):
        if shown is None:
            ask(town, key, who)
        else:
            action = town.random.choice(offered(shown))
            PRESSES[action](town, shown, fitting(town, shown, action))


def approve_what_was(town: Town) -> None:
    """Somebody presses Delete old key on a card that has changed since, though it asks the same again."""
    for seen in list(town.slack.cards.values()):
        older = [r for r in seen if r.state == "AWAITING_APPROVAL" and r.seen != seen[-1].seen]
        if older and seen[-1].state == "AWAITING_APPROVAL":
            approve(town, older[-1], fitting(town, older[-1], Action.DELETE_OLD_KEY))


# --- the bot's own work, and time ---


def work(town: Town) -> None:
    """Workers take hints; now and then one is lost, or given twice, so that two workers look at one rotation."""
    due = town.hints.due()
    for key in town.random.sample(due, min(len(due), town.random.choice((1, 1, 2, 3)))):
        hint, chance = town.hints.waiting[key], town.random.random()
        if chance > 0.02:
            town.take(key)
        if chance > 0.95:
            town.hints.waiting[key] = hint
            town.take(key)
        town.hints.waiting.pop(key, None)


def wait(town: Town) -> None:
    town.switchboard.now += town.switchboard.next_timer or 0


def jump(town: Town) -> None:
    """Time passes over what is waited for: a poll, the soak, a reminder, the age of evidence, an expiry."""
    town.switchboard.now += town.random.choice((1, 5, 5, 30, 30, 60, 130, 130, 600, 3600, 14_400, 86_400, 260_000))


def kill(town: Town) -> None:
    """A process dies at the call where it is; or the power fails for all, and the queue loses its hints, perhaps."""
    alive = [actor for actor, task in town.actors if not task.done()]
    if alive and town.random.random() < 0.7:
        alive = [town.random.choice(alive)]
    elif town.random.random() < 0.5:
        town.hints.waiting.clear()
    for actor in alive:
        town.switchboard.note(f"KILLED {actor.name}/{actor.rotation}")
        town.switchboard.kill(actor)


# --- what others do in AISIX and in Slack ---

DRIFT = ("bind", "take over", "delete", "delete", "add a route", "add a router", "edit a key")


def drift(town: Town, kinds: Sequence[str] = DRIFT) -> None:
    """Somebody changes something in AISIX: most often a key that is being rotated, or what uses it."""
    aisix, key, mark = town.aisix, _a_key(town), f"{town.switchboard.turns}-{len(town.switchboard.trace)}"
    models = [model for model in aisix.models.values() if model.provider_key_id]
    targets = [model for model in models if not model.display_name.startswith("keyturn-")]
    kind = town.random.choice(kinds)
    town.switchboard.note(kind.upper())
    match kind:
        case "bind":
            environment = town.random.choice(("production", "staging"))
            aisix.add_model(environment, f"late-{mark}", key=key, upstream="gpt-4o", settled=False)
        case "take over" if models:
            aisix.edit(town.random.choice(models), key=key)
        case "delete" if len(aisix.provider_keys) > 1:
            aisix.remove(town.random.choice((key, town.random.choice(models or [key]))))
        case "add a route":
            aisix.add_passthrough("production", f"route-{mark}", key=key, settled=False)
        case "add a router" if targets:  # an alias that the approver has not seen
            target = town.random.choice(targets)
            aisix.add_model(target.environment_id, f"router-{mark}", kind="routing", targets=[target], settled=False)
        case "edit a key":  # the replacement is not like the old one any more
            aisix.edit(key, api_base=town.random.choice(("https://one.example/v1", "https://two.example/v1")))
        case _:
            pass  # there is nothing to change


def _a_key(town: Town) -> ProviderKey:
    keys = town.aisix.provider_keys
    if not keys:
        return town.aisix.add_key("OpenAI production", secret=OLD_SECRET)
    ending = [
        keys[r.plan.old_key.id] for r in town.laws.records.values() if not r.is_over and r.plan.old_key.id in keys
    ]
    likely = 0.9 if is_ending(town) else 0.5
    return town.random.choice(ending if ending and town.random.random() < likely else list(keys.values()))


def is_ending(town: Town) -> bool:
    """Whether something has been looked at for the last time and not been deleted: the worst moment for all else."""
    return any(map(town.laws.is_ending, town.laws.records))


def worst(town: Town) -> None:
    """Somebody puts the old key to use."""
    drift(town, ("bind", "take over", "add a route", "add a router"))


def reach_otherwise(town: Town) -> None:
    """Somebody makes an alias that reaches a model."""
    drift(town, ("add a router",))


def change_approvers(town: Town) -> None:
    """Somebody joins or leaves the approvers: often one who has approved already, and is not enough."""
    waiting = [a.by for r in town.laws.records.values() if r.state == "AWAITING_APPROVAL" for a in r.approvals]
    town.slack.approvers ^= {town.random.choice(waiting if waiting and town.random.random() < 0.7 else EVERYBODY)}


def provider_acts_up(town: Town) -> None:
    secret = town.random.choice([OLD_SECRET, *town.good_secrets])
    town.aisix.upstream.set(secret, town.random.choice((401, 429, 500, "ok", "ok", "unreachable", "garbage")))


def replica_acts_up(town: Town, *, listed: bool = True) -> None:
    """A replica falls behind, catches up, goes down, comes back, or starts again."""
    replica = town.random.choice([replica for replica in town.aisix.all_replicas() if replica.is_listed is listed])
    match town.random.choice(("behind", "caught up", "down", "up", "again")):
        case "behind":
            town.wire.behind.add(replica)
        case "caught up":
            town.wire.behind.discard(replica)
        case "again":
            replica.restart()
        case word:
            replica.down = word == "down"


def unlisted_acts_up(town: Town) -> None:
    """A replica that nobody has written down comes, most often cut off and asleep, or goes, or acts up."""
    if all(replica.is_listed for replica in town.aisix.all_replicas()):
        replica = town.aisix.place_replica("production")
        replica.down = town.random.random() < 0.6
        if town.random.random() < 0.8:
            town.wire.behind.add(replica)
    elif town.random.random() < 0.2:
        town.remove_unlisted()
    else:
        replica_acts_up(town, listed=False)


def unlisted_comes_up(town: Town) -> None:
    """A replica that nobody has written down was asleep when all was proved, and takes part from now on."""
    for replica in town.aisix.all_replicas():
        replica.down = replica.down and replica.is_listed


# --- machines ---


def jump_a_clock(town: Town) -> None:
    town.random.choice(town.machines).ahead = town.random.choice(AHEAD)


def thaw(town: Town) -> None:
    """A worker that stood still goes on; often its lease is over, and nobody has taken over yet."""
    town.switchboard.now += town.random.choice((0, 2.5))
    for actor in town.frozen[:1]:
        town.switchboard.thaw(actor)


def take_over_from_the_frozen(town: Town) -> None:
    """The lease of a worker that stands still runs out, and somebody looks for what was left lying."""
    town.switchboard.now += town.random.choice((2.5, 3, 3, 5, 30, 700))
    town.sweep()
    for key in town.hints.due():
        town.take(key)
