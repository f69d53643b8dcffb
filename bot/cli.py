"""The commands of `keyturn`; their docstrings are the help text."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext, suppress
from io import TextIOWrapper
from typing import Any, NoReturn, TextIO, TypeVar

import click
from redis.asyncio import Redis

from bot import __version__, check, secret_command
from bot.app import (
    Parts,
    carrier_of,
    front,
    namespace_of,
    pages,
    parts,
    service_of,
    worker,
    world_of,
)
from bot.commands import history, receipts, rotations
from bot.commands.rotations import Asked
from bot.recovery import doctor
from bot.recovery.carry_over import carried_over
from bot.rotation.errors import ApiError, Refused
from bot.rotation.ports import NO_HOLDS, KeyHolds
from bot.settings import Settings, WrongSettings, read_settings, read_store_settings
from bot.start import checked, run
from bot.steps.world import World
from bot.storage import auditor
from bot.storage.clock import shared_clock
from bot.storage.connection import address_of, redis_at, stores_alone
from bot.storage.embedded import ServerEnded
from bot.storage.migration import census
from bot.storage.namespace import Namespace
from bot.storage.records import Store
from bot.telemetry import logs
from bot.terminal import Finding, Level, keeping, say_findings, show, tell, user_name
from handlers.connect import slack_client, who_am_i
from handlers.reception import Reception

T = TypeVar("T")


def _start(*sides: Callable[[Parts], Any], shared: bool = False) -> None:
    with _ending_with_a_sentence(CANNOT_START):
        settings = read_settings()
        logs.configure(settings.log_level, settings.log_format)
        if shared and settings.redis_url is None:
            raise WrongSettings(
                "REDIS_URL is missing: web and worker are two processes and have to share one, redis://…."
            )
        asyncio.run(run(settings, *sides))


CANNOT_START = "Keyturn cannot start."
STOPPED = "Keyturn has stopped."


@contextmanager
def _ending_with_a_sentence(lead: str = "", *, as_json: bool = False) -> Iterator[None]:
    """Exit with 1 and a sentence for each wrong setting, or for what is refused: to standard error, or as JSON."""
    try:
        yield
    except WrongSettings as wrong:
        about, sentences = "settings", wrong.sentences
        lead = STOPPED if isinstance(wrong, ServerEnded) else lead
    except Refused as refusal:
        about, sentences = "", (str(refusal),)
    else:
        return
    if as_json:
        say_findings([Finding(Level.WRONG, about, each) for each in sentences], well=False)
    else:
        click.echo(("\n  " if len(sentences) > 1 else " ").join(filter(None, (lead, *sentences))), err=True)
    sys.exit(1)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="keyturn", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Keyturn rotates an AI gateway's upstream credential from Slack, without an outage.

    Without a command it runs everything in one process. Settings come from the environment and from .env.

    Exit status of every command: 0 on success, 1 if something is wrong or refused, 2 for a wrong
    command or option. A bot that a signal stops ends with 0.
    """
    if context.invoked_subcommand is None:
        _start(worker, front)


@main.command("web", short_help="Run the Slack side.")
def run_web() -> None:
    """Run the Slack side; needs REDIS_URL, and a worker beside it.

    Exit status 0 once a signal has stopped it, 1 if it cannot start.
    """
    _start(front, shared=True)


@main.command("worker", short_help="Run the worker, which runs the rotations.")
def run_worker() -> None:
    """Run the worker, which runs the rotations; any number of workers can share one REDIS_URL.

    Exit status 0 once a signal has stopped it, 1 if it cannot start.
    """
    _start(worker, pages, shared=True)


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one object of JSON instead of lines.")


def _ended(work: Callable[[], bool], *, as_json: bool) -> NoReturn:
    """Run *work*, which prints a line for each finding, and exit with 0 if all is well, else with 1."""
    with _ending_with_a_sentence(as_json=as_json), keeping() if as_json else nullcontext() as found:
        well = work()
    if as_json:
        say_findings(found or (), well=well)
    sys.exit(0 if well else 1)


