"""`keyturn receipt`: print the receipt of a rotation as JSON, and verify one without the store."""

from collections.abc import Sequence

import click

from bot.rotation import audit, receipt
from bot.rotation.errors import Refused
from bot.rotation.naming import tag_of
from bot.rotation.record import Rotation
from bot.rotation.states import MEANING
from bot.storage.records import Store
from bot.terminal import Level, say_json, tell


async def print_receipt(stores: Sequence[Store], named: str) -> None:
    """Print the receipt of a rotation, *named* by its id or by the name of its new key, or refuse if it has none."""
    tag = tag_of(named)
    rotation_id = tag.rotation if tag else named
    for store in stores:
        async for rotation, record in store.stored([rotation_id]):
            if not rotation.carried_to:
                say_json(receipt.document(rotation, record, await _line_of(rotation, store)))
                return
    raise Refused(f"There is no rotation {rotation_id}, or this version of Keyturn can't read it.")


async def _line_of(rotation: Rotation, store: Store) -> str:
    """Return the audit entry of the rotation's last change, or refuse if there is no receipt yet or no entry."""
    if rotation.deleted_at is None:
        raise Refused(f"Rotation {rotation.id} is {MEANING[rotation.state]}: a receipt comes with the delete.")
    async for line in store.trail():
        entry = (audit.read(line) if rotation.id in line else None) or {"kind": ""}
        if entry["kind"] in audit.CHANGES and (entry["rotation"], entry["version"]) == (rotation.id, rotation.version):
            return line
    raise Refused(f"No entry of the audit trail is of rotation {rotation.id} at version {rotation.version}.")


def verify_receipt(text: str, head: str | None) -> bool:
    """Verify a printed receipt alone, and that its head is the *head* that Slack shows."""
    try:
        found = receipt.verified(text, head)
    except audit.Fault as fault:
        tell(Level.WRONG, str(fault), "receipt")
        return False
    short = found.entry["hash"][: audit.SHORT]
    known = "which is the head that you gave" if head is not None else COMPARE
    tell(
        Level.OK,
        f"rotation {found.rotation.id} is as entry {found.entry['number']} of the audit trail recorded it, at version "
        f"{found.rotation.version}. The head is `{short}`, {known}.",
        "receipt",
    )
    return True


COMPARE = (
    "to be compared with the receipt in Slack (--head does it): anyone could make a whole receipt that fits itself"
)


class Receipts(click.Group):
    """Takes what is no command of its own for the id of a rotation."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* begin with, or the one that prints."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["print", *args])
