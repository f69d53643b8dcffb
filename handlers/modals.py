"""Handle submitted forms. The secret is removed from the payload, handed over, and never returns here."""

from collections.abc import Awaitable
from typing import Any, TypeVar

from slack_bolt.context.ack.async_ack import AsyncAck

from bot.rotation.actions import Action
from bot.rotation.errors import BadInput, Late, Refused
from bot.rotation.policy import Chosen, Pressed
from bot.rotation.secret import Submitted, Typed
from bot.service import RotationService
from bot.service.giving import SecretPages
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers, Asker
from handlers.background import Background
from handlers.batches import BatchDesk, channel_in
from handlers.batches import begin_batch as begun
from handlers.commands import start
from handlers.errors import answered, explain
from handlers.forms import Forms, another_form_of
from handlers.payload import (
    chosen,
    chosen_date,
    has,
    number_of,
    person_of,
    picked,
    said,
    taken_out,
    text,
    typed,
)
from handlers.views.asking import ANSWER, QUESTION
from handlers.views.batch import KEYS
from handlers.views.exposure_forms import REACH, SINCE, WHAT, WHERE
from handlers.views.holding import UNTIL, held
from handlers.views.modal import (
    CAUSES,
    KEY,
    LEAKED,
    MODELS,
    NAME,
    REASON,
    REST,
    SECRET,
    TICKET,
    VALUE,
    notice,
    option,
)
from handlers.views.there_forms import ROW

Json = dict[str, Any]
T = TypeVar("T")


async def find_keys(
    ack: AsyncAck, options: Json, body: Json, rotations: RotationService, background: Background
) -> None:
    try:
        await rotations.check_may_request(person_of(body))
        async with background.patience():
            keys = await rotations.keys_like(text(options, "value"))
    except Exception as error:  # noqa: BLE001 - a menu cannot show a sentence; the submission says why
        explain(error)
        keys = ()
    await ack(options=[option(key) for key in keys])


AT_THE_REQUEST = "reported with the request"
"""What leaked, as long as nobody has said more: the review asks for it."""


@answered
async def pick_key(
    ack: AsyncAck,
    view: Json,
    body: Json,
    rotations: RotationService,
    announcer: SlackAnnouncer,
    answers: Answers,
) -> None:
    await ack()
    key_id = picked(view, KEY, VALUE)
    channel = channel_in(view)
    try:
        rotation = await start(key_id, channel, body, rotations, announcer)
        if chosen(view, LEAKED, VALUE):
            await rotations.expose(rotation.id, by=person_of(body), what=AT_THE_REQUEST, where="", since="")
    except Refused as refusal:
        text, blocks = explain(refusal)
        await answers.tell(Asker(person_of(body), channel), text, blocks=blocks)


async def give_secret(
    ack: AsyncAck, view: Json, body: Json, rotations: RotationService, background: Background
) -> None:
    """Check, record, acknowledge; only this process has the secret, so it creates the replacement itself."""
    rotation_id, by = said(view.get("private_metadata")), person_of(body)
    submitted = Submitted(
        taken_out(view, SECRET, VALUE) + taken_out(view, REST, VALUE),
        *(taken_out(view, field, VALUE) for field in (NAME, REASON, TICKET)),
    )
    work = _given(rotations, background, rotation_id, submitted, by)
    await taken(ack, work, SECRET, late="This took too long, so nothing was created. Press again.")


async def mint(ack: AsyncAck, view: Json, body: Json, rotations: RotationService, background: Background) -> None:
    """Record that the provider will be asked for a secret; the worker asks."""
    rotation_id = said(view.get("private_metadata"))
    wanted = Typed("", *(typed(view, field, VALUE) for field in (NAME, REASON, TICKET)))
    await taken(ack, rotations.mint(rotation_id, wanted, by=person_of(body)), NAME, late=f"{SLOW}, or press again.")


async def _given(
    rotations: RotationService, background: Background, rotation_id: str, submitted: Submitted, by: str
) -> None:
    """Hand over the secret; once it is accepted, create the replacement in the background."""
    rotation = await rotations.give_secret(rotation_id, submitted, by=by)
    background.begin(rotations.create_replacement(rotation))