def _with_settings(work: Callable[[Settings], Coroutine[Any, Any, bool]]) -> bool:
    settings = read_settings()
    logs.configure("error", settings.log_format)
    return asyncio.run(work(settings))


@main.command("check", short_help="Try the settings and say what is wrong.")
@AS_JSON
def run_check(*, as_json: bool) -> None:
    """Try the settings against Slack, the control plane, the gateways and Redis.

    Each line begins with `ok`, `WARN` (look at it) or `WRONG`, and says what to do. Exit status 1 if anything is
    wrong, else 0.
    """
    with _ending_with_a_sentence(CANNOT_START, as_json=as_json):
        settings = read_settings()
    logs.configure("error", settings.log_format)
    found = asyncio.run(checked(settings, _ignore if as_json else _print))
    if as_json:
        say_findings(found, well=check.well(found))
    sys.exit(0 if check.well(found) else 1)


def _print(finding: Finding) -> None:
    show(finding)


def _ignore(_: Finding) -> None:
    """Print nothing: all findings are printed together."""


@main.command("status", short_help="List the rotations under way.")
@click.option(
    "--page", "number", type=click.IntRange(min=1), default=1, show_default=True, help="The page of the list."
)
@AS_JSON
def run_status(number: int, *, as_json: bool) -> None:
    """List the rotations under way, the oldest first, 20 a page, for every bot that has records in this Redis.

    Needs REDIS_URL, or KEYTURN_DATA while no bot runs on it, and no other setting. Exit status 0.
    """
    _on_stores(lambda stores: rotations.status(stores, number, as_json=as_json), as_json=as_json)


@main.command("history", short_help="Find rotations by key, person, environment or time.")
@history.filtered
@AS_JSON
def run_history(number: int, *, as_json: bool, **filters: str) -> None:
    """List rotations, under way or over, the newest first, 20 a page, for every bot that has records in this Redis.

    Needs what `status` needs. Exit status 0, or 1 if a filter can't be read.
    """
    _on_stores(lambda stores: history.history(stores, filters, number, as_json=as_json), as_json=as_json)


@main.command("show", short_help="Show one rotation, and what helps.")
@click.argument("rotation", metavar="ID")
@AS_JSON
def run_show(rotation: str, *, as_json: bool) -> None:
    """Show one rotation, open or finished.

    Its state and step; at a stop the reason and what helps; each model with its verdict; the approvals. Needs what
    `status` needs. Exit status 0, or 1 if there is no such rotation or this version can't read its record.
    """
    _on_stores(lambda stores: rotations.show(stores, Asked(rotation, as_json)), as_json=as_json)


@main.command("resume", short_help="Let a stopped rotation try again.")
@click.argument("rotation", metavar="ID")
@click.option("--by", metavar="NAME", help="Your name for the audit trail; else the login name.")
@AS_JSON
def run_resume(rotation: str, by: str | None, *, as_json: bool) -> None:
    """Retry the stopped rotation ID with fresh checks, as the button Try again does.

    It approves nothing: an approval that was given is void, and an approver is asked before the delete. The audit
    trail records it as done at the command line. Needs what `status` needs. Exit status 0, or 1 if it can't be done.
    """
    _on_stores(lambda stores: rotations.resume(stores, Asked(rotation, as_json, by or user_name())), as_json=as_json)


@main.command("secret", short_help="Give the new secret of a rotation, from a file.")
@click.argument("rotation", metavar="ID")
@click.option("--reason", help="Why you rotate this key; everyone can see it.")
@click.option("--ticket", help="Its number or link.")
@click.option("--name", help="The name of the new key, if not what Keyturn proposes.")
def run_secret(**given: Any) -> None:
    """Give the new secret of the rotation ID from standard input, as its requester: keyturn secret ID < file.

    It asks for the token that /rotate-key token ID gives in Slack, or takes it from KEYTURN_TOKEN. Needs every setting
    of the bot, and REDIS_URL. Exit status 0 if the secret is taken, else 1.
    """
    with _ending_with_a_sentence():
        _with_settings(lambda settings: secret_command.give(settings, secret_command.Order(**given)))


