"""A local Slack and a local AISIX to point a bot at: `python -m sandbox`."""

import asyncio
from contextlib import suppress
from pathlib import Path

import click

from sandbox.company import AFFECTED, FEWEST, GOOD_SECRET, KEY, Company, company
from sandbox.invitation import env_file, invitation
from sandbox.terminal import Terminal


async def serve(terminal: Terminal, env: Path | None, models: int) -> None:
    """Serve until cancelled."""
    async with company(models) as there:
        introduce(terminal, there, env)
        await asyncio.Event().wait()


def introduce(terminal: Terminal, there: Company, env: Path | None) -> None:
    """Say what is there and what to do next."""
    if env is not None:
        env.write_text(env_file(there.settings()))
    terminal.verbatim(invitation(there.settings()))
    how = f"These settings are in {env} as well" if env else "Paste these lines into another shell"
    terminal.say(f"\n{how}: `python -m bot check` tries them, and `python -m bot` starts a bot on them.")
    terminal.say(
        f"There is a key “{KEY}” with {len(there.models)} models; of new secrets its provider accepts {GOOD_SECRET} "
        "and no other. Ctrl-C ends this.",
        "dim",
    )


@click.command()
@click.option("--env", type=click.Path(path_type=Path, dir_okay=False), help="Write the settings to this file, too.")
@click.option(
    "--models",
    type=click.IntRange(FEWEST, 500),
    default=len(AFFECTED),
    show_default=True,
    help="How many models the key has.",
)
def main(env: Path | None, models: int) -> None:  # fmt: skip
    """Start a local Slack and a local AISIX, and print the settings that point a bot at them."""
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(Terminal(), env, models))


if __name__ == "__main__":
    main()
