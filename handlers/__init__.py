"""Slack: commands, shortcuts, buttons and forms come in, cards go out. Nothing here decides about a rotation."""

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from handlers import actions, commands, history, home, modals, picking
from handlers.answers import Answers, Asker
from handlers.background import Background
from handlers.pressed import Absence, pressed_of
from handlers.views.anyway import DELETE_FORM, START_FORM
from handlers.views.asking import ANSWER_FORM, NOT_NEEDED_FORM, NOT_YET_FORM, QUESTION_FORM
from handlers.views.batch import BATCH_FORM
from handlers.views.exposure_forms import EXPOSURE_FORM, REVIEW_FORM
from handlers.views.history import HISTORY_FORM, HISTORY_PAGE
from handlers.views.holding import HOLD_FORM
from handlers.views.links import LINKS
from handlers.views.minting import MINT_FORM
from handlers.views.modal import ACCEPTANCE_FORM, PICKER, SECRET_FORM, TAKE_BACK_FORM, VALUE
from handlers.views.there_forms import REVOKE_FORM, ROW_FORM
from handlers.workspace import FOREIGN, Workspace

FORMS: dict[str, Callable[..., Awaitable[None]]] = {
    PICKER: modals.pick_key,
    HISTORY_FORM: history.find,
    HISTORY_PAGE: history.turn,
    SECRET_FORM: modals.give_secret,
    MINT_FORM: modals.mint,
    TAKE_BACK_FORM: modals.take_back,
    ACCEPTANCE_FORM: modals.accept_unproved,
    DELETE_FORM: modals.delete_anyway,
    START_FORM: modals.start_anyway,
    NOT_YET_FORM: modals.say_not_yet,
    QUESTION_FORM: modals.ask_requester,
    ANSWER_FORM: modals.answer_approver,
    NOT_NEEDED_FORM: modals.say_not_needed,
    REVOKE_FORM: modals.revoke_there,
    ROW_FORM: modals.choose_row,
    BATCH_FORM: modals.begin_batch,
    HOLD_FORM: modals.hold_key,
    EXPOSURE_FORM: modals.report_exposure,
    REVIEW_FORM: modals.give_review,
}
"""What takes each form."""


def register(
    app: AsyncApp, *, workspace: Workspace, answers: Answers, background: Background, absence: Absence, **more: Any
) -> None:
    """Register every listener; a listener gets each of these objects as the argument of that name."""
    provided = {"answers": answers, "background": background, **more}

    @app.use
    async def provide(
        context: AsyncBoltContext,
        request: AsyncBoltRequest,
        body: dict[str, Any],
        next: Callable[[], Awaitable[None]],  # noqa: A002 - Bolt's name
    ) -> BoltResponse | None:
        if workspace.is_foreign(body):  # we answer ourselves: without an answer Bolt would log the body
            background.begin(answers.tell(Asker.of(body), FOREIGN))
            return BoltResponse(status=200)
        context.update(provided, pressed=pressed_of(body, request.headers, absence.recent))
        await next()
        return None

    app.command(commands.COMMAND)(commands.rotate_key)
    app.event("app_home_opened")(home.opened)
    app.shortcut(picking.ROTATE)(picking.from_anywhere)
    app.shortcut(picking.ROTATE_HERE)(picking.from_message)
    for action, listener in actions.LISTENERS.items():
        app.action(action.name.lower())(listener)
    for action_id, listener in actions.MENUS.items():
        app.action(action_id)(listener)
    for action_id in LINKS:
        app.action(action_id)(actions.open_link)
    app.options(VALUE)(modals.find_keys)
    for callback_id, form in FORMS.items():
        app.view(callback_id)(form)
