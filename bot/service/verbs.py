"""What all verbs share: the permissions, the record that is saved first, and the audit of refusals."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from pydantic import SecretStr

from bot.rotation import audit
from bot.rotation import secret as shape
from bot.rotation.actions import Action
from bot.rotation.credentials import NO_PROVIDERS, Providers
from bot.rotation.errors import (
    ApiError,
    BadInput,
    NotAllowed,
    Refused,
    Unanswerable,
    Uncertain,
    WrongState,
)
from bot.rotation.inventory import Inventory
from bot.rotation.people import Directory, People, Rules
from bot.rotation.ports import ControlPlane
from bot.rotation.record import Rotation
from bot.rotation.references import NO_SOURCES, Sources
from bot.storage.jobs import Jobs
from bot.storage.records import Conflict, Room, Store, Taken

log = structlog.get_logger("keyturn.service")


TRIES = 10

REPLAY_WINDOW = 3600
"""Seconds in which a click counts once; Slack's signature on a captured request is valid for 300."""


class LooksLikeSecret(Refused):
    """A person typed text that looks like a secret where everybody's client keeps it."""

    def __init__(self) -> None:
        super().__init__(
            "That looks like a secret, so Keyturn did not use it, and has not repeated it. Slack has seen it: "
            "treat it as exposed and revoke it. Then `/rotate-key NAME`."
        )


class BeingRotated(WrongState):
    """The requested key is already being rotated."""

    def __init__(self, rotation: Rotation) -> None:
        super().__init__("This key is already being rotated.")
        self.rotation = rotation


TOLD = (NotAllowed, WrongState, BadInput, LooksLikeSecret)
"""Refusals that go to the audit trail; their sentences repeat nothing that a person typed."""


P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V", bound="Verbs")
Verb = Callable[Concatenate[V, str, P], Awaitable[T]]


def audited(what: str, *, of_rotation: bool = True) -> Callable[[Verb[V, P, T]], Verb[V, P, T]]:
    """Record each refusal of a verb; its first argument is the rotation's id, or else what the person typed."""

    def wrapped(verb: Verb[V, P, T]) -> Verb[V, P, T]:
        @wraps(verb)
        async def refusing(service: V, about: str, /, *args: P.args, **given: P.kwargs) -> T:
            try:
                return await verb(service, about, *args, **given)
            except TOLD as refusal:
                await service.record_refusal(about if of_rotation else "", what, refusal, by=str(given["by"]))
                raise

        return refusing

    return wrapped