async def take_back(
    ack: AsyncAck,
    view: Json,
    body: Json,
    rotations: RotationService,
    forms: Forms,
    secret_pages: SecretPages | None,
) -> None:
    """Move models back as agreed, and ask for the secret in the same place; if it is not as agreed now, ask again."""
    rotation_id, _, agreed = said(view.get("private_metadata")).partition(" ")
    try:
        async with Background.patience():
            rotation = await rotations.another_secret(rotation_id, by=person_of(body), agreed=number_of(agreed))
            shown = forms.certain(await another_form_of(rotation, rotations, secret_pages, by=person_of(body)))
    except TimeoutError:
        shown = notice(Action.ANOTHER_SECRET, f"{SLOW}.")
    except Exception as error:  # noqa: BLE001 - any error is shown in the place of the form
        shown = notice(Action.ANOTHER_SECRET, explain(error)[0])
    await ack(response_action="update", view=shown)


async def accept_unproved(
    ack: AsyncAck,
    view: Json,
    body: Json,
    rotations: RotationService,
    answers: Answers,
    background: Background,
    pressed: Pressed,
) -> None:
    accepted = Chosen(frozenset(chosen(view, MODELS, VALUE)), frozenset(chosen(view, CAUSES, VALUE)))
    reason = typed(view, REASON, VALUE)
    rotation_id, _, shown = said(view.get("private_metadata")).partition(" ")
    by = person_of(body)
    work = rotations.accept_unproved(rotation_id, accepted, reason, by=by, shown=shown, pressed=pressed)
    first = CAUSES if has(view, CAUSES) else REASON
    await taken(ack, _in_time(work, by, answers, background), first, late=f"{SLOW}, or press again.")


async def delete_anyway(
    ack: AsyncAck,
    view: Json,
    body: Json,
    rotations: RotationService,
    answers: Answers,
    background: Background,
    pressed: Pressed,
) -> None:
    """Approve the delete although something speaks against it; each form counts once."""
    rotation_id, _, shown = said(view.get("private_metadata")).partition(" ")
    by, click = person_of(body), f"form/{text(view, 'id')}"
    reason = typed(view, REASON, VALUE)
    work = rotations.approve(rotation_id, by=by, pressed=pressed, click=click, shown=shown, reason=reason)
    await taken(ack, _in_time(work, by, answers, background), REASON, late=f"{SLOW}, and press there.")


async def start_anyway(
    ack: AsyncAck,
    view: Json,
    body: Json,
    rotations: RotationService,
    answers: Answers,
    background: Background,
    pressed: Pressed,
) -> None:
    """Start although somebody has said "not yet"; each form counts once."""
    rotation_id, _, shown = said(view.get("private_metadata")).partition(" ")
    by, click = person_of(body), f"form/{text(view, 'id')}"
    reason = typed(view, REASON, VALUE)
    work = rotations.start_moving(rotation_id, by=by, pressed=pressed, click=click, shown=shown, reason=reason)
    await taken(ack, _in_time(work, by, answers, background), REASON, late=f"{SLOW}, and press there.")


async def begin_batch(
    ack: AsyncAck, view: Json, body: Json, rotations: RotationService, batch_desk: BatchDesk, answers: Answers
) -> None:
    """Begin a batch; what is wrong with it is said at the first field."""
    work = begun(view, body, rotations, batch_desk)
    await taken(ack, work, KEYS, late="This took too long: look in the channel for whether the batch has begun.")


async def hold_key(
    ack: AsyncAck, view: Json, body: Json, rotations: RotationService, answers: Answers, background: Background
) -> None:
    """Put the key of the form on hold, and tell the person who sent it."""
    channel, key_id, name = f"{said(view.get('private_metadata'))}  ".split(" ", 2)
    reason, until, by = typed(view, REASON, VALUE), chosen_date(view, UNTIL, VALUE), person_of(body)

    async def hold() -> None:
        late = await rotations.hold(key_id, name.strip(), reason, until, by=by)
        background.begin(answers.tell(Asker(by, channel), held(name.strip(), until, late)))

    await taken(ack, hold(), REASON, late="This took too long: look at the key's card for whether it was taken.")


