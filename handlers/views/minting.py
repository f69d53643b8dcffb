"""The form of **Create it for me**, and what cards say of the credentials that Keyturn has had made."""

from bot.rotation.chores import setback
from bot.rotation.minting import unwanted
from bot.rotation.parts import Chore, Mint
from bot.rotation.record import Rotation
from bot.rotation.ticket import TicketPattern
from handlers.views.blocks import Block, code, context, plain, section, sentence, visible, when
from handlers.views.links import place_of
from handlers.views.modal import about

MINT_FORM = "mint_form"

UNSEEN = "Nobody sees the secret: it goes from the provider to AISIX, and Keyturn does not keep it, log it, or show it."


def mint_form(
    rotation: Rotation, proposed_name: str, *, require_reason: bool = False, tickets: TicketPattern | None = None
) -> Block:
    """Say what will be made where, and ask the same as the form of a secret, but for the secret."""
    place = place_of(rotation.plan.old_key)
    name = code(f"keyturn-{rotation.id}-{len(rotation.mints) + 1}")
    return {
        "type": "modal",
        "callback_id": MINT_FORM,
        "private_metadata": rotation.id,
        "title": plain("Create it for me"),
        "submit": plain("Create new key"),
        "close": plain("Cancel"),
        "blocks": [
            section(
                f"For {code(rotation.plan.old_key.display_name)}. Keyturn has {place} make an API key called {name} "
                f"(account {code(rotation.account)} of the settings), waits until {place} takes it, and creates the "
                "new key in AISIX with it."
            ),
            section(f"*What is copied:* in AISIX, every setting of the old key. At {place}, {_copied(rotation)}"),
            *about(rotation, proposed_name, require_reason=require_reason, tickets=tickets),
            context(UNSEEN),
        ],
    }


def _copied(rotation: Rotation) -> str:
    if rotation.old_row:
        return "what it shows of the old one's limits and place. The card says what was copied, and what was not."
    return "nothing: Keyturn does not know which API key is the old one there. The settings say where it is made."


def facts(rotation: Rotation) -> list[str]:
    """Say what was made at the provider, what of that is gone, and what is left there, one line each."""
    place, waiting = place_of(rotation.plan.old_key), unwanted(rotation)
    return [said for mint in rotation.mints if (said := _fact(mint, rotation, place, is_unwanted=mint in waiting))]


def _fact(mint: Mint, rotation: Rotation, place: str, *, is_unwanted: bool) -> str:
    name = code(mint.name)
    if mint.stays:
        return f"▲ {name} stays at {place}: {sentence(mint.stays)}."
    if is_unwanted:
        failed = setback(rotation, Chore.CLEAR)
        why = f" {sentence(failed.why)} Trying again {when(failed.retry_at)}." if failed else ""
        return f"▲ {name} is not deleted at {place} yet.{why}"
    if mint.gone_at:
        return (
            f"{name} is deleted at {place}."
            if mint.row
            else f"{place} lists no {name}, an hour after it was asked for."
        )
    return f"Made at {place}: {name}{_details(mint)}" if mint.row else ""


def _details(mint: Mint) -> str:
    assert mint.row is not None
    parts = [
        f" ({code(mint.row.hint)})." if mint.row.hint else ".",
        f" It has the old one's {', '.join(map(visible, mint.copied))}." if mint.copied else "",
        f" Not copied from the old one: {', '.join(map(visible, mint.uncopied))}." if mint.uncopied else "",
        f" It could not be tried there ({visible(mint.untried)})." if mint.untried else "",
    ]
    return "".join(parts)
