"""The buttons of a card. Each carries only a rotation's id; the record decides what it does."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck

from bot.rotation.actions import Action
from bot.rotation.policy import Pressed
from bot.rotation.record import Rotation
from bot.service import RotationService
from bot.service.giving import SecretPages
from bot.service.step_up import StepUp
from handlers.ages import rotate_listed
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers, Asker
from handlers.batches import approve_ready, end_batch, go_on
from handlers.commands import start
from handlers.errors import CHOOSE_KEY, answered
from handlers.forms import Forms, another_form_of, mint_form_of, press_again, press_again_at, secret_form_of
from handlers.history import open_history
from handlers.payload import channel_of, number_of, person_of, text
from handlers.picking import from_anywhere, listed_key
from handlers.several import instead_of_one
from handlers.views.ages import ROTATE_LISTED
from handlers.views.anyway import delete_form, start_form
from handlers.views.asking import answer_form, not_needed_form, not_yet_form, question_form
from handlers.views.batch import APPROVE_READY, END_BATCH, GO_ON
from handlers.views.blocks import Block
from handlers.views.buttons import SHOWN
from handlers.views.exposure_forms import exposure_form, review_form
from handlers.views.home import HOME_HISTORY, HOME_PICK, HOME_ROTATE
from handlers.views.links import GIVE, SIGN_IN, give_secret, sign_in
from handlers.views.modal import SEVERAL_KEYS, acceptance_form
from handlers.views.talk import QUESTION
from handlers.views.there import label
from handlers.views.there_forms import revoke_form, row_form

Json = dict[str, Any]
Listener = Callable[..., Awaitable[None]]
Verb = Callable[..., Awaitable[Rotation]]


def pressing(verb: Verb) -> Listener:
    """Return the listener of a button that does one thing at once."""

    @answered
    async def pressed(ack: AsyncAck, action: Json, body: Json, rotations: RotationService, answers: Answers) -> None:
        await ack()
        await verb(rotations, text(action, "value"), by=person_of(body))

    return pressed


def opening(action: Action, offer: Verb, form: Callable[[Rotation], Block]) -> Listener:
    """Return the listener of a button that opens a form, for the people to whom *offer* gives the rotation."""

    @answered
    async def opened(
        ack: AsyncAck, action: Json, body: Json, rotations: RotationService, forms: Forms, answers: Answers
    ) -> None:
        await ack()
        rotation = await offer(rotations, text(action, "value"), by=person_of(body))
        await forms.open(text(body, "trigger_id"), form(rotation), again)

    again = press_again(action)
    return opened


@answered
async def enter_secret(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    forms: Forms,
    answers: Answers,
    secret_pages: SecretPages | None,
) -> None:
    """Open the form; where the secret is given on a page, give the person a link to it."""
    await ack()
    if secret_pages:
        link = await secret_pages.offer(text(action, "value"), by=person_of(body))
        await answers.tell(Asker.of(body), GIVE, blocks=give_secret(link))
        return
    rotation = await rotations.offer_secret_form(text(action, "value"), by=person_of(body))
    await forms.open(text(body, "trigger_id"), secret_form_of(rotation, rotations), press_again(Action.ENTER_SECRET))


@answered
async def mint(
    ack: AsyncAck, action: Json, body: Json, rotations: RotationService, forms: Forms, answers: Answers
) -> None:
    await ack()
    rotation = await rotations.offer_mint_form(text(action, "value"), by=person_of(body))
    await forms.open(text(body, "trigger_id"), mint_form_of(rotation, rotations), press_again(Action.MINT))


@answered
async def another_secret(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    forms: Forms,
    announcer: SlackAnnouncer,
    answers: Answers,
    secret_pages: SecretPages | None,
) -> None:
    """Ask for another secret; after the delete, which nothing undoes, begin a rotation of the new key."""
    await ack()
    rotation = await rotations.another_secret(text(action, "value"), by=person_of(body))
    if rotation.deleted_at:
        await start(rotation.replacement_id or "", rotation.channel, body, rotations, announcer)
        return
    form = await another_form_of(rotation, rotations, secret_pages, by=person_of(body))
    await forms.open(text(body, "trigger_id"), form, press_again(Action.ANOTHER_SECRET))


@answered
async def accept_unproved(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    forms: Forms,
    answers: Answers,
    pressed: Pressed,
    step_up: StepUp | None,
) -> None:
    """Open the form; where accepting takes a sign-in, give the person a link to the page that has it."""
    await ack()
    if step_up:
        link = await step_up.offer(text(action, "value"), Action.ACCEPT_UNPROVED, by=person_of(body), pressed=pressed)
        await answers.tell(Asker.of(body), SIGN_IN, blocks=sign_in(link))
        return
    rotation = await rotations.offer_acceptance(text(action, "value"), by=person_of(body))
    await forms.open(text(body, "trigger_id"), acceptance_form(rotation), press_again(Action.ACCEPT_UNPROVED))


@answered
async def start_moving(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    forms: Forms,
    answers: Answers,
    pressed: Pressed,
    step_up: StepUp | None,
) -> None:
    """Let models move; after a "not yet" open the form that asks why; where it takes a sign-in, give a link."""
    await ack()
    _, _, shown = text(action, "block_id").partition(SHOWN)
    if step_up:
        link = await step_up.offer(
            text(action, "value"), Action.START, by=person_of(body), pressed=pressed, shown=shown
        )
        await answers.tell(Asker.of(body), SIGN_IN, blocks=sign_in(link))
        return
    rotation_id, by = text(action, "value"), person_of(body)
    if objected := await rotations.offer_start(rotation_id, by=by, pressed=pressed, shown=shown):
        await forms.open(text(body, "trigger_id"), start_form(objected), press_again(Action.START))
    else:
        await rotations.start_moving(rotation_id, by=by, pressed=pressed, click=click_of(action, body), shown=shown)


def click_of(action: Json, body: Json) -> str:
    """Return what tells this click from another: Slack may bring one twice."""
    return f"{text(body, 'trigger_id')}/{text(action, 'action_ts')}"


@answered
async def delete_old_key(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    forms: Forms,
    answers: Answers,
    pressed: Pressed,
    step_up: StepUp | None,
) -> None:
    """Approve the delete; if something speaks against it, approve nothing and open the form that asks why.

    Where approving takes a sign-in, do neither: give the person a link.
    """
    await ack()
    rotation_id, by = text(action, "value"), person_of(body)
    click = click_of(action, body)
    _, _, shown = text(action, "block_id").partition(SHOWN)
    if step_up:
        link = await step_up.offer(rotation_id, Action.DELETE_OLD_KEY, by=by, pressed=pressed, shown=shown)
        await answers.tell(Asker.of(body), SIGN_IN, blocks=sign_in(link))
        return
    flagged = await rotations.offer_delete(rotation_id, by=by, pressed=pressed, shown=shown)
    if flagged:
        await forms.open(text(body, "trigger_id"), delete_form(flagged), press_again(Action.DELETE_OLD_KEY))
    else:
        await rotations.approve(rotation_id, by=by, pressed=pressed, click=click, shown=shown)


@answered
async def revoke_there(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    forms: Forms,
    answers: Answers,
    pressed: Pressed,
) -> None:
    """Look at the provider, and open the form that shows what is known and asks to confirm."""
    await ack()
    seen = await rotations.offer_revoke(text(action, "value"), by=person_of(body), pressed=pressed)
    await forms.open(text(body, "trigger_id"), revoke_form(*seen), press_again_at(label(seen.rotation)))


@answered
async def choose_row(
    ack: AsyncAck, action: Json, body: Json, rotations: RotationService, forms: Forms, answers: Answers
) -> None:
    """Open the form that lists what the provider has."""
    await ack()
    listed = await rotations.offer_rows(text(action, "value"), by=person_of(body))
    await forms.open(text(body, "trigger_id"), row_form(*listed), press_again(Action.CHOOSE_ROW))


@answered
async def answer(
    ack: AsyncAck, action: Json, body: Json, rotations: RotationService, forms: Forms, answers: Answers
) -> None:
    """Ask for the answer to the question of this reply in the thread, or on the card, to the newest."""
    await ack()
    number = number_of(text(action, "block_id").removeprefix(QUESTION))
    rotation, about = await rotations.offer_answer(text(action, "value"), number, by=person_of(body))
    await forms.open(text(body, "trigger_id"), answer_form(rotation, about), press_again(Action.ANSWER))


@answered
async def choose_key(
    ack: AsyncAck,
    action: Json,
    body: Json,
    rotations: RotationService,
    announcer: SlackAnnouncer,
    answers: Answers,
) -> None:
    await ack()
    key_id = text(action, "selected_option", "value")
    await start(key_id, channel_of(body), body, rotations, announcer)


async def open_link(ack: AsyncAck) -> None:
    """Acknowledge that somebody follows a link: the browser opens it, but without an answer Slack shows a warning."""
    await ack()


LISTENERS = {
    Action.ENTER_SECRET: enter_secret,
    Action.MINT: mint,
    Action.CANCEL: pressing(RotationService.cancel),
    Action.START: start_moving,
    Action.TRY_AGAIN: pressing(RotationService.try_again),
    Action.ANOTHER_SECRET: another_secret,
    Action.VERIFY_AGAIN: pressing(RotationService.verify_again),
    Action.ROLL_BACK: pressing(RotationService.roll_back),
    Action.ACCEPT_UNPROVED: accept_unproved,
    Action.DELETE_OLD_KEY: delete_old_key,
    Action.NOT_YET: opening(Action.NOT_YET, RotationService.offer_not_yet, not_yet_form),
    Action.ASK: opening(Action.ASK, RotationService.offer_question, question_form),
    Action.ANSWER: answer,
    Action.REVOKED: pressing(RotationService.revoked),
    Action.REVOKE_THERE: revoke_there,
    Action.CHOOSE_ROW: choose_row,
    Action.ENABLE_AGAIN: pressing(RotationService.enable_again),
    Action.NOT_NEEDED: opening(Action.NOT_NEEDED, RotationService.offer_not_needed, not_needed_form),
    Action.ON_IT: pressing(RotationService.on_it),
    Action.EXPOSED: opening(Action.EXPOSED, RotationService.offer_exposure, exposure_form),
    Action.REVIEW: opening(Action.REVIEW, RotationService.offer_review, review_form),
}
"""One listener per button; a test checks that none is missing."""

MENUS = {
    GO_ON: go_on,
    END_BATCH: end_batch,
    APPROVE_READY: approve_ready,
    CHOOSE_KEY: choose_key,
    ROTATE_LISTED: rotate_listed,
    SEVERAL_KEYS: instead_of_one,
    HOME_PICK: from_anywhere,
    HOME_ROTATE: listed_key,
    HOME_HISTORY: open_history,
}
"""What else is pressed or chosen: in an answer, and on Home."""
