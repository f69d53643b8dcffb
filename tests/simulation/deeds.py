"""What can happen in a town: what people press, what others change in AISIX, and what fails."""

from collections.abc import Callable
from datetime import timedelta

from bot.rotation.actions import Action
from bot.rotation.policy import Pressed, acceptable, acceptable_as_a_whole, offered, shown_unproved
from bot.rotation.record import Rotation
from bot.rotation.secret import Submitted
from sandbox.aisix import ProviderKey
from tests.simulation.clockwork import Actor
from tests.simulation.town import AHEAD, APPROVERS, EVERYBODY, OLD_SECRET, Town

KEYS = ("OpenAI production", "OpenAI production", "OpenAI production", "Other key")
TEAM, CHANNEL = "T_HOME", "C_OPS"

# --- people ---


def ask(town: Town, key: str = "", who: str = "") -> None:
    """Somebody asks for a rotation, and its card is posted."""
    who = who or town.random.choice(EVERYBODY)
    key = key or town.random.choice(KEYS)
    posted = town.random.random() < 0.97

    async def work() -> None:
        rotation = await town.service.start(key, by=who, team=TEAM, channel=CHANNEL)
        if posted:
            await town.board.show(rotation)
        else:
            await town.service.withdraw(rotation, "I am not in this channel.")

    town.begin(Actor("start", who=who), work())


def press(town: Town) -> None:
    """Somebody presses something on a card: the newest, or one that was forgotten in a window."""
    cards = list(town.board.cards.values())
    if not cards:
        return ask(town)
    seen = town.random.choice(cards)
    shown = seen[-1] if town.random.random() < 0.8 else town.random.choice(seen)
    buttons = offered(shown)
    stray = not buttons or town.random.random() < 0.1
    if not stray and town.random.random() < 0.8:
        buttons = tuple(button for button in buttons if button not in GIVES_UP)
    if not (stray or buttons):
        return None
    action = town.random.choice(list(Action) if stray else buttons)
    who = town.random.choice(EVERYBODY) if town.random.random() < 0.3 else _fitting(town, shown, action)
    return click(town, shown, action, who)


JUST_NOW = Pressed(away=timedelta(0))

GIVES_UP = (Action.CANCEL, Action.ROLL_BACK)
"""Pressed less often than the rest, or no rotation would get far."""


def _fitting(town: Town, shown: Rotation, action: Action) -> str:
    asks_approver = action in (Action.DELETE_OLD_KEY, Action.ACCEPT_UNPROVED)
    return town.random.choice(APPROVERS[:2]) if asks_approver else shown.requested_by


def click(town: Town, shown: Rotation, action: Action, who: str) -> None:
    """Press *action* on a card; now and then twice, or delivered twice."""
    for _ in range(2 if town.random.random() < 0.15 else 1):
        PRESSES[action](town, shown, who)


def give(town: Town, shown: Rotation, who: str, secret: str = "") -> None:
    """Fill in the form, and what the process does with the secret."""
    secret = secret or _some_secret(town)

    async def work() -> None:
        if town.random.random() < 0.5:
            await town.service.offer_secret_form(shown.id, by=who)
        taken = await town.service.give_secret(shown.id, Submitted(secret, ""), by=who)
        await town.service.create_replacement(taken)

    town.begin(Actor("give", shown.id, who), work())


def _some_secret(town: Town) -> str:
    pick = town.random.random()
    if pick < 0.7:
        return town.secret()
    if pick < 0.8 and town.good_secrets:
        return town.random.choice(town.good_secrets)
    return OLD_SECRET if pick < 0.85 else f"sk-wrong-{town.random.getrandbits(64):016x}"


def approve(town: Town, shown: Rotation, who: str) -> None:
    """Press Delete old key; the same click may be delivered once more."""
    town.clicks += town.random.random() < 0.9
    seen = shown.seen if shown.state == "AWAITING_APPROVAL" else None
    work = town.service.approve(shown.id, by=who, pressed=JUST_NOW, click=f"click-{town.clicks}", shown=seen)
    town.begin(Actor("approve", shown.id, who, shown=seen or ""), work)  # type: ignore[arg-type]


def accept(town: Town, shown: Rotation, who: str) -> None:
    """Accept some of the models that are unproved."""
    nobody = [] if acceptable_as_a_whole(shown) else ["m_unknown"]
    models = [model.id for model in acceptable(shown)] or nobody
    chosen = models if town.random.random() < 0.7 else models[:1]

    async def work() -> None:
        form = shown_unproved(await town.service.offer_acceptance(shown.id, by=who))
        await town.service.accept_unproved(shown.id, chosen, "known trouble", by=who, shown=form, pressed=JUST_NOW)

    town.begin(Actor("accept", shown.id, who), work())


def another(town: Town, shown: Rotation, who: str) -> None:
    """Press Another secret, and perhaps fill in the form that opens."""

    async def work() -> None:
        await town.service.another_secret(shown.id, by=who)
        if town.random.random() < 0.7:
            give(town, shown, who)

    town.begin(Actor("another", shown.id, who), work())


