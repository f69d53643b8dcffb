"""Every message and form that people get to see, by name: the goldens, the drawings and the limits all read this."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.rotation.errors import AmbiguousKey, UnknownKey
from bot.rotation.inventory import BUDGETS, Unlisted
from bot.rotation.policy import acceptable
from bot.rotation.record import Replacement, Rotation
from bot.rotation.secret import checked
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from bot.service import LooksLikeSecret
from handlers.commands import HELP
from handlers.errors import explain
from handlers.views.card import card
from handlers.views.composed import composed
from handlers.views.direct import Shut, direct
from handlers.views.modal import acceptance_form, option, picker, secret_form
from handlers.views.thread import checklist
from handlers.views.words import being_rotated
from tests.handlers import records as r

Json = dict[str, Any]
Case = Callable[[], Json]

OTHER = ("<https://keyturn.slack.com/archives/C_OPS/p1|asked for by> <@U_MEMBER>",)

# --- stops, with the sentences that the steps raise ---

REFUSED_SECRET = (
    StopKind.REJECTED,
    "the new secret was refused",
    f"`chat-large` in production: {r.REFUSED_401.reason}.",
)
GONE = (
    StopKind.REFUSED,
    "the replacement is gone",
    "The replacement key no longer exists: someone deleted it.",
)
STILL_USED = (
    StopKind.DRIFT,
    "something uses the old key",
    "Not deleted: `chat-large` in production refers to the old key. I will not delete it while anything uses it.",
)
NO_THROWAWAYS = "AISIX refused the admin token (403)."


def mixed(rotation: Rotation) -> Rotation:
    """Return *rotation* with one of each verdict that an approver may see."""
    return r.accepted(r.seeing(r.failed_before(r.proved(rotation, (0,)), 3), r.SKIPPED, 4), 5)


STOPS: Mapping[str, Callable[[], Rotation]] = {
    "rejected": lambda: r.stopped(r.seeing(r.running("verify"), r.REFUSED_401), *REFUSED_SECRET),
    "rejected-500-models": lambda: r.stopped(
        r.seeing(r.running("verify", r.plan(r.many(500))), r.REFUSED_401, 321), *REFUSED_SECRET
    ),
    "rejected-after-delete-was-asked": lambda: r.stopped(
        r.seeing(r.running("recheck", delete_asked_at=r.at(390)), r.REFUSED_401), *REFUSED_SECRET
    ),
    "rejected-after-the-delete": lambda: r.stopped(
        r.seeing(r.running("recheck", r.plan().but(old_key_gone=True), delete_asked_at=r.at(390)), r.REFUSED_401),
        *REFUSED_SECRET,
    ),
    "refused-after-delete-was-asked": lambda: r.stopped(r.running("recheck", delete_asked_at=r.at(390)), *GONE),
    "drift-after-delete-was-asked": lambda: r.stopped(r.running("recheck", delete_asked_at=r.at(390)), *STILL_USED),
    "rejected-in-the-rehearsal": lambda: r.stopped(
        r.running("rehearse"),
        StopKind.REJECTED,
        "the new secret was refused",
        f"In the rehearsal in production: {r.REFUSED_401.reason}.",
    ),
    "rehearsal-unclear": lambda: r.stopped(
        r.running("rehearse"),
        StopKind.UNVERIFIED,
        "the rehearsal came to no result",
        f"In the rehearsal in production: {r.RATE_LIMITED.reason}.",
    ),
    "refused": lambda: r.stopped(
        r.running("replace"),
        StopKind.REFUSED,
        "the replacement was not created",
        "The replacement was not created. AISIX refused the admin token (403): it needs the read and the write scope.",
    ),
    "refused-back": lambda: r.stopped(
        r.going_back(planned=r.plan().but(old_key_gone=True)),
        StopKind.REFUSED,
        "the old key is gone",
        "There is no way back: the old key no longer exists. Only a working secret helps the callers now.",
    ),
    "difference": lambda: r.stopped(
        r.running("replace", replacement=Replacement(name="x", asked_at=r.at(30), key_id="pk_91bc")),
        StopKind.DIFFERENCE,
        "the replacement is not like the old key",
        "The replacement differs from the old key in `api_base`. Make them alike in AISIX, then try again.",
    ),
    "projection": lambda: r.stopped(
        r.seeing(r.running("project"), r.NO_PROJECTION),
        StopKind.PROJECTION,
        "the gateway has not taken the change",
        f"`chat-large` in production: {r.NO_PROJECTION.reason}, for 120 s now. "
        "This says nothing against the new secret: look at Resource Projection in AISIX first.",
    ),
    "unverified": lambda: r.stopped(
        r.seeing(r.running("verify"), r.RATE_LIMITED),
        StopKind.UNVERIFIED,
        "the new secret is not proved",
        f"`chat-large` in production: {r.RATE_LIMITED.reason}.",
    ),
    "unverified-all": lambda: r.stopped(
        r.listening(r.accepted(r.proved(r.running("soak"), (0, 1)), 0).but(tally=r.FAILING_CALLERS)),
        StopKind.UNVERIFIED,
        "the new secret is not proved",
        "`support-embed` in production: answered, but with which key is unknown: no status address in the settings.",
    ),
    "unverified-500-models": lambda: r.stopped(
        r.unsure(r.running("soak", r.plan(r.many(500)))),
        StopKind.UNVERIFIED,
        "the new secret is not proved",
        f"`chat-001` in production, and 499 more: {r.RATE_LIMITED.reason}.",
    ),
    "unverified-no-models": lambda: r.stopped(
        r.running("verify", r.plan(())),
        StopKind.UNVERIFIED,
        "the new secret is not proved",
        "No model uses this key, so nothing proves the new secret.",
    ),
    "in-the-first-wave": lambda: r.stopped(
        r.in_waves("verify", 0, 1, 0).but(unrehearsed=NO_THROWAWAYS),
        StopKind.PROJECTION,
        "the gateway has not taken the change",
        "`chat-001` in production: replica-2:9090 is not synced yet. "
        "This says nothing against the new secret: look at Resource Projection in AISIX first.",
    ),
    "a-fault-in-the-watch": lambda: r.stopped(
        r.watched(),
        StopKind.TROUBLE,
        "a fault in Keyturn",
        "Keyturn itself made a mistake here; the log has it under `00c0ffee`.",
    ),
    "unverifiable": lambda: r.stopped(
        r.running("verify", r.plan(gateways=["env_p"])),
        StopKind.UNVERIFIED,
        "some models cannot be verified",
        "`staging` has no gateway in the settings (AISIX_GATEWAYS).",
    ),
    "drift": lambda: r.stopped(
        r.running("cut-over"),
        StopKind.DRIFT,
        "someone else changed AISIX",
        "`late` in staging was bound to the old key by someone.",
    ),
    "drift-at-the-delete": lambda: r.stopped(
        r.running("recheck", approvals=(r.approval(),)),
        StopKind.DRIFT,
        "something uses the old key",
        "Not deleted: `chat-new` in production refers to the old key. I will not delete it while anything uses it.",
    ),
    "trouble": lambda: r.stopped(
        r.running("cut-over"),
        StopKind.TROUBLE,
        "no usable answer",
        "AISIX is not answering (no connection). I have tried for 10 minutes.",
    ),
    "trouble-back": lambda: r.stopped(
        r.going_back(("point-back",)),
        StopKind.TROUBLE,
        "a model does not answer on the old key",
        f"Pointed back at the old key, but `chat-large` in production does not answer: {r.RATE_LIMITED.reason}.",
    ),
    "rejected-withdraw": lambda: r.stopped(
        r.withdrawing(),
        StopKind.TROUBLE,
        "no usable answer",
        "AISIX is not answering (time-out). I have tried for 10 minutes.",
    ),
}

HOSTILE_PLAN = r.plan(
    [r.model(n, alias=r.HOSTILE, upstream=r.HOSTILE) for n in range(1, 4)],
    r.key(display_name=r.HOSTILE, provider=r.HOSTILE, settings={"api_base": r.HOSTILE, "adapter": r.HOSTILE}),
)
LEFT_ALONE = ("`support-embed` in production uses a key that this rotation does not know; I left it alone.",)

UNSEEN = "AISIX does not list the passthrough routes of `production`, so something there may use it unseen."
KEY_LEFT = (f"Key `pk_1` of this rotation stays: {UNSEEN}",)

UNLISTED = (Unlisted(kind=BUDGETS),)

ROTATIONS: Mapping[str, Callable[[], Rotation]] = {
    "awaiting-secret": r.awaiting_secret,
    "awaiting-secret-no-models": lambda: r.awaiting_secret(r.plan(())),
    "awaiting-secret-one-model": lambda: r.awaiting_secret(r.plan(r.FEW[:1])),
    "awaiting-secret-500-models": lambda: r.awaiting_secret(r.plan(r.many(500))),
    "awaiting-secret-hostile": lambda: r.awaiting_secret(HOSTILE_PLAN),
    "awaiting-secret-unverifiable": lambda: r.awaiting_secret(r.plan(gateways=["env_p"])),
    "awaiting-secret-warnings": lambda: r.awaiting_secret(
        r.plan(old_key=r.key(allowed_environments=("env_p",)), routes=(r.route(),), budgeted_keys=("pk_7f3a",))
    ),
    "awaiting-secret-again": lambda: r.awaiting_secret(attempt=1),
    "awaiting-secret-lost": lambda: r.awaiting_secret(
        attempt=1, note="The replacement key was not created, and the secret is not kept: please give it once more."
    ),
    "awaiting-secret-lost-after-delete-was-asked": lambda: r.awaiting_secret(
        attempt=2,
        delete_asked_at=r.at(390),
        note="The replacement key was not created, and the secret is not kept: please give it once more.",
    ),
    "awaiting-secret-after-the-delete": lambda: r.awaiting_secret(
        r.plan().but(old_key_gone=True), attempt=1, delete_asked_at=r.at(390)
    ),
    "running-replace": lambda: r.running("replace"),
    "running-baseline": lambda: r.running("baseline", note="1 of 3"),
    "running-rehearse": lambda: r.running("rehearse", note="rehearsing"),
    "running-cut-over": lambda: r.seeing(r.running("cut-over", note="1 of 3"), r.good(36), moved_at=r.at(34)),
    "running-project": lambda: r.running("project", note="1 model not there yet"),
    "running-verify": lambda: r.running("verify", note="2 of 3"),
    "running-trouble": lambda: r.running(
        "cut-over", note="AISIX is not answering (no connection). Trying again.", trouble_since=r.at(34)
    ),
    "running-soak": lambda: r.running("soak", note="soaking", soak_until=r.at(640)),
    "running-soak-again": lambda: r.running(
        "soak", note="`replica-2:9090` in production has counted 1 request on the old key since the change"
    ),
    "running-no-rehearsal": lambda: r.running("cut-over", unrehearsed=NO_THROWAWAYS),
    "running-first-wave": lambda: r.in_waves("project", 0, 1, 0),
    "running-second-wave": lambda: r.in_waves("cut-over", 1, 1, 1).but(note="1 of 12 verified"),
    "running-second-wave-moved": lambda: r.in_waves("verify", 1, 7, 1).but(note="1 of 12"),
    "running-last-wave": lambda: r.in_waves("verify", 2, 12, 7).but(note="7 of 12"),
    "running-after-a-void": lambda: r.running("verify", voids=(r.void(),), asked_at=r.at(41)),
    "running-after-a-void-and-another-secret": lambda: r.running(
        "cut-over", voids=(r.void(),), attempt=2, secret_asked_at=r.at(400)
    ),
    "running-verify-cached": lambda: r.seeing(r.running("verify"), r.CACHED),
    "running-watch": r.watched,
    "running-watch-just-begun": lambda: r.watched(watched=0, watch_until=None),
    "running-watch-trouble": lambda: r.watched(troubles=(r.trouble(), r.trouble(1))),
    "running-watch-well-again": lambda: r.watched(troubles=(r.trouble(), r.over())),
    "running-watch-500-models": lambda: r.watched(r.plan(r.many(500))),
    "running-recheck": lambda: r.running("recheck", approvals=(r.approval(),)),
    "running-delete": lambda: r.running(
        "delete", approvals=(r.approval(),), note="reading back that the old key is gone"
    ),
    "running-withdraw": r.withdrawing,
    "awaiting-approval": r.awaiting_approval,
    "awaiting-approval-reminded": lambda: r.awaiting_approval(reminded_at=r.at(14_000)),
    "awaiting-approval-as-before": lambda: r.failed_before(r.awaiting_approval(), 1),
    "awaiting-approval-proved": lambda: r.listening(
        r.proved(r.awaiting_approval(tally=r.CALLERS, asked_at=r.at(640), same_secret_checked=True))
    ),
    "awaiting-approval-mixed": lambda: mixed(r.awaiting_approval(r.plan(r.many(9)), tally=r.CALLERS)),
    "awaiting-approval-heard": lambda: r.listening(r.awaiting_approval(), (None, 300, None)),
    "awaiting-approval-still-heard": lambda: r.listening(r.awaiting_approval(), (None, 640, 300)),
    "awaiting-approval-partly-heard": lambda: r.listening(r.awaiting_approval(), (None, None)),
    "awaiting-approval-callers-fail": lambda: r.listening(r.awaiting_approval(tally=r.FAILING_CALLERS)),
    "awaiting-approval-no-rehearsal": lambda: r.awaiting_approval(unrehearsed=NO_THROWAWAYS),
    "awaiting-approval-accepted": lambda: r.accepted(r.proved(r.awaiting_approval()), 1),
    "awaiting-approval-accepted-hostile": lambda: r.accepted(r.awaiting_approval(), 1, reason=r.HOSTILE * 6),
    "awaiting-approval-again": lambda: r.awaiting_approval(asked_at=r.at(340), voids=(r.void(),)),
    "awaiting-approval-lapsed": lambda: r.awaiting_approval(
        approvals_required=2, approvals=(r.approval(),), voids=(r.lapsed(),)
    ),
    "awaiting-approval-stricter": lambda: r.awaiting_approval(
        approvals_required=2,
        approvals=(r.approval(),),
        voids=(r.lapsed("The settings ask for 2 approvals now.", by=()),),
    ),
    "awaiting-approval-lapsed-after-delete-was-asked": lambda: r.awaiting_approval(
        delete_asked_at=r.at(390),
        voids=(r.lapsed("This person is a guest now.", "The requester can't approve.", by=(r.APPROVER, r.REQUESTER)),),
    ),
    "awaiting-approval-again-hostile": lambda: r.awaiting_approval(voids=(r.void(r.HOSTILE * 50),)),
    "awaiting-approval-everything-500-models": lambda: r.listening(
        mixed(
            r.awaiting_approval(
                r.plan(r.many(500)),
                tally=r.FAILING_CALLERS,
                asked_at=r.at(640),
                voids=(r.void(),),
                unrehearsed=NO_THROWAWAYS,
            )
        ),
        (None, 300, None),
    ),
    "awaiting-approval-adopted": lambda: r.awaiting_approval(adopted_at=r.at(30)),
    "awaiting-approval-skipped": lambda: r.seeing(r.awaiting_approval(), r.SKIPPED, 2),
    "awaiting-approval-no-models": lambda: r.unused(r.awaiting_approval(r.plan(())), "tried with curl"),
    "awaiting-approval-1-of-2": lambda: r.awaiting_approval(approvals_required=2, approvals=(r.approval(),)),
    "awaiting-approval-0-of-2": lambda: r.awaiting_approval(approvals_required=2),
    "awaiting-approval-500-models": lambda: r.failed_before(r.awaiting_approval(r.plan(r.many(500))), 400),
    "completed-after-watch": lambda: r.listening(r.proved(r.completed_after_watch(tally=r.CALLERS))),
    "completed-after-watch-troubled": lambda: r.completed_after_watch(troubles=(r.trouble(), r.trouble(1), r.over())),
    "awaiting-approval-unlisted": lambda: r.awaiting_approval(r.plan().but(unlisted=UNLISTED)),
    "rolling-back": r.going_back,
    "rolling-back-removing": lambda: r.going_back(("point-back", "verify-back")),
    "completed": r.completed,
    "completed-orphan": lambda: r.completed(
        left_alone=("`late` in production refers to the deleted key and fails: point it at the replacement now.",)
    ),
    "completed-500-models": lambda: r.completed(r.plan(r.many(500))),
    "completed-no-models": lambda: r.unused(r.completed(r.plan(())), "tried with curl"),
    "rolled-back": r.rolled_back,
    "rolled-back-left-alone": lambda: r.rolled_back(left_alone=LEFT_ALONE),
    "cancelled": r.cancelled,
    "cancelled-expired": lambda: r.cancelled(ended_by=None, note="Nobody gave a secret in time; nothing was changed."),
    "cancelled-after-a-refused-secret": lambda: r.cancelled(attempt=1),
    "cancelled-and-a-key-left": lambda: r.cancelled(attempt=1, left_alone=KEY_LEFT),
    "cancelled-after-a-stop": lambda: r.cancelled_at(*STILL_USED),
    "cancelled-after-a-stop-without-replacement": lambda: r.cancelled_at(*GONE),
    "cancelled-after-delete-was-asked": lambda: r.cancelled(attempt=1, delete_asked_at=r.at(390)),
    "cancelled-after-the-delete": lambda: r.cancelled(
        attempt=1, delete_asked_at=r.at(390), plan=r.plan().but(old_key_gone=True)
    ),
    **{f"stopped-{name}": made for name, made in STOPS.items()},
}
"""Every moment at which a card and a checklist are drawn."""


# --- what else people see ---


def told(rotation: Rotation, part: str) -> Case:
    """Return the milestone of *rotation* whose key begins with *part*."""
    return lambda: next(
        reply.content for reply in composed(rotation, r.APPROVERS).replies if reply.key.startswith(part)
    )


def answer(error: Exception) -> Case:
    def answered() -> Json:
        text, blocks = explain(error)
        return {"text": text} | ({"blocks": blocks} if blocks else {})

    return answered


def form(rotation: Rotation) -> Json:
    return acceptance_form(rotation, acceptable(rotation))


def refused(secret: str, provider: str = "openai") -> Exception:
    try:
        checked(secret, r.key(provider=provider))
    except Exception as error:  # noqa: BLE001 - the sentence of whatever it is
        return error
    raise AssertionError(secret)


def directly(made: Callable[[], Rotation], shut: Shut = Shut.ARCHIVED) -> Case:
    """Return what the requester of a rotation is told while the channel is *shut*."""

    def told() -> Json:
        said = direct(made(), shut)
        assert said is not None
        return said.content

    return told


MESSAGES: Mapping[str, Case] = {
    "direct-awaiting-approval": directly(r.awaiting_approval),
    "direct-another-secret": directly(
        lambda: r.withdrawing(state=State.AWAITING_SECRET, secret_asked_at=r.at(70)), Shut.RESTRICTED
    ),
    "direct-stopped": directly(STOPS["rejected"], Shut.LEFT),
    "direct-unverified": directly(STOPS["unverified"]),
    "direct-deleted": directly(r.completed),
    "direct-trouble": directly(lambda: r.watched(troubles=(r.trouble(),)), Shut.LEFT),
    "card-another-linked": lambda: card(r.awaiting_secret(), OTHER).content,
    "listing-500-models": told(r.awaiting_secret(r.plan(r.many(500))), "listing"),
    "listing-101-models": told(r.awaiting_secret(r.plan(r.many(101))), "listing"),
    "reply-created": told(r.running("baseline"), "created"),
    "reply-rehearsed": told(r.running("cut-over"), "rehearsed"),
    "reply-moved": told(r.running("project"), "moved"),
    "reply-moved-one": told(r.running("project", r.plan(r.FEW[:1])), "moved"),
    "reply-verified": told(r.failed_before(r.awaiting_approval(), 1), "verified"),
    "reply-approval": told(r.awaiting_approval(), "approval"),
    "reply-reminder": told(r.awaiting_approval(reminded_at=r.at(14_000)), "reminder"),
    "reply-stopped": told(STOPS["rejected"](), "stopped"),
    "reply-deleted": told(r.completed(), "deleted"),
    "reply-rolled-back": told(r.rolled_back(), "rolled-back"),
    "receipt": told(r.completed(), "receipt"),
    "receipt-full": told(
        r.failed_before(
            r.seeing(
                r.completed(
                    attempt=2, approvals=(r.approval(), r.approval(r.SECOND_APPROVER, 302)), left_alone=LEFT_ALONE
                ),
                r.SKIPPED,
                2,
            ),
            1,
        ),
        "receipt",
    ),
    "receipt-adopted": told(r.completed(adopted_at=r.at(30)), "receipt"),
    "receipt-no-models": told(r.unused(r.completed(r.plan(())), "tried with curl"), "receipt"),
    "receipt-500-models": told(r.completed(r.plan(r.many(500))), "receipt"),
    "reply-first-wave": told(r.in_waves("cut-over", 1, 1, 1), "wave"),
    "reply-later-wave": told(r.in_waves("verify", 2, 9, 5), "wave"),
    "reply-accepted-no-models": told(r.unused(r.running("soak", r.plan(())), "tried with curl"), "accepted"),
    "reply-accepted": told(r.accepted(r.running("verify"), 0, 2), "accepted"),
    "reply-accepted-hostile": told(r.accepted(r.running("verify"), 0, reason=r.HOSTILE * 6), "accepted"),
    "reply-void": told(r.running("project", voids=(r.void(),)), "void"),
    "reply-void-two-approvers": told(
        r.running("project", voids=(r.void(r.HOSTILE, "B.", by=(r.APPROVER, r.SECOND_APPROVER)),)), "void"
    ),
    "reply-void-after-delete-was-asked": told(
        r.running("project", voids=(r.void(),), delete_asked_at=r.at(290)), "void"
    ),
    "reply-lapsed": told(r.awaiting_approval(voids=(r.lapsed(),)), "void"),
    "reply-lapsed-and-approved-by-others": told(r.running("recheck", voids=(r.lapsed(),)), "void"),
    "reply-trouble": told(r.watched(troubles=(r.trouble(),)), "trouble"),
    "reply-troubles": told(r.watched(troubles=tuple(r.trouble(n % 3, about=f"{n}") for n in range(40))), "trouble"),
    "reply-well-again": told(r.watched(troubles=(r.over(),)), "well-again"),
    "receipt-in-watch": told(r.listening(r.proved(r.watched(tally=r.CALLERS))), "receipt"),
    "receipt-in-watch-troubled": told(r.watched(troubles=(r.trouble(),)), "receipt"),
    "receipt-after-watch": told(r.listening(r.proved(r.completed_after_watch(tally=r.CALLERS))), "receipt"),
    "receipt-after-troubles": told(
        r.completed_after_watch(
            troubles=(r.trouble(), *(r.trouble(1, 930 + n, about=f"{n}") for n in range(25)), r.over())
        ),
        "receipt",
    ),
    "receipt-everything": told(
        r.listening(
            mixed(
                r.completed_after_watch(
                    r.plan(r.many(9)),
                    attempt=2,
                    asked_at=r.at(640),
                    tally=r.FAILING_CALLERS,
                    voids=(r.void(), r.void("The evidence was older than 1 h.", seconds=500), r.lapsed()),
                    unrehearsed=NO_THROWAWAYS,
                    left_alone=LEFT_ALONE,
                )
            ),
            (None, 300, None),
        ),
        "receipt",
    ),
    "receipt-watch-stopped": told(STOPS["a-fault-in-the-watch"](), "receipt"),
    "receipt-accepted-hostile": told(r.accepted(r.completed(), 0, reason=r.HOSTILE * 6), "receipt"),
    "answer-help": lambda: {"text": HELP},
    "answer-being-rotated": lambda: {"text": being_rotated(r.awaiting_approval(), "https://sandbox.slack.com/p1")},
    "answer-being-rotated-without-a-card": lambda: {"text": being_rotated(r.watched(), "")},
    "answer-unknown": answer(UnknownKey("opnai prod", ("OpenAI production", "OpenAI staging"))),
    "answer-unknown-nothing-near": answer(UnknownKey(r.HOSTILE, ())),
    "answer-ambiguous": answer(AmbiguousKey(r.NAME, ((r.NAME, "pk_7f3a"), (r.NAME, "pk_22aa")))),
    "answer-ambiguous-101": answer(AmbiguousKey("O", tuple((f"OpenAI {n}", f"pk_{n}") for n in range(101)))),
    "answer-looks-like-secret": answer(LooksLikeSecret()),
    "answer-bad-secret": answer(refused("one two")),
    "answer-bad-line": answer(refused("OPENAI_API_KEY=sk-0123456789")),
    "answer-bad-value": answer(refused('{"tenant_id": "a", "client_id": "b", "client_secret": "c d"}', "azure")),
    "answer-bad-document": answer(refused('{"project": "p", "region": "r"}', "vertex")),
}
VIEWS: Mapping[str, Case] = {
    "form-picker": lambda: picker("C_OPS"),
    "form-secret": lambda: secret_form(r.awaiting_secret(), f"{r.NAME} (2026-11-23 r7k2abc)"),
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
    "form-acceptance": lambda: form(r.unsure(r.running("soak"))),
    "form-acceptance-500-models": lambda: form(STOPS["unverified-500-models"]()),
    "form-acceptance-no-models": lambda: form(STOPS["unverified-no-models"]()),
    "form-acceptance-hostile": lambda: form(r.unsure(r.running("soak", HOSTILE_PLAN))),
    "form-secret-hostile": lambda: secret_form(r.awaiting_secret(HOSTILE_PLAN), r.HOSTILE * 20),
}
OPTIONS: Mapping[str, Case] = {
    "option": lambda: option(r.key()),
    "option-hostile": lambda: option(r.key(display_name=r.HOSTILE, provider=r.HOSTILE * 20)),
}


def _thread(made: Callable[[], Rotation]) -> Callable[[], list[Json]]:
    return lambda: [checklist(made()), *(reply.content for reply in composed(made(), r.APPROVERS).replies)]


THREADS: Mapping[str, Callable[[], list[Json]]] = {
    f"thread-{name}": _thread(ROTATIONS[name])
    for name in ("stopped-rejected", "awaiting-approval-proved", "completed-after-watch")
}
"""All that hangs under a card at one moment."""


def _card(made: Callable[[], Rotation]) -> Case:
    return lambda: card(made()).content


def _checklist(made: Callable[[], Rotation]) -> Case:
    return lambda: checklist(made())


CASES: Mapping[str, Callable[[], Any]] = {
    **{f"card-{name}": _card(made) for name, made in ROTATIONS.items()},
    **{f"checklist-{name}": _checklist(made) for name, made in ROTATIONS.items() if made().attempt},
    **MESSAGES,
    **VIEWS,
    **OPTIONS,
    **THREADS,
}