async def say_not_yet(ack: AsyncAck, view: Json, body: Json, rotations: RotationService) -> None:
    """Put off the delete, for a reason."""
    reason = typed(view, REASON, VALUE)
    work = rotations.not_yet(said(view.get("private_metadata")), reason, by=person_of(body))
    await taken(ack, work, REASON, late=f"{SLOW}, or press again.")


async def ask_requester(ack: AsyncAck, view: Json, body: Json, rotations: RotationService) -> None:
    work = rotations.ask(said(view.get("private_metadata")), typed(view, QUESTION, VALUE), by=person_of(body))
    await taken(ack, work, QUESTION, late=f"{SLOW}, or press again.")


async def answer_approver(ack: AsyncAck, view: Json, body: Json, rotations: RotationService) -> None:
    rotation_id, _, number = said(view.get("private_metadata")).partition(" ")
    work = rotations.answer(rotation_id, number_of(number), typed(view, ANSWER, VALUE), by=person_of(body))
    await taken(ack, work, ANSWER, late=f"{SLOW}, or press again.")


async def say_not_needed(ack: AsyncAck, view: Json, body: Json, rotations: RotationService) -> None:
    """End the task to revoke a credential, for a reason."""
    reason = typed(view, REASON, VALUE)
    work = rotations.not_needed(said(view.get("private_metadata")), reason, by=person_of(body))
    await taken(ack, work, REASON, late=f"{SLOW}, or press again.")


async def revoke_there(
    ack: AsyncAck,
    view: Json,
    body: Json,
    rotations: RotationService,
    answers: Answers,
    background: Background,
    pressed: Pressed,
) -> None:
    """Approve the revocation at the provider, for what the form showed."""
    rotation_id, _, shown = said(view.get("private_metadata")).partition(" ")
    by, reason = person_of(body), typed(view, REASON, VALUE)
    work = rotations.revoke_there(rotation_id, reason, by=by, pressed=pressed, shown=shown)
    await taken(ack, _in_time(work, by, answers, background), REASON, late=f"{SLOW}, or press again.")


async def choose_row(ack: AsyncAck, view: Json, body: Json, rotations: RotationService) -> None:
    """Take the word of an approver for which credential it is."""
    work = rotations.choose_row(said(view.get("private_metadata")), picked(view, ROW, VALUE), by=person_of(body))
    await taken(ack, work, ROW, late=f"{SLOW}, or press again.")


async def report_exposure(
    ack: AsyncAck, view: Json, body: Json, rotations: RotationService, background: Background
) -> None:
    told = {field: typed(view, field, VALUE) for field in (WHAT, WHERE, SINCE)}
    work = rotations.expose(said(view.get("private_metadata")), by=person_of(body), **told)
    await taken(ack, work, WHAT, late=f"{SLOW}, or press again.")


async def give_review(
    ack: AsyncAck, view: Json, body: Json, rotations: RotationService, background: Background
) -> None:
    told = {field: typed(view, field, VALUE) for field in (WHAT, WHERE, SINCE, REACH)}
    work = rotations.give_review(said(view.get("private_metadata")), by=person_of(body), **told)
    await taken(ack, work, WHAT, late=f"{SLOW}, or press again.")


SLOW = "This took too long; see the card for whether it was taken"


async def _in_time(work: Awaitable[T], by: str, answers: Answers, background: Background) -> T:
    """Await *work*; if the form came too late, tell the person directly: Slack no longer waits for the answer."""
    try:
        return await work
    except Late as late:
        background.begin(answers.tell(Asker(by), str(late)))
        raise


async def taken(ack: AsyncAck, work: Awaitable[object], first: str, *, late: str) -> None:
    """Do what a form asks for and close it; show an error at its field, or at the *first* one."""
    try:
        async with Background.patience():
            await work
    except BadInput as wrong:
        errors = {first if wrong.field == MODELS else wrong.field: str(wrong)}
    except TimeoutError:
        errors = {first: late}
    except Exception as error:  # noqa: BLE001 - any error is shown at a field of the form
        errors = {first: explain(error)[0]}
    else:
        await ack(response_action="clear")
        return
    await ack(response_action="errors", errors=errors)