class Verbs:
    """The collaborators of all verbs, and how each verb records what it does."""

    def __init__(  # noqa: PLR0913 - the collaborators of every verb, given once in __main__
        self,
        *,
        store: Store,
        jobs: Jobs,
        control_plane: ControlPlane,
        directory: Directory,
        rules: Rules,
        gateways: frozenset[str],
        now: Callable[[], datetime],
        pepper: SecretStr | None = None,
        own: tuple[SecretStr, ...] = (),
        providers: Providers = NO_PROVIDERS,
        sources: Sources = NO_SOURCES,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._control_plane = control_plane
        self._directory = directory
        self._people = People(directory, rules)
        self._rules = rules
        self._gateways = gateways
        self._now = now
        self._pepper = pepper
        self._own = own
        self._providers = providers
        self._sources = sources
        self._given: dict[tuple[str, int], SecretStr] = {}
        """By rotation and attempt, a secret that was accepted and has not been sent yet."""

    @property
    def rules(self) -> Rules:
        """Return the rules on who may do what."""
        return self._rules

    async def load(self, rotation_id: str) -> Rotation:
        """Return a rotation, or refuse."""
        return await loaded(self._store, rotation_id)

    async def other_rotation(self, rotation: Rotation) -> Rotation | None:
        """Return another rotation that holds the same key, if there is one."""
        holder = await self._store.holder(rotation.plan.old_key.id)
        return await self._store.load(holder) if holder and holder != rotation.id else None

    async def record_refusal(self, rotation_id: str, what: str, refusal: Refused, *, by: str) -> None:
        """Record a refusal; a person stays refused even if that fails."""
        try:
            rotation = await self._store.load(rotation_id) if rotation_id else None
            told = event(by, what, str(refusal))
            await self._store.note(audit.Kind.REFUSAL, told, rotation=rotation, at=self._now())
        except Unanswerable as away:
            log.warning("refusal_not_recorded", by=by, what=what, why=str(away))

    async def _inventory(self) -> Inventory:
        try:
            return await self._control_plane.inventory()
        except ApiError as error:
            raise away(error) from error

    async def opened_link(self, rotation_id: str, what: str, *, by: str) -> None:
        """Record a click that gives somebody a link or a token."""
        await self._store.note(audit.Kind.CLICK, event(by, what), rotation=await self.load(rotation_id), at=self._now())

    async def _opened(self, rotation: Rotation, by: str, action: Action) -> Rotation:
        """Record a click that opens a form."""
        await self._store.note(audit.Kind.CLICK, event(by, action), rotation=rotation, at=self._now())
        return rotation

    async def _note(
        self, checked: Callable[[], Awaitable[Rotation]], change: Callable[[Rotation], Rotation], *told: str
    ) -> Rotation:
        """Change the newest version of a rotation that *checked* lets pass, which moves nothing; *told*: by, what, why.

        A step that is recorded in between is no reason to refuse.
        """
        for _ in range(TRIES):
            rotation = await checked()
            with suppress(Conflict):
                return await self._save(change(rotation), *told, moves=False)
        raise WrongState("This rotation moves too fast at the moment. Press again.")

    async def _save(self, rotation: Rotation, by: str, what: str, why: str = "", *, moves: bool = True) -> Rotation:
        try:
            return await self._record(rotation, by, (what, why), moves=moves)
        except Taken:
            raise WrongState("Another rotation of this key is under way. Finish that one first.") from None

    async def _record(
        self, rotation: Rotation, by: str, told: tuple[str, str], *, moves: bool = True, room: Room = ()
    ) -> Rotation:
        """Save the record first; then queue its display and, with *moves*, its next step."""
        what, why = told
        now = self._now()
        saved = await self._store.save(rotation.but(acted_at=now), event(by, what, why), at=now, room=room)
        log.info("asked_for", rotation=saved.id, by=by, what=what, state=saved.state)
        try:
            if saved.version > 1:  # the command shows the first one itself, or tells the person why not
                await self._jobs.announce(saved)
            if moves:
                await self._jobs.advance(saved)
        except Unanswerable:  # the record is saved, and the sweep finds it
            log.warning("hint_lost", rotation=saved.id)
        return saved


async def loaded(store: Store, rotation_id: str) -> Rotation:
    """Return a rotation, or refuse."""
    rotation = await store.load(rotation_id)
    if rotation is None:
        raise WrongState("Keyturn does not know this rotation any more.")
    return rotation


def event(by: str, what: str, why: str = "") -> dict[str, str]:
    """Return the entry for the audit trail."""
    return {"by": by, "what": what, "why": why}


def away(error: ApiError) -> Refused:
    """Return the refusal of what needs AISIX, which is not answering, or refuses."""
    if isinstance(error, Uncertain):
        return Unanswerable(
            f"{error} Nothing was changed. Try again in a minute; if it stays, see `python -m bot check`."
        )
    return Unanswerable(f"{error} Nothing was changed. See `python -m bot check`.")


def publishable(text: str, since: str = "it goes into the receipt", *, field: str = "reason") -> str:
    """Return what a person wrote on one line, or refuse it at its *field*: everyone can read it, *since* where that is.

    An empty reason is asked for, any other field only has to be filled in.
    """
    text = shape.on_one_line(text)
    if not text:
        raise BadInput(f"Say why in a few words: {since}." if field == "reason" else EMPTY, field=field)
    shape.refuse_likeness(text, field)
    return text


EMPTY = "Write a few words: everyone can read them."