def _plain(name: str) -> Callable[[Town, Rotation, str], None]:
    def pressed(town: Town, shown: Rotation, who: str) -> None:
        town.begin(Actor(name, shown.id, who), getattr(town.service, name)(shown.id, by=who))

    return pressed


PRESSES: dict[Action, Callable[[Town, Rotation, str], None]] = {
    Action.ENTER_SECRET: give,
    Action.CANCEL: _plain("cancel"),
    Action.TRY_AGAIN: _plain("try_again"),
    Action.ANOTHER_SECRET: another,
    Action.ROLL_BACK: _plain("roll_back"),
    Action.ACCEPT_UNPROVED: accept,
    Action.DELETE_OLD_KEY: approve,
}


def rivals(town: Town) -> None:
    """Two people press different things on one card in the same moment."""
    cards = [seen[-1] for seen in town.board.cards.values() if len(offered(seen[-1])) > 1]
    if cards:
        shown = town.random.choice(cards)
        for action in town.random.sample(offered(shown), 2):
            PRESSES[action](town, shown, _fitting(town, shown, action))


def all_ask(town: Town) -> None:
    """Several people ask for one key in the same moment."""
    key = town.random.choice(KEYS)
    for who in town.random.sample(EVERYBODY, 3):
        ask(town, key, who)


def all_give(town: Town) -> None:
    """Everybody who is asked for a secret gives it in the same moment."""
    for seen in list(town.board.cards.values()):
        if Action.ENTER_SECRET in offered(seen[-1]):
            give(town, seen[-1], seen[-1].requested_by, town.secret())


def both_approve(town: Town) -> None:
    """All approvers press at once."""
    cards = [seen[-1] for seen in town.board.cards.values() if Action.DELETE_OLD_KEY in offered(seen[-1])]
    if cards:
        shown = town.random.choice(cards)
        for who in APPROVERS:
            approve(town, shown, who)


def approve_what_was(town: Town) -> None:
    """Somebody presses Delete old key on a card that has changed since, though it asks the same again."""
    for seen in list(town.board.cards.values()):
        older = [r for r in seen if r.state == "AWAITING_APPROVAL" and r.seen != seen[-1].seen]
        if older and seen[-1].state == "AWAITING_APPROVAL":
            approve(town, older[-1], _fitting(town, older[-1], Action.DELETE_OLD_KEY))


# --- the bot's own work ---


def work(town: Town) -> None:
    """Workers take hints."""
    due = town.hints.due()
    for key in town.random.sample(due, min(len(due), town.random.choice((1, 1, 2, 3)))):
        town.take(key)


def lose_a_hint(town: Town) -> None:
    if town.hints.waiting:
        town.hints.waiting.pop(town.random.choice(list(town.hints.waiting)))


def work_twice(town: Town) -> None:
    """A hint is given twice: two workers look at one rotation."""
    due = town.hints.due()
    if due:
        key = town.random.choice(due)
        again = town.hints.waiting[key]
        town.take(key)
        town.hints.waiting[key] = again
        town.take(key)


def sweep(town: Town) -> None:
    town.sweep()


# --- time ---


def wait(town: Town) -> None:
    """Time passes until somebody who sleeps wakes."""
    if town.switchboard.next_timer is not None:
        town.switchboard.now += town.switchboard.next_timer


def jump(town: Town) -> None:
    """Time passes over what is waited for: a poll, the soak, a reminder, the age of evidence, an expiry."""
    town.switchboard.now += town.random.choice((1, 5, 5, 30, 30, 60, 130, 130, 600, 3600, 14_400, 86_400, 260_000))


# --- crashes and faults ---


def kill_one(town: Town) -> None:
    """A process dies at the call where it is."""
    alive = [actor for actor, task in town.actors if not task.done()]
    if alive:
        actor = town.random.choice(alive)
        town.switchboard.note(f"KILLED {actor.name}/{actor.rotation}")
        town.switchboard.kill(actor)


def kill_all(town: Town) -> None:
    """The power fails: every process dies, and the queue's hints with them, perhaps."""
    for actor, task in town.actors:
        if not task.done():
            town.switchboard.kill(actor)
    if town.random.random() < 0.5:
        town.hints.waiting.clear()


# --- what others do in AISIX and in Slack ---


def _a_key(town: Town) -> ProviderKey:
    """Some key; a key that is being rotated more often than another."""
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


def is_asking(town: Town) -> bool:
    """Whether an approver is asked: what changes now, the card does not show."""
    return any(r.state == "AWAITING_APPROVAL" for r in town.laws.records.values())


def bind(town: Town) -> None:
    """Somebody makes a new model on some key."""
    name = f"latecomer-{len(town.aisix.models)}-{town.switchboard.turns}"  # an alias is used once in an environment
    environment = town.random.choice(("production", "staging"))
    town.aisix.add_model(environment, name, key=_a_key(town), upstream="gpt-4o", settled=False)


