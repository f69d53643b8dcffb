"""Every action of every kind of person, through the real app: one table, every cell filled in.

People who do not belong here are named in every setting all the same, and asked for the rotation: it must not help.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from redis import Redis

from bot.app import Parts
from bot.rotation.actions import Action
from bot.rotation.age import Age, DueKey, DueKeys, by_age
from bot.rotation.batch import Batch, Entry, Halt, ready
from bot.rotation.credentials import Usage
from bot.rotation.errors import AmbiguousKey
from bot.rotation.history import Wanted
from bot.rotation.inventory import ProviderKey
from bot.rotation.overview import Sights, overview
from bot.rotation.parts import Phase, Way, Which
from bot.rotation.policy import Permissions, Person
from bot.rotation.record import Rotation
from handlers.commands import COMMAND, WORDS
from handlers.errors import CHOOSE_KEY, explain
from handlers.holding import VERBS
from handlers.picking import ROTATE, ROTATE_HERE
from handlers.several import SEVERAL
from handlers.views.ages import age_list
from handlers.views.anyway import DELETE_FORM, START_FORM, delete_form, start_form
from handlers.views.asking import (
    ANSWER_FORM,
    NOT_NEEDED_FORM,
    NOT_YET_FORM,
    QUESTION_FORM,
    answer_form,
    not_needed_form,
    not_yet_form,
    question_form,
)
from handlers.views.batch import BATCH_FORM, batch_form, digest
from handlers.views.exposure_forms import exposure_form, review_form
from handlers.views.history import HISTORY_PAGE, history_form, history_page
from handlers.views.holding import HOLD_FORM, hold_form
from handlers.views.home import home
from handlers.views.links import LINKS
from handlers.views.minting import MINT_FORM, mint_form
from handlers.views.modal import (
    ACCEPTANCE_FORM,
    PICKER,
    SECRET_FORM,
    TAKE_BACK_FORM,
    VALUE,
    acceptance_form,
    picker,
    secret_form,
    take_back_form,
)
from handlers.views.there_forms import REVOKE_FORM, ROW_FORM, revoke_form, row_form
from sandbox.slack import Message
from sandbox.slack.person import Person as Actor
from sandbox.slack.reading import plain
from tests.handlers import records as r
from tests.handlers.cases import STOPS
from tests.handlers.test_manifest import registered
from tests.stories.test_step_up import url_in
from tests.support.browser import Browser
from tests.support.issuer import issuer_of
from tests.support.providers import Account, Accounts
from tests.support.stage import KEY, NEW_SECRET, Stage, free_port, stage_of

TABLE = """
                        requester colleague approver both member removed guest single external stranger bot gone