@main.command("doctor", short_help="Find and end rotations whose record is lost.")
@click.argument("rotation", required=False)
@click.option("--adopt", is_flag=True, help="Restore its record and resume it from the state that AISIX shows.")
@click.option(
    "--clean", is_flag=True, help="Roll back: point its models at the old key again, and remove what it made."
)
@click.option("--old", metavar="ID", help="The id of the old key, if names don't tell.")
@click.option("--channel", metavar="C…", help="The channel for its card from now on.")
@click.option("--requester", metavar="U…", help="Who asked for it, and so can't approve it.")
@click.option("--yes", is_flag=True, help="Don't ask for confirmation.")
@AS_JSON
def run_doctor(*, as_json: bool, **given: Any) -> None:
    """Find rotations whose record is lost, from AISIX alone, and bring ROTATION (an id) to an end.

    Exit status 0 where nothing is left to do, 1 where something is.
    """
    orders = doctor.Orders(**given)
    if orders.adopt and orders.clean:
        raise click.UsageError("--adopt and --clean are two ways; choose one.")
    if orders.old and not orders.rotation:
        raise click.UsageError("--old says which key ROTATION replaces: name that as well.")
    _ended(lambda: _with_settings(lambda settings: attended(settings, orders)), as_json=as_json)


async def attended(settings: Settings, orders: doctor.Orders) -> bool:
    """Run the doctor; print a refusal or a missing answer as a sentence."""
    async with AsyncExitStack() as stack:
        try:
            return await (await _doctor(settings, orders, stack)).run()
        except (Refused, ApiError) as sentence:
            tell(Level.LEFT, str(sentence))
            return False


async def _doctor(settings: Settings, orders: doctor.Orders, stack: AsyncExitStack) -> doctor.Doctor:
    """Build the doctor; only an adoption needs Slack."""
    if orders.adopt:
        built = await stack.enter_async_context(parts(settings))
        reception = Reception(service_of(built), built.announcer, str(built.team.get("team_id") or ""))
        return doctor.Doctor(built.store, built.world, settings.lease, orders, reception)
    redis = await redis_at(await address_of(settings, stack), settings, stack)
    store = Store(redis, await _known_namespace(settings, redis, stack))
    return doctor.Doctor(store, await _world(settings, redis, stack, store), settings.lease, orders)


async def _world(settings: Settings, redis: Redis, stack: AsyncExitStack, holds: KeyHolds = NO_HOLDS) -> World:
    """Return the world by Redis's clock, as records go by it."""
    clock = await stack.enter_async_context(shared_clock(redis))
    return await world_of(settings, clock.now, stack, holds=holds)


async def _known_namespace(settings: Settings, redis: Redis, stack: AsyncExitStack) -> Namespace:
    """Return our namespace: the only one in Redis for this control plane, else the one of the bot's workspace."""
    address = Namespace.of("", settings.aisix_cloud_api).control_plane
    known = [one.namespace for one in await census(redis) if one.namespace.control_plane == address]
    if len(known) == 1:
        return known[0]
    return namespace_of(settings, await who_am_i(await stack.enter_async_context(slack_client(settings))))


@main.command("carry-over", short_help="Bring rotations here from another namespace.")
@click.argument("namespace")
@click.argument("rotation", required=False)
@AS_JSON
def run_carry_over(namespace: str, rotation: str | None, *, as_json: bool) -> None:
    """Bring the rotations kept under NAMESPACE here, after AISIX Cloud's address has changed.

    `python -m bot check` says which namespaces there are; `keyturn` is where the version before kept everything.
    Stop the bot that had them first. ROTATION (an id) takes that one alone, also where AISIX Cloud does not show its
    keys. Exit status 0 if no rotation is left under NAMESPACE, else 1.
    """
    _ended(lambda: _with_settings(lambda settings: carry(settings, namespace, rotation)), as_json=as_json)