def take_over(town: Town) -> None:
    """Somebody points a model at some key."""
    models = [model for model in town.aisix.models.values() if model.provider_key_id]
    if models:
        town.aisix.edit(town.random.choice(models), key=_a_key(town))


def delete_model(town: Town) -> None:
    models = [m for m in town.aisix.models.values() if m.provider_key_id]
    if models:
        town.aisix.remove(town.random.choice(models))


def delete_key(town: Town) -> None:
    """Somebody deletes a key, used or not."""
    if len(town.aisix.provider_keys) > 1:
        town.aisix.remove(_a_key(town))


def add_route(town: Town) -> None:
    """Somebody makes a passthrough route on some key."""
    town.aisix.add_passthrough(
        "production",
        f"route-{town.switchboard.turns}-{town.actions}",
        key=_a_key(town),
        settled=False,
    )


def add_router(town: Town) -> None:
    """Somebody makes an alias that reaches a model: the approver has not seen it."""
    targets = [m for m in town.aisix.models.values() if m.provider_key_id and not m.display_name.startswith("keyturn-")]
    if targets:
        target = town.random.choice(targets)
        name = f"router-{town.switchboard.turns}-{town.actions}"
        town.aisix.add_model(target.environment_id, name, kind="routing", targets=[target], settled=False)


def edit_key(town: Town) -> None:
    """Somebody changes a setting of a key: the replacement is not like the old one any more."""
    base = town.random.choice(("https://one.example/v1", "https://two.example/v1"))
    town.aisix.edit(_a_key(town), api_base=base)


def change_approvers(town: Town) -> None:
    """Somebody joins or leaves the approvers: often one who has approved already, and is not enough."""
    waiting = [a.by for r in town.laws.records.values() if r.state == "AWAITING_APPROVAL" for a in r.approvals]
    town.people.approvers ^= {town.random.choice(waiting if waiting and town.random.random() < 0.7 else EVERYBODY)}


def is_half_approved(town: Town) -> bool:
    """Whether somebody has approved, and another one has to as well."""
    return any(r.state == "AWAITING_APPROVAL" and r.approvals for r in town.laws.records.values())


def provider_acts_up(town: Town) -> None:
    """The provider refuses, or fails, or recovers, for one secret."""
    secret = town.random.choice([OLD_SECRET, *town.good_secrets])
    town.aisix.upstream.set(secret, town.random.choice((401, 429, 500, "ok", "ok", "unreachable", "garbage")))


def replica_acts_up(town: Town) -> None:
    """A replica falls behind, catches up, goes down, comes back, or starts again."""
    replica = town.random.choice(town.aisix.all_replicas())
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
    """A replica that nobody has written down comes, is cut off or not any more, or goes."""
    unlisted = [replica for replica in town.aisix.all_replicas() if not replica.is_listed]
    if not unlisted:
        replica = town.aisix.place_replica("production")
        replica.down = town.random.random() < 0.6
        if town.random.random() < 0.8:
            town.wire.behind.add(replica)
        return
    match town.random.choice(("cut off", "cut off", "in touch", "down", "up", "gone")):
        case "cut off":
            town.wire.behind.add(unlisted[0])
        case "in touch":
            town.wire.behind.discard(unlisted[0])
        case "gone":
            town.remove_unlisted()
        case word:
            unlisted[0].down = word == "down"


def unlisted_comes_up(town: Town) -> None:
    """A replica that nobody has written down was asleep when all was proved, and takes part from now on."""
    for replica in town.aisix.all_replicas():
        replica.down = replica.down and replica.is_listed


# --- machines ---


def jump_a_clock(town: Town) -> None:
    """The clock of a machine is set, rightly or wrongly."""
    town.random.choice(town.machines).ahead = town.random.choice(AHEAD)


def freeze(town: Town) -> None:
    """A worker stands still where it is."""
    alive = [actor for actor, task in town.actors if actor.is_worker and not actor.frozen and not task.done()]
    if alive:
        town.switchboard.freeze(town.random.choice(alive))


def take_over_from_the_frozen(town: Town) -> None:
    """The lease of a worker that stands still runs out, and somebody looks for what was left lying."""
    town.switchboard.now += town.random.choice((2.5, 3, 3, 5, 30, 700))
    town.sweep()
    for key in town.hints.due():
        town.take(key)


def outlive_the_lease(town: Town) -> None:
    """A worker that stood still goes on when its lease is over and nobody has taken over yet."""
    town.switchboard.now += 2.5
    thaw(town)


def thaw(town: Town) -> None:
    """A worker that stood still goes on."""
    if town.frozen:
        town.switchboard.thaw(town.random.choice(town.frozen))


WORST = (bind, take_over, add_route, add_router)
"""What others do at the worst moment."""

DRIFT = (bind, take_over, delete_model, delete_key, add_route, add_router, edit_key)