command                     x         x        R      x     R       R      g     g       f        e      b   d
command NAME                x         x        R      x     R       R      g     g       f        e      b   d
command status              x         x        x      x     x       x      g     g       f        e      b   d
command history             x         x        x      x     x       x      g     g       f        e      b   d
command several             x         x        R      x     R       R      g     g       f        e      b   d
command hold                H         H        x      x     H       H      g     g       f        e      b   d
command unhold              H         H        x      x     H       H      g     g       f        e      b   d
command history key:openai  x         x        x      x     x       x      g     g       f        e      b   d
command receipt r7k2abc     x         x        x      x     x       x      g     g       f        e      b   d
command token r7k2abc       x         S        R      x     R       R      g     g       f        e      b   d
command help                x         x        x      x     x       x      x     x       f        x      x   x
shortcut rotate_a_key       x         x        R      x     R       R      g     g       e        e      b   d
shortcut rotate_a_key_here  x         x        R      x     R       R      g     g       e        e      b   d
event app_home_opened       x         x        x      x     x       x      g     g       e        e      b   d
action home_pick            x         x        R      x     R       R      g     g       e        e      b   d
action home_rotate          x         x        R      x     R       R      g     g       e        e      b   d
action home_history         x         x        x      x     x       x      g     g       e        e      b   d
view history_form           x         x        x      x     x       x      g     g       e        e      b   d
view history_page           x         x        x      x     x       x      g     g       e        e      b   d
action enter_secret         x         S        R      x     R       R      g     g       e        e      b   d
action mint                 x         S        R      x     R       R      g     g       e        e      b   d
action cancel               x         T        x      x     T       T      g     g       e        e      b   d
action start                A         A        x      A     A       A      g     g       e        e      b   d
action try_again            x         T        x      x     T       T      g     g       e        e      b   d
action another_secret       x         S        R      x     R       R      g     g       e        e      b   d
action verify_again         x         T        x      x     T       T      g     g       e        e      b   d
action roll_back            x         T        x      x     T       T      g     g       e        e      b   d
action on_it                x         T        x      x     T       T      g     g       e        e      b   d
action accept_unproved      A         A        x      A     A       A      g     g       e        e      b   d
action delete_old_key       A         A        x      A     A       A      g     g       e        e      b   d
action not_yet              A         A        x      A     A       A      g     g       e        e      b   d
action ask                  A         A        x      A     A       A      g     g       e        e      b   d
action answer               x         N        N      x     N       N      g     g       e        e      b   d
action revoked              x         T        x      x     T       T      g     g       e        e      b   d
action revoke_there         A         A        x      A     A       A      g     g       e        e      b   d
action choose_row           A         A        x      A     A       A      g     g       e        e      b   d
action enable_again         x         T        x      x     T       T      g     g       e        e      b   d
action not_needed           A         A        x      A     A       A      g     g       e        e      b   d
action exposed              x         T        x      x     T       T      g     g       e        e      b   d
action review               x         T        x      x     T       T      g     g       e        e      b   d
action choose_key           x         x        R      x     R       R      g     g       e        e      b   d
action go_on                x         T        x      x     T       T      g     g       e        e      b   d
action end_batch            x         T        x      x     T       T      g     g       e        e      b   d
action approve_ready        A         A        x      A     A       A      g     g       e        e      b   d
action several_keys         x         x        R      x     R       R      g     g       e        e      b   d
action rotate_listed        x         x        R      x     R       R      g     g       e        e      b   d
options value               x         x        -      x     -       -      -     -       -        -      -   -
view picker                 x         x        R      x     R       R      g     g       e        e      b   d
view secret_form            x         S        R      x     R       R      g     g       e        e      b   d
view mint_form              x         S        R      x     R       R      g     g       e        e      b   d
view take_back_form         x         S        R      x     R       R      g     g       e        e      b   d
view acceptance_form        A         A        x      A     A       A      g     g       e        e      b   d
view batch_form             x         x        R      x     R       R      g     g       e        e      b   d
view hold_form              H         H        x      x     H       H      g     g       e        e      b   d
view delete_form            A         A        x      A     A       A      g     g       e        e      b   d
view start_form             A         A        x      A     A       A      g     g       e        e      b   d
view not_yet_form           A         A        x      A     A       A      g     g       e        e      b   d
view question_form          A         A        x      A     A       A      g     g       e        e      b   d
view answer_form            x         N        N      x     N       N      g     g       e        e      b   d
view revoke_form            A         A        x      A     A       A      g     g       e        e      b   d
view row_form               A         A        x      A     A       A      g     g       e        e      b   d
view not_needed_form        A         A        x      A     A       A      g     g       e        e      b   d
view exposure_form          x         T        x      x     T       T      g     g       e        e      b   d
view review_form            x         T        x      x     T       T      g     g       e        e      b   d
"""
"""x: done; -: an empty menu, that has no place for words; the letters are the sentences below."""

SENTENCES = {
    "R": "You may not rotate keys: the settings (REQUESTERS) do not name you.",
    "S": "who asked for this rotation, can give the secret.",
    "T": "or an approver can do this.",
    "H": "Only an approver can put a key on hold",
    "A": "Only an approver other than",
    "N": "who asked for this rotation, can answer.",
    "g": "Guests cannot use Keyturn. Ask a full member of this workspace.",
    "e": "Only members of this workspace can use Keyturn; you are from another one.",
    "b": "Only people can use Keyturn.",
    "d": "This account is deactivated.",
    "?": "Slack does not tell Keyturn",
    "unknown": "Keyturn does not know this rotation any more.",
    "f": "Keyturn serves the workspace that it is installed in",
    "stale": "What you saw is not what is asked now",
}
KINDS, *ROWS = TABLE.strip("\n").splitlines()
WHO = KINDS.split()
CELLS = {" ".join(line.split()[: -len(WHO)]): dict(zip(WHO, line.split()[-len(WHO) :], strict=True)) for line in ROWS}

OUTSIDERS = ("guest", "single", "external", "stranger", "bot", "gone")
ASKED = {"both", *OUTSIDERS}
"""Who asked for the rotation themselves, in their own column."""


FORMS = (
    PICKER,
    SECRET_FORM,
    MINT_FORM,
    TAKE_BACK_FORM,
    ACCEPTANCE_FORM,
    DELETE_FORM,
    START_FORM,
    HOLD_FORM,
    BATCH_FORM,
    NOT_NEEDED_FORM,
    REVOKE_FORM,
    ROW_FORM,
    NOT_YET_FORM,
    QUESTION_FORM,
    ANSWER_FORM,
)
NOW = datetime.now(UTC)
A_DAY = (NOW + timedelta(days=30)).date().isoformat()


def id_of(who: str) -> str:
    return f"U_{who.upper()}"


def populated(stage: Stage) -> None:
    """Let everybody be there, and name the people who do not belong in every setting."""
    slack = stage.slack
    slack.add_user("U_COLLEAGUE", "colleague")
    slack.add_user("U_BOTH", "both")
    slack.add_user("U_REMOVED", "removed")
    slack.add_user("U_SINGLE", "single", single_channel_guest=True)
    slack.add_user("U_EXTERNAL", "external", team="T_OTHER")
    slack.add_user("U_STRANGER", "stranger", stranger=True)
    slack.add_user("U_BOT", "bot", bot=True)
    slack.add_user("U_GONE", "gone", deleted=True)
    slack.channels["C_OPS"].members |= set(map(id_of, WHO))
    slack.channels["C_OPS"].shared = True
    outsiders = [id_of(who) for who in OUTSIDERS]
    slack.groups["S_APPROVERS"].members = ["U_APPROVER", "U_BOTH", "U_REMOVED", *outsiders]
    slack.add_group("S_REQUESTERS", "requesters", ["U_REQUESTER", "U_COLLEAGUE", "U_BOTH", *outsiders])
    stage.overrides["REQUESTERS"] = "S_REQUESTERS"
    stage.overrides["ONE_APPROVAL_FOR_A_BATCH"] = "true"


class Scene(NamedTuple):
    """One person before one rotation."""

    stage: Stage
    built: Parts
    person: Actor
    rotation: Rotation
    card: Message | None

    @property
    def said(self) -> list[str]:
        """What only they have been told."""
        said = [each["text"] for each in self.person.ephemerals if "provider keys match" not in each["text"]]
        said += [message.plain for message in self.stage.slack.direct_messages(self.person.id)]
        return said


Do = Callable[[Scene], Awaitable[Any]]


class Act(NamedTuple):
    """Something that people do: at which moment of a rotation, how, and the words that come of it if any do."""

    do: Do
    at: Rotation = r.awaiting_secret()
    words: str = ""


def click(action: Action) -> Do:
    return lambda scene: scene.person.click(action.value, scene.card)


def type_in(text: str) -> Do:
    return lambda scene: scene.person.command(text)


def submit(form: Callable[[Scene], Any], **fields: Any) -> Do:
    """Send a form that was opened while that was allowed, its menu filled as it is for somebody who may ask."""

    async def submitted(scene: Scene) -> Any:
        site, key = scene.stage.slack.site, scene.stage.key_named(KEY)
        site.views.open(scene.person.id, form(scene))
        shown = [{"text": {"type": "plain_text", "text": KEY}, "value": key.id}]
        site.offered[scene.person.id, "key", VALUE] = shown
        return await scene.person.submit(fields)

    return submitted


async def choose(scene: Scene) -> Any:
    key = scene.stage.key_named(KEY)
    said, blocks = explain(AmbiguousKey(KEY, ((KEY, key.id), ("Other", "pk_other"))))
    shown = scene.stage.slack.site.whisper(scene.person.id, said, blocks, channel="C_OPS")
    return await scene.person.choose(KEY, shown)


async def look(scene: Scene) -> Any:
    scene.stage.slack.site.views.homes.pop(scene.person.id, None)
    return await scene.person.open_home()


def on_home(label: str) -> Do:
    """Press a button of a Home tab that was drawn while the person might do everything."""

    async def pressed(scene: Scene) -> Any:
        everything = Permissions(person=Person(id=scene.person.id), may_request=True, approver=True)
        key = scene.stage.key_named(KEY)
        keys = by_age((ProviderKey(id=key.id, display_name=KEY),), {})
        view = home(overview(Sights((), (), keys=keys), everything), {}, scene.built.world.now())
        return await scene.person.click(label, scene.stage.slack.site.views.publish(scene.person.id, view))

    return pressed


def in_batch(label: str, halt: Halt | None = None) -> Do:
    """Press a button of the batch that the rotation before this person belongs to."""

    async def pressed(scene: Scene) -> Any:
        rotation, store = scene.rotation, scene.built.store
        entry = Entry(key_id=rotation.plan.old_key.id, name="Old", rotation=rotation.id)
        fields = {"team": rotation.team, "channel": "C_OPS", "by": rotation.requested_by, "at": NOW}
        batch = Batch(id="rbatch2", entries=(entry,), halt=halt, **fields)
        saved = await store.save_batch(batch, {"by": "a test", "what": "recorded", "why": ""}, at=NOW)
        covers = ready(saved, [rotation])
        content = digest(saved, {rotation.id: rotation}, {}, covers)
        shown = scene.stage.slack.site.whisper(scene.person.id, "", content["blocks"], channel="C_OPS")
        scene.stage.slack.site.ephemerals.clear()
        return await scene.person.click(label, shown)

    return pressed


async def several_keys(scene: Scene) -> Any:
    """Press the button of a picker that was opened while the person might ask; what is left of it is no form."""
    slack, person = scene.stage.slack, scene.person
    slack.site.views.open(person.id, picker("C_OPS"))
    pressed = await person.click("Several keys…")
    await slack.until(lambda: scene.said or (person.modal or {}).get("callback_id") == BATCH_FORM, what="an answer")
    if scene.said:
        slack.site.views.stacks.clear()
    return pressed


async def rotate_listed(scene: Scene) -> Any:
    key = ProviderKey(id=scene.stage.key_named(KEY).id, display_name=KEY)
    due = DueKeys((DueKey(key, Age(NOW)),), 0)
    shown = scene.stage.slack.site.whisper(scene.person.id, "", age_list(due, {}, NOW)["blocks"], channel="C_OPS")
    scene.stage.slack.site.ephemerals.clear()
    return await scene.person.click("Rotate", shown)


async def type_ahead(scene: Scene) -> Any:
    scene.stage.slack.site.views.open(scene.person.id, picker("C_OPS"))
    return await scene.person.type_ahead("open")


REVIEW_DUE = r.exposed(r.completed_after_watch())

TO_REVOKE = r.at_openrouter(r.completed(revocation=r.revocation()))

ACTS: Mapping[str, Act] = {
    "command": Act(type_in("")),
    "command NAME": Act(type_in(KEY)),
    "command status": Act(type_in("status"), words="Under way:"),
    "command history": Act(type_in("history"), words="The last rotations:"),
    "command several": Act(type_in(SEVERAL)),
    "command hold": Act(type_in(f"hold {KEY}")),
    "command unhold": Act(type_in(f"unhold {KEY}"), words="No hold counts for that key."),
    "command history key:openai": Act(type_in("history key:openai"), words="Found, the newest first:"),
    "command receipt r7k2abc": Act(type_in("receipt r7k2abc"), words="It has no receipt"),
    "command token r7k2abc": Act(type_in("token r7k2abc"), words="The token for `keyturn secret r7k2abc"),
    "command help": Act(type_in("help"), words="rotates a provider key without an outage"),
    "shortcut rotate_a_key": Act(lambda scene: scene.person.shortcut(ROTATE)),
    "shortcut rotate_a_key_here": Act(lambda scene: scene.person.shortcut(ROTATE_HERE, scene.card)),
    "event app_home_opened": Act(look, words="Waits for you"),
    "action home_pick": Act(on_home("Rotate a key")),
    "action home_rotate": Act(on_home("Rotate")),
    "action home_history": Act(on_home("History…")),
    "view history_form": Act(submit(lambda _: history_form(), key=""), words="1 rotation."),
    "view history_page": Act(submit(lambda _: history_page(Wanted(), (), 0, 1, 2)), words="1 rotation."),
    "action enter_secret": Act(click(Action.ENTER_SECRET)),
    "action mint": Act(click(Action.MINT), r.awaiting_secret(**r.BY_OPENAI)),
    "action cancel": Act(click(Action.CANCEL)),
    "action start": Act(click(Action.START), r.awaiting_start()),
    "action try_again": Act(click(Action.TRY_AGAIN), STOPS["rejected"]),
    "action another_secret": Act(click(Action.ANOTHER_SECRET), STOPS["rejected"]),
    "action verify_again": Act(click(Action.VERIFY_AGAIN), r.awaiting_approval()),
    "action roll_back": Act(click(Action.ROLL_BACK), STOPS["rejected"]),
    "action on_it": Act(click(Action.ON_IT), STOPS["rejected"]),
    "action accept_unproved": Act(click(Action.ACCEPT_UNPROVED), STOPS["unverified"]),
    "action delete_old_key": Act(click(Action.DELETE_OLD_KEY), r.awaiting_approval()),
    "action not_yet": Act(click(Action.NOT_YET), r.awaiting_approval()),
    "action ask": Act(click(Action.ASK), STOPS["rejected"]),
    "action answer": Act(click(Action.ANSWER), r.awaiting_approval(questions=(r.QUESTION,))),
    "action revoked": Act(click(Action.REVOKED), r.completed(revocation=r.revocation())),
    "action not_needed": Act(click(Action.NOT_NEEDED), r.rolled_back(revocation=r.revocation(Which.NEW))),
    "action revoke_there": Act(lambda scene: scene.person.click("Disable at OpenRouter…", scene.card), TO_REVOKE),
    "action choose_row": Act(click(Action.CHOOSE_ROW), TO_REVOKE.but(old_row=None)),
    "action enable_again": Act(click(Action.ENABLE_AGAIN), r.there(Phase.DISABLED)),
    "action exposed": Act(click(Action.EXPOSED)),
    "action review": Act(click(Action.REVIEW), REVIEW_DUE),
    "action choose_key": Act(choose),
    "action go_on": Act(in_batch("Go on", Halt(rotation="rother2", why="cancelled", at=NOW))),
    "action end_batch": Act(in_batch("End the batch")),
    "action approve_ready": Act(in_batch("Approve all ready"), r.awaiting_approval(), words="Approved: "),
    "action several_keys": Act(several_keys),
    "action rotate_listed": Act(rotate_listed),
    "options value": Act(type_ahead),
    "view picker": Act(submit(lambda _: picker("C_OPS"), key=KEY)),
    "view secret_form": Act(submit(lambda scene: secret_form(scene.rotation, "new"), secret=NEW_SECRET)),
    "view mint_form": Act(submit(lambda scene: mint_form(scene.rotation, "new")), r.awaiting_secret(**r.BY_OPENAI)),
    "view take_back_form": Act(submit(lambda scene: take_back_form(scene.rotation)), STOPS["rejected"]),
    "view acceptance_form": Act(
        submit(
            lambda scene: acceptance_form(scene.rotation),
            causes=["chat-large in production"],
            reason="tried by hand",
        ),
        STOPS["unverified"],
    ),
    "view batch_form": Act(submit(lambda _: batch_form("C_OPS"), provider="openai")),
    "view hold_form": Act(
        submit(lambda scene: hold_form(scene.rotation.plan.old_key, "C_OPS", None), reason="an audit", until=A_DAY),
        words=" is on hold until ",
    ),
    "view delete_form": Act(
        submit(lambda scene: delete_form(scene.rotation), reason="tried by hand"),
        r.awaiting_approval(tally=r.FAILING_CALLERS),
    ),
    "view start_form": Act(
        submit(lambda scene: start_form(scene.rotation), reason="noon is over"),
        r.awaiting_start(put_off=(r.PUT_OFF,)),
    ),
    "view not_yet_form": Act(
        submit(lambda scene: not_yet_form(scene.rotation), reason="the vendor looks into it"), r.awaiting_approval()
    ),
    "view question_form": Act(
        submit(lambda scene: question_form(scene.rotation), question="is the nightly job on it?"), r.awaiting_approval()
    ),
    "view answer_form": Act(
        submit(lambda scene: answer_form(scene.rotation, 1), answer="no, since March"),
        r.awaiting_approval(questions=(r.QUESTION,)),
    ),
    "view revoke_form": Act(
        submit(lambda scene: revoke_form(scene.rotation, r.ROW, r.LOOK.but(usage=Usage(is_known=True)))), TO_REVOKE
    ),
    "view row_form": Act(
        submit(lambda scene: row_form(scene.rotation, [r.ROW]), row=r.ROW.id), TO_REVOKE.but(old_row=None)
    ),
    "view not_needed_form": Act(
        submit(lambda scene: not_needed_form(scene.rotation), reason="it expires today"),
        r.completed(revocation=r.revocation()),
    ),
    "view exposure_form": Act(submit(lambda scene: exposure_form(scene.rotation), what="in a build log")),
    "view review_form": Act(submit(lambda scene: review_form(scene.rotation), reach="all models"), REVIEW_DUE),
}


def test_the_table_has_a_row_for_every_listener_and_every_word_and_a_cell_for_everybody() -> None:
    links = {f"action {name}" for name in LINKS}  # they only open a page
    listeners = {f"{kind} {name}" for kind, name in registered()} - {f"command {COMMAND}"} - links
    buttons = {f"action {action.name.lower()}" for action in Action}
    words = {"command", "command NAME", *(f"command {word}" for word in (*WORDS, *VERBS, SEVERAL) if word != "receipt")}
    words |= {"command history key:openai", "command receipt r7k2abc", "command token r7k2abc"}

    assert CELLS.keys() == ACTS.keys() == listeners | buttons | words
    assert {f"view {name}" for name in FORMS} <= listeners
    assert {f"action {CHOOSE_KEY}", f"options {VALUE}"} <= listeners
    assert all(set(row) == set(WHO) for row in CELLS.values())


@asynccontextmanager
async def house(redis_url: str) -> AsyncIterator[tuple[Stage, Parts]]:
    """Run the half of the bot that people talk to, with everybody there."""
    async with stage_of(redis_url) as stage:
        populated(stage)
        stage.overrides["LEASE"] = "60"  # nobody dies here: a busy machine is no reason to lose a lease
        there = Account(lambda: NOW, "openrouter", "OpenRouter", kept={r.ROW.id: r.ROW})
        stage.providers = Accounts(openai=Account(lambda: NOW, "openai-prod"), openrouter=there)
        async with stage.front() as built:
            yield stage, built


async def scene_of(stage: Stage, built: Parts, act: Act, who: str) -> Scene:
    """Put one rotation at the moment of *act* before *who*, with its card in the channel, and nothing else."""
    with Redis.from_url(stage.redis_url) as redis:
        redis.flushdb()
    slack, person = stage.slack, stage.slack.person(id_of(who))
    slack.site.ephemerals.clear()
    slack.site.views.stacks.clear()
    slack.site.views.homes.clear()
    for message in [*slack.messages("C_OPS"), *slack.direct_messages(person.id)]:
        slack.remove(message)
    rotation = act.at.but(version=0, requested_by=person.id if who in ASKED else "U_REQUESTER")
    event = {"by": "a test", "what": "recorded", "why": ""}
    saved = await built.store.save(rotation, event, at=built.world.now())
    await built.announcer.first(saved)
    for message in slack.direct_messages(person.id):  # a page, where callers fail
        slack.remove(message)
    if who == "removed":  # an approver when the card was shown, and no more a second later
        slack.groups["S_APPROVERS"].members.remove(person.id)
    return Scene(stage, built, person, saved, slack.messages("C_OPS")[0])


async def outcome(scene: Scene, act: Act, do: Do | None = None) -> str:
    """Do it, and return the cell that came of it; nothing may have changed but in the cell x."""
    before = len(scene.stage.aisix.calls)
    result = await (do or act.do)(scene)
    if isinstance(result, list):
        return "x" if result else "-"
    async with asyncio.timeout(120):
        while not (found := await _seen(scene, act, result)):  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.01)
    while found == "x" and _is_creating(await scene.built.store.load(scene.rotation.id)):  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.01)
    changes = [call for call in scene.stage.aisix.calls[before:] if call.method != "GET"]
    if found != "x":
        assert changes == []
        assert await scene.built.store.load(scene.rotation.id) == scene.rotation
        assert len(scene.stage.slack.messages("C_OPS")) == 1
    return found


def _is_creating(rotation: Rotation | None) -> bool:
    """Tell whether a replacement has been asked for, and the answer is not recorded yet: that is after the click."""
    wanted = rotation.replacement if rotation else None
    return wanted is not None and wanted.way is not Way.MINTED and not (wanted.key_id or wanted.refusal)


async def _seen(scene: Scene, act: Act, result: Any) -> str:
    errors = list(getattr(result, "errors", {}).values())
    modal = scene.person.modal or {}
    is_told = modal.get("callback_id") in ("", HISTORY_PAGE)
    notice = [block["text"]["text"] for block in modal.get("blocks", ()) if is_told and "text" in block][:1]
    tab = [plain(scene.person.home["blocks"])] if act.do is look and scene.person.home else []
    if told := [*errors, *scene.said, *notice, *tab]:
        return _cell(told[-1], act)
    changed = await scene.built.store.load(scene.rotation.id) != scene.rotation
    opened = scene.person.modal is not None and not hasattr(result, "closed")
    return "x" if changed or opened or len(scene.stage.slack.messages("C_OPS")) > 1 else ""


def _cell(told: str, act: Act) -> str:
    if act.words and act.words in told:
        return "x"
    return next((cell for cell, sentence in SENTENCES.items() if sentence in told), told)


@pytest.mark.once("people")
@pytest.mark.parametrize(
    ("name", "people"),
    [
        *((name, (*WHO[:6], OUTSIDERS[number % 6])) for number, name in enumerate(CELLS)),
        *((name, tuple(OUTSIDERS)) for name in CELLS),
    ],
)
async def test_everybody_can_do_what_the_table_says_and_hears_why_not(
    redis_url: str, name: str, people: tuple[str, ...]
) -> None:
    """In `make test` one of those who do not belong here: one gate holds for all of them, on every way in."""
    act = ACTS[name]
    async with house(redis_url) as (stage, built):
        found = {who: await outcome(await scene_of(stage, built, act, who), act) for who in people}

    assert found == {who: CELLS[name][who] for who in people}


FLAGGED = Act(click(Action.DELETE_OLD_KEY), r.awaiting_approval(tally=r.FAILING_CALLERS))


async def test_where_something_speaks_against_the_delete_the_same_people_are_asked_why_and_then_it_counts(
    redis_url: str,
) -> None:
    found = {}
    async with house(redis_url) as (stage, built):
        for who in WHO:
            found[who] = await outcome(await scene_of(stage, built, FLAGGED, who), FLAGGED)
        assert found == CELLS["action delete_old_key"]

        scene = await scene_of(stage, built, FLAGGED, "approver")
        await FLAGGED.do(scene)
        await stage.slack.until(lambda: scene.person.modal, what="the form")
        assert await built.store.load(scene.rotation.id) == scene.rotation
        assert (await scene.person.submit({"reason": "theirs, not ours"})).closed
        approved = await built.store.load(scene.rotation.id)
        assert approved
        assert [word.reason for word in approved.approvals] == ["theirs, not ours"]


IN_TROUBLE = Act(click(Action.ANOTHER_SECRET), r.in_trouble(r.watched()), words="knows no provider key `91bc44d2")
"""After the delete; its new key is in no AISIX, and people who may not ask do not hear that."""


async def test_after_the_delete_people_who_may_ask_for_a_rotation_give_another_secret(redis_url: str) -> None:
    found = {}
    async with house(redis_url) as (stage, built):
        for who in WHO:
            found[who] = await outcome(await scene_of(stage, built, IN_TROUBLE, who), IN_TROUBLE)

    assert found == CELLS["action choose_key"]


def allowed(name: str) -> str:
    """Return somebody who may do it."""
    return next(who for who in ("requester", "approver") if CELLS[name][who] == "x")


CANNOT_TELL: Mapping[str, Callable[[Stage], None]] = {
    "who it is": lambda stage: stage.slack.faults.fail("users.info", error="internal_error", times=9),
    "who is in the group": lambda stage: stage.slack.faults.fail("usergroups.users.list", times=9),
    "groups at all": lambda stage: setattr(stage.slack, "plan_has_groups", False),
}
NEEDS_NO_GROUP = {
    *("command status", "command history", "command history key:openai", "command receipt r7k2abc"),
    *("action home_history", "view history_form", "view history_page"),
}


@pytest.mark.parametrize("unknown", CANNOT_TELL)
async def test_where_slack_cannot_tell_nobody_gets_in(redis_url: str, unknown: str) -> None:
    found, expected = {}, {}
    async with house(redis_url) as (stage, built):
        for name, act in ACTS.items():
            scene = await scene_of(stage, built, act, allowed(name))
            CANNOT_TELL[unknown](stage)
            found[name] = await outcome(scene, act)
            stage.slack.faults.clear()
            stage.slack.plan_has_groups = True
            open_ = name == "command help" or (name in NEEDS_NO_GROUP and "group" in unknown)
            expected[name] = "x" if open_ else "-" if name == "options value" else "?"

    assert found == expected


# --- forged ---

VALUES: tuple[Any, ...] = (
    "", "garbage", "r222222", "../r7k2abc", "r7k2abc ", "R7K2ABC", "r7k2abc\x00", "\ud800", "*", "x" * 100_000,
    7, None, True, [], {}, {"id": "r7k2abc"}, ["r7k2abc"],
)  # fmt: skip


def forged(action: str, **changes: Any) -> Do:
    """Send the click of a button as it never was on a card."""

    async def sent(scene: Scene) -> Any:
        genuine = {"action_id": action, "block_id": "b", "type": "button", "value": scene.rotation.id}
        body = {
            "type": "block_actions",
            "team": {"id": "T_HOME"},
            "user": {"id": scene.person.id, "team_id": "T_HOME"},
            "channel": {"id": "C_OPS"},
            "trigger_id": "t",
            "api_app_id": "A_KEYTURN",
            "actions": [{name: value for name, value in (genuine | changes).items() if value != "absent"}],
        }
        return await scene.stage.slack._deliver("interactive", body)  # noqa: SLF001 - what no client would send

    return sent


@pytest.mark.parametrize("action", Action)
async def test_a_value_that_no_button_carries_is_answered_and_does_nothing(redis_url: str, action: Action) -> None:
    name = f"action {action.name.lower()}"
    act = ACTS[name]
    async with house(redis_url) as (stage, built):
        for value in (*VALUES, "absent"):
            scene = await scene_of(stage, built, act, allowed(name))
            assert await outcome(scene, act, forged(action.name.lower(), value=value)) == "unknown"


@pytest.mark.parametrize("button", ["start", "delete_old_key"])
async def test_an_approval_that_does_not_say_what_was_seen_does_nothing(redis_url: str, button: str) -> None:
    act = ACTS[f"action {button}"]
    async with house(redis_url) as (stage, built):
        for block_id in ("b", "shown-", "shown-0", "shown-0000000000000000", None, 7, "absent"):
            scene = await scene_of(stage, built, act, "approver")
            assert await outcome(scene, act, forged(button, block_id=block_id)) == "stale"


ELSEWHERE: Mapping[str, dict[str, Any]] = {
    "another workspace": {"team": {"id": "T_OTHER"}, "team_id": "T_OTHER", "enterprise": None},
    "another organization": {
        "team": None, "team_id": "", "enterprise": {"id": "E_OTHER"}, "enterprise_id": "E_OTHER",
        "is_enterprise_install": True,
    },
    "another app": {"api_app_id": "A_OTHER"},
}  # fmt: skip


@pytest.mark.parametrize("where", ELSEWHERE)
async def test_what_comes_from_elsewhere_does_nothing_and_is_told(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    found = {}
    async with house(redis_url) as (stage, built):
        genuine = stage.slack._deliver  # noqa: SLF001 - what no workspace of ours would send

        async def elsewhere(kind: str, payload: dict[str, Any]) -> Any:
            changes = {name: value for name, value in ELSEWHERE[where].items() if name in payload or value}
            away = {**payload, **changes}
            if "api_app_id" not in ELSEWHERE[where] and isinstance(away.get("user"), dict):
                away["user"] = away["user"] | {"team_id": "E_OTHER" if where.endswith("organization") else "T_OTHER"}
            return await genuine(kind, away)

        monkeypatch.setattr(stage.slack, "_deliver", elsewhere)
        for name, act in ACTS.items():
            found[name] = await outcome(await scene_of(stage, built, act, allowed(name)), act)
        stage.slack.complaints.clear()  # a type-ahead that is not answered shows nothing, and Slack says so

    assert found == {name: "-" if name == "options value" else "f" for name in ACTS}


# --- the pages after a sign-in ---

PAGE = {
    **dict.fromkeys(("action delete_old_key", "action start", "action accept_unproved"), "Approving takes a sign-in"),
    "action enter_secret": "The new secret goes onto a page",
}
"""By what is pressed, the words that come with a link."""


@pytest.mark.every_case
@pytest.mark.parametrize("name", PAGE)
async def test_only_people_who_may_do_it_get_a_link_and_only_they_get_in_by_it(redis_url: str, name: str) -> None:
    act = ACTS[name]
    found, seen, expected = {}, {}, {}
    async with issuer_of() as issuer, stage_of(redis_url) as stage:
        populated(stage)
        port = free_port()
        stage.overrides |= {"LEASE": "60", "PORT": str(port), "APPROVAL_LINK": f"http://127.0.0.1:{port}/"}
        stage.overrides |= issuer.settings() | {"SECRET_FORM": "web"}
        async with stage.front() as built:
            for who in WHO:
                scene = await scene_of(stage, built, act, who)
                found[who] = await outcome(scene, act._replace(words=PAGE[name]))
                expected[who] = "link" if CELLS[name][who] == "x" else CELLS[name][who]
                link = url_in(scene.person) if found[who] == "x" else f"http://127.0.0.1:{port}/approve/link/{'A' * 43}"
                found[who] = "link" if found[who] == "x" else found[who]
                for reader in dict.fromkeys(("requester", "approver", who)):
                    issuer.claims = {"email": f"{reader}@example.com", "email_verified": True}
                    shown = await Browser().open(link)
                    seen[who, reader] = "<form" in shown.page
                    if found[who] == "link" and reader != who:
                        link = await another_link(scene, act)
                assert await built.store.load(scene.rotation.id) == scene.rotation

    assert found == expected
    assert {who for (who, reader), is_in in seen.items() if is_in and who == reader} == {
        who for who, cell in found.items() if cell == "link"
    }
    assert [pair for pair, is_in in seen.items() if is_in and pair[0] != pair[1]] == []


async def another_link(scene: Scene, act: Act) -> str:
    """Press again, as a link ends with the sign-in of anybody."""
    before = len(scene.person.ephemerals)
    await act.do(scene)
    await scene.stage.slack.until(lambda: len(scene.person.ephemerals) > before, what="another link")
    return url_in(scene.person)
