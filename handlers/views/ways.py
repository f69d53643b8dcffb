"""Which way the new secret came, in as few words as possible. Pure."""

from collections.abc import Callable, Mapping

from bot.rotation.parts import Way
from bot.rotation.record import Replacement, Rotation
from handlers.views.blocks import code
from handlers.views.links import place_of

WAYS: Mapping[Way, Callable[[Rotation, Replacement], str]] = {
    Way.FORM: lambda _, __: "Slack's form",
    Way.PAGE: lambda _, __: "Keyturn's page",
    Way.COMMAND_LINE: lambda _, __: "the command line",
    Way.REFERENCE: lambda _, new: code(new.source, 200),
    Way.MINTED: lambda rotation, _: f"the API of {place_of(rotation.plan.old_key)}",
}
"""What stands behind "the new secret came by"; a test checks that none is missing."""


def way(rotation: Rotation) -> str:
    """Say by what the new secret came; empty as long as there is none."""
    new = rotation.replacement
    return WAYS[new.way](rotation, new) if new else ""
