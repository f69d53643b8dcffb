"""Every message and form that people get to see, by name: the goldens and the limits read this."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

from bot.rotation import revoking
from bot.rotation.age import Age, DueKey, DueKeys, Source, by_age
from bot.rotation.batch import Batch, Entry, Halt
from bot.rotation.credentials import Status, Usage
from bot.rotation.errors import AmbiguousKey, UnknownKey
from bot.rotation.history import Wanted
from bot.rotation.holds import KeyHold, OnHold
from bot.rotation.inventory import BUDGETS, Unlisted
from bot.rotation.overview import Sights, overview
from bot.rotation.parts import REFERS, Nudge, OnIt, Phase, Which
from bot.rotation.policies import Policy
from bot.rotation.policy import NO_MEMBER, Permissions, Person, closed_window
from bot.rotation.record import Rotation
from bot.rotation.references import hint, prefix_of
from bot.rotation.secret import checked
from bot.rotation.states import State
from bot.rotation.stops import Cause
from bot.service import LooksLikeSecret
from bot.steps.permitted import OF_A_LEAK, OTHER_PLAN
from handlers.commands import HELP
from handlers.errors import explain
from handlers.views.ages import age_list, replaced
from handlers.views.anyway import delete_form, start_form
from handlers.views.around import Around
from handlers.views.around import told as told_of
from handlers.views.asking import answer_form, not_needed_form, not_yet_form, question_form
from handlers.views.batch import approved, batch_form, digest
from handlers.views.card import card
from handlers.views.composed import composed
from handlers.views.direct import BESIDE, Shut, beside_card, direct, settled
from handlers.views.exposure_forms import exposure_form, review_form
from handlers.views.history import Found, history_form, history_page
from handlers.views.holding import held, hold_form, lifted
from handlers.views.home import closed, home
from handlers.views.links import SIGN_IN, Places, sign_in
from handlers.views.minting import mint_form
from handlers.views.modal import acceptance_form, notice, option, picker, secret_form, take_back_form
from handlers.views.there_forms import revoke_form, row_form
from handlers.views.thread import checklist
from handlers.views.words import being_rotated
from tests.handlers import records as r

Json = dict[str, Any]
Case = Callable[[], Json]

LARGE = "`chat-large` in production"
NEW = "91bc44d2-8f07-4b6e-a1c9-5e3d20f7a8b1"
TEAM = Around(team_url="https://acme.slack.com/")
PLACES = Places("https://docs.example.com/keyturn/", "https://aisix.example.com/provider-keys/{key}")
GONE = r.plan().but(old_key_gone=True)
DELETE_ASKED: Json = {"delete_asked_at": r.at(390)}
NO_THROWAWAYS = "AISIX refused the admin token (403)."
UNREHEARSED: dict[str, Any] = {"unrehearsed": NO_THROWAWAYS, "rehearsal": f"not possible here: {NO_THROWAWAYS}"}
LINK = "https://keyturn.slack.com/archives/C_OPS/p1"
TOLD = told_of(r.in_trouble(r.watched()), {f"trouble:{r.at(900).isoformat()}": f"{r.at(901).timestamp()}"})
HOLD = KeyHold(
    key_id=r.key().id,
    name=r.NAME,
    reason="the auditors read its counters",
    by="U_APPROVER",
    at=r.at(0),
    until=date(2026, 12, 1),
)


def old(n: int, name: str) -> DueKey:
    """Return a key that is long due."""
    key = r.key(id=f"{NEW[:-4]}{n:04}", display_name=name)
    return DueKey(key, Age(r.at(-86_400 * (400 - n)), Source.RECORDED if n == 2 else Source.LISTED))


AGES = DueKeys(
    (
        old(0, r.HOSTILE),
        old(1, r.NAME)._replace(rotation=r.running("verify")),
        old(2, "Anthropic")._replace(hold=HOLD),
        *(old(n, f"Key {n}") for n in range(3, 25)),
    ),
    3,
)
MEMBERS: Mapping[str, Rotation] = {
    "rbatch3": r.completed().but(id="rbatch3"),
    "rbatch4": r.awaiting_approval().but(id="rbatch4"),
    "rbatch5": r.rolled_back().but(id="rbatch5"),
}
MANY = tuple(Entry(key_id=f"{NEW[:-4]}{n:04}", name=r.HOSTILE * 9) for n in range(50))
BATCH = Batch(
    id="rbatch2",
    team="T1",
    channel="C_OPS",
    by="U_REQUESTER",
    at=r.at(0),
    entries=(
        *(Entry(key_id=id_, name=f"Key {n}", rotation=id_) for n, id_ in enumerate(MEMBERS)),
        Entry(key_id="pk_9", name="Anthropic", left_out="Keyturn knows no provider key 'pk_9'."),
        *MANY[:2],
    ),
)
FIVE = BATCH.but(
    entries=tuple(
        Entry(key_id=f"pk_{n}", name=name, rotation=f"rbatch{n + 3}" if n < 3 else "")
        for n, name in enumerate(
            ("OpenAI production", "OpenAI staging", "Anthropic production", "Azure batch", "Mistral")
        )
    )
)
UNDER_WAY: Mapping[str, Rotation] = {**MEMBERS, "rbatch5": r.running("verify").but(id="rbatch5")}
HALT = Halt(rotation="rbatch5", why="rolled back", at=r.at(800))
REFUSED_TOKEN = "AISIX refused the admin token (403): it needs the read and the write scope."


def mixed(rotation: Rotation) -> Rotation:
    """Return *rotation* with one of each verdict that an approver may see."""
    return r.accepted(r.seeing(r.failed_before(r.proved(rotation, (0,)), 3), r.SKIPPED, 4), 5)


def refused(rotation: Rotation) -> Rotation:
    return r.stopped_by(Cause.SECRET_REFUSED, r.seeing(rotation, r.REFUSED_401), why=f"{LARGE}: {r.REFUSED_401.reason}")


def unproved(rotation: Rotation, of: str = LARGE) -> Rotation:
    return r.stopped_by(Cause.NOT_PROVED, rotation, why=f"{of}: {r.RATE_LIMITED.reason}")


def still_used(users: str = LARGE, **changes: Any) -> Rotation:
    return r.stopped_by(Cause.STILL_USED, r.running("recheck", **changes), users=users)


STOPS: Mapping[str, Rotation] = {
    "rejected": r.charted(r.listening(refused(r.running("verify"))), 60, 60),
    "rejected-after-the-delete": refused(r.running("recheck", GONE, **DELETE_ASKED)),
    "refused-after-delete-was-asked": r.stopped_by(Cause.REPLACEMENT_GONE, r.running("recheck", **DELETE_ASKED)),
    "drift-after-delete-was-asked": still_used(**DELETE_ASKED),
    "rejected-in-the-rehearsal": r.stopped_by(
        Cause.SECRET_REFUSED, r.running("rehearse"), why=f"In the rehearsal in production: {r.REFUSED_401.reason}"
    ),
    "refused": r.stopped_by(Cause.NOT_CREATED, r.running("replace"), refusal=REFUSED_TOKEN),
    "minting": r.stopped_by(
        Cause.NOT_MINTED, r.minting(), provider="OpenAI", error="OpenAI says that the admin key may not do this (403)."
    ),
    "refused-back": r.stopped_by(Cause.NO_WAY_BACK, r.going_back(planned=GONE)),
    "difference": r.stopped_by(Cause.DIFFERENT, r.running("replace", replacement=r.replacement("x")), field="api_base"),
    "projection": r.stopped_by(
        Cause.NOT_TAKEN,
        r.seeing(r.running("project"), r.NO_PROJECTION),
        why=f"{LARGE}: {r.NO_PROJECTION.reason}, for 120 s now",
    ),
    "unverified": unproved(r.seeing(r.running("verify"), r.RATE_LIMITED)),
    "unverified-500-models": unproved(
        r.unsure(r.running("verify", r.plan(r.many(500)))), "`chat-001` in production, and 499 more"
    ),
    "unverified-no-models": r.stopped_by(
        Cause.NOTHING_PROVED,
        r.running("verify", r.plan(())),
        why="No model uses this key, so nothing proves the new secret.",
    ),
    "in-the-first-wave": r.stopped_by(
        Cause.NOT_TAKEN,
        r.in_waves("verify", 0, 1, 0).but(**UNREHEARSED),
        why="`chat-001` in production: replica-2:9090 is not synced yet",
    ),
    "a-fault-in-the-watch": r.stopped_by(Cause.OUR_FAULT, r.watched(), reference="00c0ffee"),
    "unverifiable": r.stopped_by(
        Cause.NO_GATEWAY, r.running("verify", r.plan(gateways=["env_p"])), environments="`staging`"
    ),
    "drift": r.stopped_by(
        Cause.CHANGED, r.running("cut-over"), changes="Someone bound `late` in staging to the old key."
    ),
    "drift-at-the-delete": still_used("`chat-new` in production", approvals=(r.approval(),)),
    "trouble-back": r.stopped_by(
        Cause.UNWELL_ON_OLD_KEY, r.going_back(("point-back", "settle-back")), models=LARGE, reason=r.RATE_LIMITED.reason
    ),
    "rejected-withdraw": r.stopped_by(
        Cause.NO_ANSWER, r.withdrawing(), trouble="AISIX is not answering (time-out).", time="10 minutes"
    ),
}

HOSTILE_PLAN = r.plan(
    [r.model(n, alias=r.HOSTILE, upstream=r.HOSTILE) for n in range(1, 4)],
    r.key(display_name=r.HOSTILE, provider=r.HOSTILE, settings={"api_base": r.HOSTILE, "adapter": r.HOSTILE}),
)
LEFT_ALONE = ("`support-embed` in production uses a key that this rotation does not know; Keyturn left it alone.",)

UNSEEN = "AISIX does not list the passthrough routes of `production`, so something there may use it unseen."

ROTATIONS: Mapping[str, Rotation] = {
    "awaiting-secret": r.awaiting_secret(),
    "awaiting-secret-from-a-provider": r.awaiting_secret(**r.BY_OPENAI),
    "rolled-back-minted": r.rolled_back(**r.BY_OPENAI, mints=r.MINTS),
    "running-minting": r.minting(note="waiting until OpenAI takes the new credential"),
    "awaiting-secret-no-models": r.awaiting_secret(r.plan(())),
    "awaiting-secret-under-policies": r.awaiting_secret(policy=r.STRICT),
    "awaiting-secret-one-model": r.awaiting_secret(r.plan(r.FEW[:1])),
    "awaiting-secret-hostile": r.awaiting_secret(HOSTILE_PLAN),
    "awaiting-secret-unverifiable": r.awaiting_secret(r.plan(gateways=["env_p"])),
    "awaiting-secret-warnings": r.awaiting_secret(
        r.plan(
            old_key=r.key(allowed_environments=("env_p",)),
            routes=(r.route(),),
            budgeted_keys=("7f3a21c0-4c1e-4d0b-9a53-2f8e6d71b604",),
        )
    ),
    "awaiting-secret-lost-after-delete-was-asked": r.awaiting_secret(
        attempt=2,
        note="The new key was not created, and Keyturn kept no copy of the secret: give it once more.",
        **DELETE_ASKED,
    ),
    "awaiting-secret-after-the-delete": r.awaiting_secret(GONE, attempt=1, **DELETE_ASKED),
    "running-replace": r.running("replace"),
    "running-baseline": r.running("baseline", note="1 of 3"),
    "running-rehearse": r.running("rehearse", note="rehearsing"),
    "running-cut-over": r.seeing(r.running("cut-over", note="1 of 3"), r.good(36), moved_at=r.at(34)),
    "running-project": r.running("project", note="1 environment not synced yet: `replica-2:9090` in `staging`"),
    "running-verify": r.running("verify", note="2 of 3"),
    "running-tidy": r.running("tidy"),
    "running-trouble": r.running(
        "cut-over", note="AISIX is not answering (no connection). Trying again.", trouble_since=r.at(34)
    ),
    "running-soak": r.running("soak", note="soaking", soak_until=r.at(640)),
    "running-soak-callers-fail": r.charted(
        r.proved(r.running("soak", note="soaking", soak_until=r.at(640), tally=r.FAILING_CALLERS)), 37, 400
    ),
    "running-soak-again": r.running(
        "soak", note="`replica-2:9090` in production has counted 1 request on the old key since the change"
    ),
    "running-no-rehearsal": r.running("cut-over", **UNREHEARSED),
    "running-first-wave": r.in_waves("project", 0, 1, 0),
    "running-second-wave": r.in_waves("cut-over", 1, 1, 1).but(note="1 of 12 verified"),
    "running-after-a-void": r.running("verify", voids=(r.void(),), asked_at=r.at(41)),
    "running-verify-cached": r.seeing(r.running("verify"), r.CACHED),
    "running-watch": r.watched(),
    "running-watch-trouble": r.charted(r.in_trouble(r.proved(r.watched())), 52, 900),
    "completed-trouble": r.in_trouble(r.proved(r.completed_after_watch())),
    "running-watch-well-again": r.watched(troubles=(r.trouble(), r.over())),
    "running-recheck": r.running("recheck", approvals=(r.approval(),)),
    "running-delete": r.running("delete", approvals=(r.approval(),), note="reading back that the old key is gone"),
    "running-withdraw": r.withdrawing(),
    "running-waits-for-the-window": r.running(
        "cut-over", opens_at=r.at(86_400), policy=Policy(names=("production",), move=(r.OFFICE_HOURS,))
    ),
    "awaiting-start": r.awaiting_start(),
    "awaiting-start-put-off": r.awaiting_start(put_off=(r.PUT_OFF,)),
    "awaiting-start-again": r.awaiting_start(
        note="The start approval no longer counts. This account is deactivated.",
        nudges=(Nudge(about=f"waits:start:{r.at(33).isoformat()}", at=r.at(14_433), number=1),),
    ),
    "awaiting-start-half-way": r.in_waves("cut-over", 1, 1, 1).but(
        state=State.AWAITING_START, start_asked_at=r.at(50), note=OTHER_PLAN
    ),
    "awaiting-start-old-key-gone": r.awaiting_start(GONE),
    "awaiting-approval": r.awaiting_approval(),
    "awaiting-approval-under-policies": r.awaiting_approval(policy=r.STRICT, approvals_required=2),
    "awaiting-approval-window-closed": r.awaiting_approval(
        policy=r.STRICT, voids=(r.lapsed(closed_window(r.awaiting_secret(policy=r.STRICT), r.at(86_400 * 4))),)
    ),
    "awaiting-approval-as-before": r.failed_before(r.awaiting_approval(), 1),
    "awaiting-approval-proved": r.charted(
        r.listening(r.proved(r.awaiting_approval(tally=r.CALLERS, asked_at=r.at(640), same_secret_checked=True)))
    ),
    "awaiting-approval-mixed": mixed(r.awaiting_approval(r.plan(r.many(9)), tally=r.CALLERS)),
    "awaiting-approval-still-heard": r.listening(r.awaiting_approval(), (None, 640, 300)),
    "awaiting-approval-partly-heard": r.listening(r.awaiting_approval(), (None, None)),
    "awaiting-approval-callers-fail": r.listening(r.awaiting_approval(tally=r.FAILING_CALLERS)),
    "awaiting-approval-no-rehearsal": r.awaiting_approval(**UNREHEARSED),
    "awaiting-approval-accepted-hostile": r.accepted(r.awaiting_approval(), 1, reason=r.HOSTILE * 6),
    "awaiting-approval-stricter": r.awaiting_approval(
        approvals_required=2,
        approvals=(r.approval(),),
        voids=(r.lapsed("The settings ask for 2 approvals now.", by=()),),
    ),
    "awaiting-approval-lapsed-after-delete-was-asked": r.awaiting_approval(
        delete_asked_at=r.at(390),
        voids=(r.lapsed("This person is a guest now.", "The requester can't approve.", by=(r.APPROVER, r.REQUESTER)),),
    ),
    "awaiting-approval-again-hostile": r.awaiting_approval(voids=(r.void(r.HOSTILE * 50),)),
    "awaiting-approval-everything-500-models": r.uncharted(
        r.listening(
            mixed(
                r.awaiting_approval(
                    r.plan(r.many(500)),
                    tally=r.FAILING_CALLERS,
                    asked_at=r.at(640),
                    voids=(r.void(),),
                    **UNREHEARSED,
                )
            ),
            (None, 300, None),
        )
    ),
    "awaiting-approval-adopted": r.awaiting_approval(adopted_at=r.at(30)),
    "awaiting-approval-asked": r.awaiting_approval(questions=(r.ANSWERED, r.QUESTION, r.QUESTION)),
    "awaiting-approval-put-off": r.awaiting_approval(put_off=(r.PUT_OFF.but(over=True, by=r.APPROVER), r.PUT_OFF)),
    "awaiting-approval-0-of-2": r.awaiting_approval(approvals_required=2),
    "completed-after-watch": r.listening(r.proved(r.completed_after_watch(tally=r.CALLERS))),
    "awaiting-approval-unlisted": r.awaiting_approval(r.plan().but(unlisted=(Unlisted(kind=BUDGETS),))),
    "rolling-back-pointing": r.going_back(),
    "rolling-back-settling": r.going_back(("point-back",)),
    "rolling-back-verifying": r.going_back(("point-back", "settle-back")),
    "rolling-back-removing": r.going_back(("point-back", "settle-back", "verify-back")),
    "completed": r.completed(),
    "completed-orphan": r.completed(
        troubles=(r.trouble(about="`late` in production", sentence=f"`late` in production{REFERS}"),)
    ),
    "running-watch-to-be-revoked": r.watched(revocation=r.revocation()),
    "running-watch-trouble-to-be-revoked": r.in_trouble(r.watched(revocation=r.revocation())),
    "completed-to-be-revoked": r.completed(revocation=r.revocation()),
    "completed-to-be-disabled-there": r.at_openrouter(r.completed(revocation=r.revocation())),
    "completed-to-be-chosen-there": r.at_openrouter(r.completed(revocation=r.revocation()), old_row=None),
    "completed-waiting-for-another-approver-there": r.at_openrouter(
        r.completed(revocation=r.revocation(approvals=(r.approval(),)), approvals_required=2)
    ),
    "completed-disabled-there": r.there(Phase.DISABLED),
    "completed-stopped-there": r.there(Phase.STOPPED, stopped=revoking.SAID[revoking.USED], look=r.LOOK),
    "completed-failing-there": r.there(Phase.PROVING).but(setbacks=(r.SETBACK,)),
    "completed-revoked-there": r.there(Phase.PROVING, gone=2, **r.REVOKED),
    "exposed-disabled-there": r.exposed_there(),
    "completed-revoked": r.completed(revocation=r.revocation(**r.REVOKED)),
    "completed-not-needed": r.completed(revocation=r.revocation(**r.NOT_NEEDED)),
    "rolled-back-to-be-revoked": r.rolled_back(revocation=r.revocation(Which.NEW, made_at=r.at(30))),
    "rolled-back-left-alone-to-be-revoked": r.rolled_back(left_alone=LEFT_ALONE, revocation=r.revocation(Which.NEW)),
    "rolled-back-left-alone": r.rolled_back(left_alone=LEFT_ALONE),
    "awaiting-approval-stale": r.awaiting_approval(stale_at=r.at(86_441)),
    "awaiting-approval-parked": r.awaiting_approval(stale_at=r.at(86_441), parked_at=r.at(259_241)),
    "running-watch-trouble-taken": r.in_trouble(r.watched()).but(on_it=OnIt(by=r.APPROVER, at=r.at(960))),
    "exposed-awaiting-secret": r.exposed(r.awaiting_secret()),
    "exposed-awaiting-secret-hostile": r.exposed(
        r.awaiting_secret(HOSTILE_PLAN), what=r.HOSTILE * 9, where=r.HOSTILE * 5, since=r.HOSTILE
    ),
    "exposed-awaiting-start": r.exposed(
        r.awaiting_start(policy=Policy(names=("production",), move=(r.OFFICE_HOURS,)), note=OF_A_LEAK)
    ),
    "exposed-running": r.exposed(r.seeing(r.running("cut-over", note="1 of 3"), r.good(36), moved_at=r.at(34))),
    "exposed-awaiting-approval": r.exposed(r.listening(r.awaiting_approval(tally=r.CALLERS))),
    "exposed-awaiting-approval-proved": r.exposed(
        r.listening(r.proved(r.awaiting_approval(tally=r.CALLERS, same_secret_checked=True)))
    ),
    "exposed-watch": r.exposed(r.listening(r.proved(r.watched(tally=r.CALLERS))), where="", since=""),
    "exposed-watch-trouble": r.exposed(r.in_trouble(r.proved(r.watched()))),
    "exposed-attacked": r.attacked(r.proved(r.awaiting_approval(tally=r.CALLERS))),
    "exposed-attacked-in-the-watch": r.attacked(r.proved(r.watched(tally=r.CALLERS))),
    "exposed-review-due": r.exposed(r.listening(r.proved(r.completed_after_watch(tally=r.CALLERS)))),
    "exposed-reviewed": r.reviewed(r.listening(r.proved(r.completed_after_watch(tally=r.CALLERS)))),
    "exposed-rolled-back": r.exposed(r.rolled_back()),
    "exposed-rolled-back-two-to-be-revoked": r.exposed(
        r.rolled_back(revocation=r.revocation(), withdrawn=("OpenAI production (2026-11-23 r7k2abc)",))
    ),
    "completed-two-to-be-revoked": r.completed(revocation=r.revocation(), withdrawn=("OpenAI production (first)",)),
    "exposed-cancelled": r.exposed(r.cancelled()),
    "exposed-stopped": r.exposed(refused(r.running("verify"))),
    "cancelled": r.cancelled(),
    "cancelled-expired": r.cancelled(ended_by=None, note="Nobody gave a secret in time; nothing was changed."),
    "cancelled-after-a-refused-secret": r.cancelled(attempt=1),
    "cancelled-to-be-revoked": r.cancelled(attempt=1, revocation=r.revocation(Which.NEW, **r.NOT_NEEDED)),
    "cancelled-after-delete-was-asked-to-be-revoked": r.cancelled(
        attempt=1, revocation=r.revocation(made_at=None), **DELETE_ASKED
    ),
    "cancelled-and-a-key-left": r.cancelled(attempt=1, left_alone=(f"Key `{NEW}` of this rotation stays: {UNSEEN}",)),
    "cancelled-after-a-stop": still_used(**DELETE_ASKED).but(
        state=State.CANCELLED, ended_at=r.at(420), ended_by=r.APPROVER
    ),
    "cancelled-after-delete-was-asked": r.cancelled(attempt=1, **DELETE_ASKED),
    **{f"stopped-{name}": rotation for name, rotation in STOPS.items()},
}
"""Every moment at which a card and a checklist are drawn."""


# --- what else people see ---


def told(rotation: Rotation, part: str, *, attached: bool = False) -> Case:
    """Return the milestone of *rotation* whose key begins with *part*."""

    def case() -> Json:
        replies = composed(rotation, r.APPROVERS, TEAM).replies(attached=attached)
        return next(reply.content for reply in replies if reply.key.startswith(part))

    return case


def answer(error: Exception) -> Case:
    def answered() -> Json:
        text, blocks = explain(error)
        return {"text": text} | ({"blocks": blocks} if blocks else {})

    return answered


def form(rotation: Rotation) -> Json:
    return acceptance_form(rotation)


def objection(secret: str, provider: str = "openai") -> Exception:
    try:
        checked(secret, r.key(provider=provider))
    except Exception as error:  # noqa: BLE001 - the sentence of whatever it is
        return error
    raise AssertionError(secret)


def directly(rotation: Rotation, shut: Shut = Shut.ARCHIVED) -> Case:
    """Return what people are told directly while the channel is *shut*."""
    return lambda: direct(rotation, shut)


def beside(rotation: Rotation) -> Case:
    """Return what people are told directly while the card is shown."""
    return lambda: {**beside_card(rotation, LINK, Places(), approver_dm=True).content}


def after(rotation: Rotation) -> Case:
    """Return what is left of that once it asks for nothing any more."""
    return lambda: {**beside_card(rotation, LINK, Places(), approver_dm=True).after(BESIDE)}


MESSAGES: Mapping[str, Case] = {
    "direct-awaiting-approval": directly(r.awaiting_approval()),
    "direct-another-secret": directly(
        r.withdrawing(state=State.AWAITING_SECRET, secret_asked_at=r.at(70)), Shut.RESTRICTED
    ),
    "direct-unverified": directly(STOPS["unverified"]),
    "direct-deleted": directly(r.completed()),
    "direct-trouble": directly(r.in_trouble(r.watched()), Shut.LEFT),
    "direct-refused": directly(r.awaiting_approval(), Shut.REFUSED),
    "direct-settled": lambda: settled(
        r.rolled_back(), "The card in <#C_OPS> is up to date again: <https://x|open it>."
    ),
    "card-told": lambda: card(r.in_trouble(r.proved(r.watched())), Around(told=TOLD)).content,
    "card-another-linked": lambda: (
        card(r.awaiting_secret(), Around((f"<{LINK}|asked for by> <@U_MEMBER>",), maker=LINK)).content
    ),
    "card-in-a-batch": lambda: card(r.awaiting_secret(), Around(batch=f"<{LINK}|one of 5 in a batch>")).content,
    "card-stopped-linked": lambda: card(STOPS["rejected"], Around(places=PLACES)).content,
    "card-awaiting-approval-linked": lambda: card(r.awaiting_approval(), Around(places=PLACES)).content,
    "card-awaiting-secret-held": lambda: card(r.awaiting_secret(), Around(hold=HOLD)).content,
    "card-awaiting-approval-held": lambda: card(r.awaiting_approval(), Around(hold=HOLD)).content,
    "card-awaiting-approval-held-hostile": lambda: (
        card(r.awaiting_approval(), Around(hold=HOLD.but(reason=r.HOSTILE))).content
    ),
    "answer-on-hold": answer(OnHold(HOLD)),
    "answer-held": lambda: {"text": held(r.NAME, "2026-12-01", [])},
    "answer-held-late": lambda: {"text": held(r.NAME, "2026-12-01", [r.awaiting_approval()])},
    "answer-lifted": lambda: {"text": lifted(HOLD)},
    "age-list": lambda: age_list(AGES, {r.running("verify").id: LINK}, r.at(0)),
    "age-list-replaced": replaced,
    "batch": lambda: digest(BATCH, MEMBERS, dict.fromkeys(MEMBERS, LINK), {}),
    "batch-halted": lambda: digest(BATCH.but(halt=HALT), MEMBERS, {}, {}),
    "batch-ready": lambda: digest(BATCH, MEMBERS, {}, dict.fromkeys(MEMBERS, "0" * 16)),
    "batch-ended": lambda: digest(BATCH.but(ended_at=r.at(900), ended_by="U_APPROVER"), MEMBERS, {}, {}),
    "batch-of-five": lambda: digest(FIVE, UNDER_WAY, dict.fromkeys(UNDER_WAY, LINK), {"rbatch4": "0" * 16}),
    "batch-50-hostile": lambda: digest(BATCH.but(entries=MANY), {}, {}, {}),
    "answer-approved": lambda: {"text": approved([r.NAME], [("Anthropic", "What you saw is not what is asked now.")])},
    "answer-approved-none": lambda: {"text": approved([], [(r.HOSTILE, "Somebody rolled it back.")])},
    "direct-unverified-linked": lambda: direct(STOPS["unverified"], Shut.ARCHIVED, PLACES),
    "listing-500-models": told(r.awaiting_secret(r.plan(r.many(500))), "listing"),
    "reply-reminder": told(r.nudged(r.awaiting_approval(), 14_000), "reminder"),
    "reply-reminder-stale": told(r.nudged(r.awaiting_approval(stale_at=r.at(86_441)), 100_800), "reminder"),
    "reply-reminder-stop": told(r.nudged(STOPS["unverified"], 14_460), "reminder"),
    "reply-reminder-stop-again": told(r.nudged(STOPS["unverified"], 43_260, 2), "reminder"),
    "reply-reminder-revocation": told(
        r.nudged(r.completed_after_watch(revocation=r.revocation()), 86_460), "reminder:revocation"
    ),
    "reply-reminder-secret": told(
        r.nudged(r.withdrawing(state=State.AWAITING_SECRET, secret_asked_at=r.at(70)), 14_470), "reminder"
    ),
    "reply-reminder-harm": told(r.nudged(r.in_trouble(r.watched()), 1200), "reminder"),
    "reply-harm": told(r.awaiting_approval(tally=r.MOST_FAIL), "harm"),
    "reply-parked": told(r.awaiting_approval(parked_at=r.at(259_241)), "parked"),
    "reply-cancelled": told(r.cancelled(ended_by=r.APPROVER), "cancelled"),
    "reply-cancelled-expired": told(
        r.cancelled(ended_by=None, note="Nobody gave a secret in time; nothing was changed."), "cancelled"
    ),
    "reply-watch-ended": told(r.in_trouble(r.completed_after_watch()), "watch-ended"),
    "reply-watch-ended-well": told(r.watch_told(ROTATIONS["completed-to-be-revoked"].but(watched=8)), "watch-ended"),
    "reply-approval-at-night": told(r.hushed(r.proved(r.awaiting_approval())), "approval"),
    "reply-stop-at-night": told(r.hushed(STOPS["unverified"]), "stopped"),
    "reply-start-at-night": told(r.hushed(r.awaiting_start()), "start"),
    "reply-rolled-back-expired": told(r.rolled_back(ended_by=None, parked_at=r.at(259_241)), "rolled-back"),
    "direct-leak": beside(r.exposed(r.awaiting_secret())),
    "reply-reminder-leak": told(r.nudged(r.exposed(r.awaiting_secret()), 1200), "reminder"),
    "reply-reminder-review": told(
        r.nudged(r.exposed(r.completed_after_watch()).but(revocation=r.revocation(**r.REVOKED)), 90_000),
        "reminder:review",
    ),
    "reply-reminder-revocation-and-review": told(
        r.nudged(r.exposed(r.completed_after_watch()), 90_000), "reminder:revocation"
    ),
    "exposed-taken": lambda: card(r.exposed(r.running("verify")).but(on_it=OnIt(by=r.APPROVER, at=r.at(60)))).content,
    "direct-page": beside(r.in_trouble(r.watched())),
    "direct-approval-wanted": beside(r.awaiting_approval()),
    "direct-approved": after(r.running("delete", approvals=(r.approval(),))),
    "direct-taken": after(r.in_trouble(r.watched()).but(on_it=OnIt(by=r.APPROVER, at=r.at(960)))),
    "direct-rolled-back-expired": after(r.rolled_back(ended_by=None, parked_at=r.at(259_241))),
    "reply-exposed": told(r.exposed(r.awaiting_secret()), "exposed"),
    "reply-attack": told(r.attacked(r.proved(r.awaiting_approval())), "attack"),
    "receipt-exposed-and-attacked": told(r.attacked(r.proved(r.watched())), "receipt"),
    "receipt-exposed-and-reviewed": told(r.reviewed(r.proved(r.completed_after_watch())), "receipt"),
    "reply-question": told(ROTATIONS["awaiting-approval-asked"], "question:2"),
    "reply-question-answered": told(ROTATIONS["awaiting-approval-asked"], "question:1"),
    "reply-answer": told(ROTATIONS["awaiting-approval-asked"], "answer"),
    "reply-not-yet": told(r.awaiting_approval(put_off=(r.PUT_OFF,)), "not-yet"),
    "reply-not-yet-taken-back": told(r.awaiting_approval(put_off=(r.PUT_OFF.but(over=True),)), "not-yet"),
    "reply-rolled-back": told(r.rolled_back(), "rolled-back"),
    "reply-rolled-back-to-be-revoked": told(ROTATIONS["rolled-back-to-be-revoked"], "rolled-back"),
    "receipt-to-be-revoked": told(ROTATIONS["completed-to-be-revoked"], "receipt"),
    "receipt-two-to-be-revoked": told(ROTATIONS["completed-two-to-be-revoked"], "receipt"),
    "receipt-not-needed": told(ROTATIONS["completed-not-needed"], "receipt"),
    "receipt": told(r.completed(), "receipt"),
    "receipt-no-models": told(r.unused(r.completed(r.plan(())), "tried with curl"), "receipt"),
    "receipt-with-a-file": told(r.proved(r.completed(r.plan(r.many(500)))), "receipt", attached=True),
    "receipt-with-a-file-mixed": told(mixed(r.completed_after_watch(r.plan(r.many(9)))), "receipt", attached=True),
    "receipt-with-a-file-none-proved": told(
        r.unsure_because(r.completed(r.plan(r.many(500))), *(f"no answer in {n} s" for n in range(40))),
        "receipt",
        attached=True,
    ),
    "receipt-500-models": told(r.completed(r.plan(r.many(500))), "receipt"),
    "reply-accepted-hostile": told(r.accepted(r.running("verify"), 0, reason=r.HOSTILE * 6), "accepted"),
    "reply-void": told(r.running("project", voids=(r.void(),)), "void"),
    "reply-troubles": told(
        r.watched(troubles=tuple(r.trouble(about=f"`chat-{n:03}` in production") for n in range(40))), "trouble"
    ),
    "reply-well-again": told(r.watched(troubles=(r.over(),)), "well-again"),
    "receipt-in-watch-troubled": told(r.watched(troubles=(r.trouble(),)), "receipt"),
    "receipt-after-watch": told(r.listening(r.proved(r.completed_after_watch(tally=r.CALLERS))), "receipt"),
    "receipt-after-troubles": told(
        r.completed_after_watch(
            troubles=(
                r.trouble(),
                *(r.trouble(1, 930 + n, about=f"`chat-{n:03}` in production") for n in range(25)),
                r.over(),
            )
        ),
        "receipt",
    ),
    "receipt-everything": told(
        r.listening(
            mixed(
                r.completed_after_watch(
                    r.plan(r.many(9)),
                    attempt=2,
                    approvals=(r.approval(reason="the vendor says it was theirs, <!channel>"),),
                    why="the quarterly rotation, <!channel>",
                    ticket="OPS-4412",
                    asked_at=r.at(640),
                    tally=r.FAILING_CALLERS,
                    voids=(r.void(), r.void("The evidence was older than 1 h.", seconds=500), r.lapsed()),
                    **UNREHEARSED,
                    left_alone=LEFT_ALONE,
                )
            ),
            (None, 300, None),
        ),
        "receipt",
    ),
    "receipt-watch-stopped": told(STOPS["a-fault-in-the-watch"], "receipt"),
    "answer-help": lambda: {"text": HELP},
    "answer-being-rotated-without-a-card": lambda: {"text": being_rotated(r.watched(), "")},
    "answer-unknown": answer(UnknownKey("opnai prod", ("OpenAI production", "OpenAI staging"))),
    "answer-unknown-nothing-near": answer(UnknownKey(r.HOSTILE, ())),
    "answer-ambiguous": answer(AmbiguousKey(r.NAME, ((r.NAME, "7f3a21c0-4c1e-4d0b-9a53-2f8e6d71b604"), (r.NAME, NEW)))),
    "answer-ambiguous-101": answer(AmbiguousKey("O", tuple((f"OpenAI {n}", f"{NEW[:-4]}{n:04}") for n in range(101)))),
    "answer-sign-in": lambda: {"text": SIGN_IN, "blocks": sign_in("https://keyturn.example.com/approve/link/s3cr3t")},
    "answer-looks-like-secret": answer(LooksLikeSecret()),
    "answer-bad-secret": answer(objection("one two")),
    "answer-bad-document": answer(objection('{"project": "p", "region": "r"}', "vertex")),
}
BUSY = (
    r.awaiting_secret(),
    STOPS["rejected"].but(id="r2stop1"),
    r.awaiting_approval(tally=r.CALLERS).but(id="r3appr2"),
    r.running("verify", note="2 of 3").but(id="r4verf3"),
    r.watched().but(id="r5wtch4"),
)
ENDED = (r.completed_after_watch().but(id="r6done5"), r.rolled_back().but(id="r7back6"), r.cancelled())


MIXED_CAUSES = r.unsure_because(
    r.running("soak", r.plan(r.many(5))), r.RATE_LIMITED.reason, r.LIKELY, r.RATE_LIMITED.reason, "no answer in 30 s"
)
VIEWS: Mapping[str, Case] = {
    "form-history": history_form,
    "form-history-page": lambda: history_page(
        Wanted(key="openai"), [Found(rotation, LINK) for rotation in (*BUSY, *ENDED)], 0, 8, 20
    ),
    "form-history-nothing": lambda: history_page(Wanted(key="openai"), [], 0, 0, 0),
    "form-picker": lambda: picker("C_OPS"),
    "form-picker-with-a-channel": lambda: picker(key=r.key()),
    "form-secret": lambda: secret_form(r.awaiting_secret(), f"{r.NAME} (2026-11-23 r7k2abc)"),
    "form-mint": lambda: mint_form(r.awaiting_secret(**r.BY_OPENAI), f"{r.NAME} (2026-11-23 r7k2abc)"),
    "form-secret-again": lambda: secret_form(
        r.awaiting_secret(attempt=1, why="quarterly", ticket="OPS-4412"), "OpenAI production", require_reason=True
    ),
    "form-secret-by-reference": lambda: secret_form(
        r.awaiting_secret(), "new", references=hint((prefix_of("vault:kv/openai"), prefix_of("vault-wrapped")))
    ),
    "form-secret-vertex": lambda: secret_form(
        r.awaiting_secret(r.plan(old_key=r.key(provider="vertex"))), "Vertex (x)"
    ),
    "form-secret-bedrock": lambda: secret_form(
        r.awaiting_secret(r.plan(old_key=r.key(provider="amazon-bedrock"))), "B"
    ),
    "form-secret-bedrock-label-on-an-openai-adapter": lambda: secret_form(
        r.awaiting_secret(r.plan(old_key=r.key(provider="amazon-bedrock", settings={"adapter": "openai"}))), "B"
    ),
    "form-secret-azure": lambda: secret_form(r.awaiting_secret(r.plan(old_key=r.key(provider="azure"))), "Azure"),
    "form-batch": lambda: batch_form("C_OPS"),
    "form-batch-with-a-channel": batch_form,
    "form-hold": lambda: hold_form(r.key(), "C_OPS", None),
    "form-hold-again": lambda: hold_form(r.key(), "C_OPS", HOLD),
    "form-take-back": lambda: take_back_form(STOPS["rejected"]),
    "form-take-back-one": lambda: take_back_form(r.running("verify", r.plan(r.FEW[:1]))),
    "form-exposure": lambda: exposure_form(r.awaiting_secret()),
    "form-review": lambda: review_form(r.exposed(r.completed_after_watch())),
    "form-notice": lambda: notice("Another secret", "“Another secret” no longer applies: this rotation is running."),
    "form-not-yet": lambda: not_yet_form(r.awaiting_approval(approvals_required=2, approvals=(r.approval(),))),
    "form-question": lambda: question_form(r.awaiting_approval()),
    "form-answer": lambda: answer_form(ROTATIONS["awaiting-approval-asked"], 2),
    "form-start-put-off": lambda: start_form(r.awaiting_start(put_off=(r.PUT_OFF,))),
    "form-not-yet-start": lambda: not_yet_form(r.awaiting_start()),
    "form-delete-put-off": lambda: delete_form(r.awaiting_approval(put_off=(r.PUT_OFF,))),
    "form-revoke-there": lambda: revoke_form(
        ROTATIONS["completed-to-be-disabled-there"], r.ROW, r.LOOK.but(usage=Usage(is_known=True, until=r.at(900)))
    ),
    "form-revoke-there-used": lambda: revoke_form(ROTATIONS["completed-to-be-disabled-there"], r.ROW, r.LOOK),
    "form-choose-row": lambda: row_form(
        ROTATIONS["completed-to-be-chosen-there"], [r.ROW, r.ROW.but(id="h2", hint="", status=Status.DISABLED)]
    ),
    "form-not-needed": lambda: not_needed_form(ROTATIONS["completed-to-be-revoked"]),
    "form-acceptance": lambda: form(r.unsure(r.running("soak"))),
    "form-acceptance-500-models": lambda: form(STOPS["unverified-500-models"]),
    "form-acceptance-no-models": lambda: form(STOPS["unverified-no-models"]),
    "form-acceptance-mixed": lambda: form(MIXED_CAUSES),
    "form-acceptance-12-causes": lambda: form(
        r.unsure_because(r.running("soak", r.plan(r.many(13))), *(f"no answer within {n} s" for n in range(30, 42)))
    ),
    "form-delete": lambda: delete_form(r.listening(r.awaiting_approval(tally=r.FAILING_CALLERS))),
    "form-delete-everything-500-models": lambda: delete_form(
        r.listening(
            mixed(r.awaiting_approval(r.plan(r.many(500)), tally=r.FAILING_CALLERS, approvals_required=2)), (None, 640)
        )
    ),
    "form-acceptance-hostile": lambda: form(r.unsure(r.running("soak", HOSTILE_PLAN))),
}
WHOM = {
    "requester": Permissions(person=Person(id=r.REQUESTER), may_request=True),
    "approver": Permissions(person=Person(id=r.APPROVER), approver=True),
}
WAITING, RUNNING = r.awaiting_approval(), r.running("verify")
OWED = r.completed(revocation=r.revocation(owner=r.APPROVER)).but(id="r8owed7")
KEYS = by_age(
    (
        r.key(id="pk_1", display_name="Anthropic production", provider="anthropic", created_at=r.at(-400 * 86_400)),
        r.key(id="pk_2", display_name="OpenAI staging", created_at=r.at(-90 * 86_400)),
        r.key(),
        r.key(id="pk_3", display_name="Vertex", provider="vertex"),
    ),
    {},
)
MANY_KEYS = by_age(
    (r.key(id=f"pk_{n}", display_name=f"Key {n:03}", created_at=r.at(-n * 43_200)) for n in range(500)), {}
)


def seen(who: str, under_way: tuple[Rotation, ...] = BUSY, last: tuple[Rotation, ...] = ENDED, **more: Any) -> Case:
    """Return the Home tab of one person."""
    shown = overview(Sights(under_way, last, **{"keys": KEYS} | more), WHOM[who])
    links = {rotation.id: LINK for rotation in (*under_way, *last, *more.get("due", ()))}
    return lambda: home(shown, links, r.at(1000))


HOMES: Mapping[str, Case] = {
    "home-requester": seen("requester", due=(OWED,), overdue=frozenset({"pk_1"}), holds={"pk_2": HOLD}),
    "home-approver": seen("approver", due=(OWED,)),
    "home-empty": seen("requester", (), (), keys=()),
    "home-without-aisix": seen("requester", (), (), keys=None),
    "home-500-of-each": seen(
        "approver",
        tuple((WAITING if n % 2 else RUNNING).but(id=f"r2a{n:04}") for n in range(500)),
        tuple(r.cancelled().but(id=f"r3a{n:04}") for n in range(8)),
        due=tuple(OWED.but(id=f"r4a{n:04}", revocation=r.revocation()) for n in range(50)),
        keys=MANY_KEYS,
    ),
    "home-500-keys": seen("requester", keys=MANY_KEYS),
    "home-500-rotations": seen("approver", tuple(WAITING.but(id=f"r2a{n:04}") for n in range(500))),
    "home-hostile": seen(
        "requester",
        (
            r.awaiting_secret(HOSTILE_PLAN),
            STOPS["drift"].but(id="r2drif1", plan=HOSTILE_PLAN, why="leaked, <!channel>"),
        ),
    ),
    "home-guest": lambda: closed(NO_MEMBER["guest"][0]),
}
"""The Home tab, which Slack holds to the limits of a view."""

OPTIONS: Mapping[str, Case] = {
    "option-hostile": lambda: option(r.key(display_name=r.HOSTILE, provider=r.HOSTILE * 20)),
}


def thread(rotation: Rotation) -> list[Json]:
    """Return all that hangs under the card at one moment."""
    return [checklist(rotation), *(reply.content for reply in composed(rotation, r.APPROVERS, TEAM).replies())]


THREADS: Mapping[str, Callable[[], list[Json]]] = {
    f"thread-{name}": partial(thread, ROTATIONS[name])
    for name in ("stopped-rejected", "awaiting-start-again", "awaiting-approval-proved", "completed-after-watch")
}


def shown(rotation: Rotation) -> Json:
    return card(rotation).content


CASES: Mapping[str, Callable[[], Any]] = {
    **{f"card-{name}": partial(shown, rotation) for name, rotation in ROTATIONS.items()},
    **{f"checklist-{name}": partial(checklist, rotation) for name, rotation in ROTATIONS.items() if rotation.attempt},
    **MESSAGES,
    **VIEWS,
    **HOMES,
    **OPTIONS,
    **THREADS,
}
