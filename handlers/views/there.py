"""Sentences about what Keyturn does to a credential at its provider."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.rotation import revoking
from bot.rotation.actions import Action
from bot.rotation.chores import setback
from bot.rotation.credentials import Ability
from bot.rotation.parts import Approval, Chore, Phase, There, Which
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from handlers.views.blocks import sentence, when
from handlers.views.links import key_page, place_of


def label(rotation: Rotation) -> str:
    """Return the label of the button that begins it: "Disable at OpenRouter…"."""
    page = key_page(rotation.plan.old_key)
    where = page.name if page else "the provider"
    return f"{verb(rotation).capitalize()} at {where}…"


def verb(rotation: Rotation) -> str:
    """Return what is done first: "disable", where that can be undone."""
    return "disable" if revoking.can(rotation, Ability.DISABLE) else "revoke"


def can(rotation: Rotation) -> str:
    """Say that Keyturn can do it, and what an approver presses for that; empty if it can't."""
    offered = revoking.offers(rotation)
    if Action.REVOKE_THERE in offered:
        return f"Keyturn can do that: an approver presses *{label(rotation)}*."
    if Action.CHOOSE_ROW in offered:
        return f"Keyturn can do that: an approver presses *{Action.CHOOSE_ROW.value}* first."
    return ""


def said(rotation: Rotation) -> str:
    """Say how the revocation at the provider stands; empty while nobody has asked for one."""
    task = rotation.revocation
    if task is None or not task.is_open:
        return ""
    if task.there is None:
        return _waiting(rotation, task.approvals) if task.approvals else ""
    return " ".join([SAID[task.there.phase](rotation, task.there), *_trouble(rotation)])


def _waiting(rotation: Rotation, approvals: Sequence[Approval]) -> str:
    who = ", ".join(f"<@{one.by}>" for one in approvals)
    more = plural(rotation.approvals_required - len(approvals), "more approver")
    then = f"Next: another approver presses *{label(rotation)}*."
    return f"{who} asked to {verb(rotation)} {_credential(rotation)} at {_place(rotation)}: it takes {more}. {then}"


def _credential(rotation: Rotation) -> str:
    return f"the {rotation.revocation.which if rotation.revocation else Which.OLD} API key"


def _place(rotation: Rotation) -> str:
    return place_of(rotation.plan.old_key)


def _asked(rotation: Rotation, there: There) -> str:
    because = "as it is exposed" if there.by_itself else f"as {_askers(there)} asked"
    does = "disables" if revoking.can(rotation, Ability.DISABLE) else "deletes"
    return f"Keyturn {does} {_credential(rotation)} at {_place(rotation)}, {because}."


def _askers(there: There) -> str:
    return " and ".join(f"<@{one.by}>" for one in there.approvals) or "people"


def _disabled(rotation: Rotation, there: There) -> str:
    since = when(there.disabled_at or there.since)
    then = "once the rotation is past the delete"
    if there.due_at and revoking.is_final(rotation):
        then = when(there.due_at)
    if not revoking.can(rotation, Ability.DELETE):
        return f"{capital(rotation)} is disabled at {_place(rotation)} since {since}. Delete it there by hand."
    return (
        f"{capital(rotation)} is disabled at {_place(rotation)} since {since}. Keyturn looks again and deletes it "
        f"there {then}. If somebody needs it, press *{Action.ENABLE_AGAIN.value}*."
    )


def capital(rotation: Rotation) -> str:
    """Name the credential at the beginning of a sentence."""
    text = _credential(rotation)
    return text[0].upper() + text[1:]


def _stopped(rotation: Rotation, there: There) -> str:
    if there.gone >= revoking.READS:
        return f"{capital(rotation)} is gone at {_place(rotation)}. Next: people revoke the others there by hand."
    stays = "It stays disabled." if there.disabled_at else "It still works there."
    owner = rotation.revocation.owner if rotation.revocation else ""
    then = f"Next: an approver presses *{label(rotation)}* and says why, or <@{owner}> revokes it there."
    last = there.look.usage.last_at if there.look else None
    used = f" Last used {when(last)}." if last else ""
    return f"▲ Not revoked at {_place(rotation)}: {sentence(there.stopped, 300)}{used} {stays} {then}"


SAID: Mapping[Phase, Callable[[Rotation, There], str]] = {
    Phase.ASKED: _asked,
    Phase.DISABLED: _disabled,
    Phase.ENDING: lambda rotation, _: f"Keyturn deletes {_credential(rotation)} at {_place(rotation)}.",
    Phase.PROVING: lambda rotation, _: (
        f"{capital(rotation)} is deleted at {_place(rotation)}. Keyturn asks there again until it is sure."
    ),
    Phase.STOPPED: _stopped,
    Phase.ENABLING: lambda rotation, _: f"Keyturn enables {_credential(rotation)} at {_place(rotation)} again.",
}
"""What a card says in each phase; a test checks that none is missing."""


def _trouble(rotation: Rotation) -> Iterator[str]:
    """Say that the provider fails, and when Keyturn tries again."""
    failed = setback(rotation, Chore.REVOKE)
    if failed:
        yield f"▲ {sentence(failed.why, 300)} Failed {plural(failed.number, 'time')}; next try {when(failed.retry_at)}."


def ended(rotation: Rotation, there: There) -> str:
    """Say that it is gone, who asked for that, and how Keyturn knows."""
    asked = "because it was exposed" if there.by_itself else f"as {_askers(there)} asked"
    times = plural(revoking.READS, "time")
    return f"{capital(rotation)} was revoked at {_place(rotation)} by Keyturn, {asked}. Asked {times}: it is gone."