async def carry(settings: Settings, name: str, rotation: str | None) -> bool:
    """Carry over as a person asked; print a refusal or a missing answer as a sentence."""
    async with AsyncExitStack() as stack:
        team = await who_am_i(await stack.enter_async_context(slack_client(settings)))
        redis = await redis_at(await address_of(settings, stack), settings, stack)
        world = await _world(settings, redis, stack)
        carrier = carrier_of(redis, namespace_of(settings, team), world, team)
        try:
            return await carried_over(carrier, name, rotation)
        except (Refused, ApiError) as sentence:
            tell(Level.LEFT, str(sentence))
            return False


@main.group("audit", short_help="Print or verify the audit trail.")
def run_audit() -> None:
    """Print or verify the audit trail; needs REDIS_URL or KEYTURN_DATA, and no other setting."""


@run_audit.command("export")
def run_export() -> None:
    """Print the audit trail as lines of JSON, oldest first."""
    _on_stores(auditor.export)


@run_audit.command("verify", short_help="Check that the audit trail is complete.")
@click.argument("file", required=False, type=click.File(encoding="utf-8", errors="replace"))
@click.option("--head", help="The hash on a receipt; the trail must contain it.")
@AS_JSON
def run_verify(file: TextIO | None, head: str | None, *, as_json: bool) -> None:
    """Check that the audit trail, or an exported FILE of it (- is standard input), is complete.

    Exit status 0 if it is, else 1.
    """

    def verify() -> bool:
        if file is not None:
            return auditor.verify_text(file.read(), head)
        return _stores(lambda stores: auditor.verify_stores(stores, head))

    _ended(verify, as_json=as_json)


@main.group(
    "receipt",
    cls=receipts.Receipts,
    short_help="Print or verify a rotation's receipt.",
    subcommand_metavar="ID | verify FILE",
)
def run_receipt() -> None:
    """Print the receipt of the rotation of an ID as JSON, or verify one that was printed.

    Printing needs what `status` needs; verifying needs no setting. Exit status 0 if there is a receipt and it is well,
    else 1.
    """


@run_receipt.command("print", hidden=True)
@click.argument("rotation", metavar="ID")
def run_print(rotation: str) -> None:
    """Print the receipt of the rotation of an ID as JSON, with its proof.

    Exit status 0, or 1 if there is none: the old key is not deleted yet, or no record is of that ID.
    """
    _on_stores(lambda stores: receipts.print_receipt(stores, rotation))


@run_receipt.command("verify", short_help="Check that a printed receipt was not edited.")
@click.argument("file", type=click.File(encoding="utf-8", errors="replace"))
@click.option("--head", help="The head of the audit trail on the receipt in Slack; this one must have it too.")
@AS_JSON
def run_verify_receipt(file: TextIO, head: str | None, *, as_json: bool) -> None:
    """Check that a printed receipt in FILE (- is standard input) is as Keyturn recorded it.

    Exit status 0 if it is, else 1.
    """
    _ended(lambda: receipts.verify_receipt(file.read(), head), as_json=as_json)


def _on_stores(work: Callable[[list[Store]], Awaitable[None]], *, as_json: bool = False) -> None:
    with _ending_with_a_sentence(as_json=as_json):
        _stores(work)


def _stores(work: Callable[[list[Store]], Awaitable[T]]) -> T:
    """Run *work* on the stores alone, with no other setting than those of the store."""
    logs.configure("error", "json")
    settings = read_store_settings()

    async def working() -> T:
        async with stores_alone(settings) as stores:
            return await work(stores)

    return asyncio.run(working())


def entry(name: str = "keyturn") -> None:
    """Run the typed command, whatever letters the terminal has."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 lacks some of our letters
    main(prog_name=name)
