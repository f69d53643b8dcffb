"""Open private forms, plainer where the workspace has no newer blocks yet."""

from collections.abc import Callable
from functools import partial

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.rotation.actions import Action
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.service import RotationService
from bot.service.giving import SecretPages
from handlers.refusals import Refusals
from handlers.slack import UNREACHABLE, SlackAway, counted, reason_of
from handlers.views.blocks import Block
from handlers.views.links import link_form
from handlers.views.minting import mint_form
from handlers.views.modal import secret_form, take_back_form
from handlers.views.plainer import OF_BLOCKS, without

log = structlog.get_logger("keyturn.forms")


def secret_form_of(rotation: Rotation, rotations: RotationService) -> Block:
    """Return the form of the new secret, under today's settings."""
    return _asking(partial(secret_form, references=rotations.reference_hint(rotation)), rotation, rotations)


def mint_form_of(rotation: Rotation, rotations: RotationService) -> Block:
    """Return the form that has the provider make the secret, under today's settings."""
    return _asking(mint_form, rotation, rotations)


def _asking(form: Callable[..., Block], rotation: Rotation, rotations: RotationService) -> Block:
    required, tickets = rotations.needs_reason(rotation), rotations.rules.ticket_pattern
    return form(rotation, rotations.proposed_name(rotation), require_reason=required, tickets=tickets)


def press_again(action: Action) -> str:
    """Say which button opens the form that Slack did not open."""
    return press_again_at(action.value)


def press_again_at(label: str) -> str:
    """Say the same of a button by its label."""
    return f"Press “{label}” once more."


async def another_form_of(
    rotation: Rotation, rotations: RotationService, secret_pages: SecretPages | None, *, by: str
) -> Block:
    """Return what follows **Another secret**: the question first, for as long as the rotation is stopped.

    Where the secret is given on a page, the form has a link to it.
    """
    if rotation.state is State.BLOCKED:
        return take_back_form(rotation)
    if secret_pages:
        return link_form(await secret_pages.offer(rotation.id, by=by))
    return secret_form_of(rotation, rotations)


ALERTS = frozenset({"alert"})


class Forms:
    """Opens forms; without alerts where the workspace refused one lately."""

    def __init__(self, client: AsyncWebClient, refusals: Refusals) -> None:
        self._client = client
        self._refusals = refusals
        self._takes_alerts = False
        """Whether the workspace has taken one from this process."""

    def certain(self, form: Block) -> Block:
        """Return *form* as Slack will take it: in the place of another form, nobody hears of a refusal."""
        return form if self._takes_alerts else without(form, ALERTS)

    async def open(self, trigger_id: str, form: Block, otherwise: str) -> None:
        """Open *form* at once, as its trigger lasts three seconds; *otherwise* says what helps if Slack does not."""
        try:
            await self._open(trigger_id, form)
        except (SlackApiError, *UNREACHABLE):
            raise SlackAway(f"Slack did not open the form. {otherwise}") from None

    async def replace(self, view_id: str, form: Block, otherwise: str) -> None:
        """Put *form* in the place of the one on somebody's screen; fields of the same name keep what was typed."""
        try:
            with counted("views.update"):
                await self._client.views_update(view_id=view_id, view=self.certain(form))
        except (SlackApiError, *UNREACHABLE):
            raise SlackAway(f"Slack did not open the form. {otherwise}") from None

    async def _open(self, trigger_id: str, form: Block) -> None:
        plainer = without(form, ALERTS)
        shown = plainer if await self._refusals.lately(ALERTS) else form
        try:
            await self._opened(trigger_id, shown)
        except SlackApiError as refusal:
            if shown == plainer or reason_of(refusal) not in OF_BLOCKS:
                raise
            self._takes_alerts = False
            log.warning("slack_has_no_alerts")
            await self._refusals.remember(ALERTS)
            await self._opened(trigger_id, plainer)  # if the trigger is used up, the next click gets this one
        else:
            self._takes_alerts = self._takes_alerts or shown != plainer

    async def _opened(self, trigger_id: str, form: Block) -> None:
        with counted("views.open"):
            await self._client.views_open(trigger_id=trigger_id, view=form)
