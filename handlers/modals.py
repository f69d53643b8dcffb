"""What is typed into the forms. The secret passes through `give_secret` and is nowhere else in this package."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck

from bot.errors import BadSecret, Refused
from bot.service import RotationService
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers, Asker, team_of
from handlers.background import Background
from handlers.commands import start
from handlers.errors import answered, explain
from handlers.views.modal import KEY, NAME, REST, SECRET, VALUE, option

Json = dict[str, Any]


async def find_keys(
    ack: AsyncAck, options: Json, body: Json, rotations: RotationService, background: Background
) -> None:
    try:
        await rotations.check_may_request(body["user"]["id"])
        async with background.patience():
            keys = await rotations.keys_like(str(options.get("value") or ""))
    except Exception as error:  # noqa: BLE001 - a menu has no place for a sentence; the submission says why
        explain(error)
        keys = ()
    await ack(options=[option(key) for key in keys])


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
    picked = view["state"]["values"][KEY][VALUE]["selected_option"]["value"]
    channel = view["private_metadata"]
    try:
        await start(picked, body["user"]["id"], team_of(body), channel, rotations, announcer)
    except Refused as refusal:
        text, blocks = explain(refusal)
        await answers.tell(Asker(body["user"]["id"], channel), text, blocks=blocks)


async def give_secret(
    ack: AsyncAck, view: Json, body: Json, rotations: RotationService, background: Background
) -> None:
    """Check, record, acknowledge; then create the replacement in this process, which alone has the secret."""
    rotation_id, by = view["private_metadata"], body["user"]["id"]
    try:
        async with background.patience():
            rotation, secret = await rotations.accept_secret(
                rotation_id, _typed(view, SECRET) + _typed(view, REST), _typed(view, NAME), by=by
            )
    except BadSecret as wrong:
        await ack(response_action="errors", errors={wrong.field: str(wrong)})
        return
    except TimeoutError:
        await ack(response_action="errors", errors={SECRET: "This took too long, so nothing was created. Press again."})
        return
    except Exception as error:  # noqa: BLE001 - a form is answered at its field, whatever happened
        await ack(response_action="errors", errors={SECRET: explain(error)[0]})
        return
    await ack(response_action="clear")
    background.begin(rotations.create_replacement(rotation, secret))


def _typed(view: Json, field: str) -> str:
    return str(view["state"]["values"].get(field, {}).get(VALUE, {}).get("value") or "")
