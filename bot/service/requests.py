"""Requests for a rotation: which key is meant, and whether it is free. Nothing changes in AISIX yet."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from bot.rotation import secret as shape
from bot.rotation.credentials import Row
from bot.rotation.errors import (
    AmbiguousKey,
    ApiError,
    CannotPost,
    NotAllowed,
    Unanswerable,
    UnknownKey,
    WrongState,
)
from bot.rotation.fingerprint import is_made_with
from bot.rotation.history import Wanted
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.lookup import find_key, meant, search
from bot.rotation.naming import new_id, tag_of
from bot.rotation.plan import make_plan, plural
from bot.rotation.policy import (
    Person,
    check_may_request,
    check_member,
)
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.service.verbs import REPLAY_WINDOW, BeingRotated, LooksLikeSecret, Verbs, audited, away, event
from bot.storage import records
from bot.storage.lists import Page
from bot.storage.records import Full, Room, Taken

DIRECT = "D"
"""The prefix of the id of a conversation with one person."""

RECENT = 20
"""How many rotations to search for a channel to name."""


class Requests(Verbs):
    """Everything before the secret."""

    async def check_may_request(self, person_id: str) -> None:
        """Refuse a person who may not ask for rotations."""
        check_may_request(await self._people.permissions(person_id))

    @audited("asked", of_rotation=False)
    async def offer_picker(self, _asked: str, *, by: str, channel: str) -> None:
        """Refuse a request that could not succeed, before the person chooses a key."""
        await self._check_may_begin(by, channel)

    async def _check_may_begin(self, by: str, channel: str) -> Person:
        """Refuse a rotation that nobody could approve, that nobody else would see, or that is one too many."""
        person = await self._people.check_may_begin(by)
        if channel.startswith(DIRECT):
            raise NotAllowed(f"Nobody else would see a rotation here, or could approve it. {await self._elsewhere()}")
        with self._saying_what_is_full():
            await self._store.check_room(self._room(by, channel))
        return person

    def _room(self, by: str, channel: str) -> Room:
        rules = self._rules
        return ((records.by(by), rules.cards_per_person), (records.within(channel), rules.cards_per_channel))

    @contextmanager
    def _saying_what_is_full(self) -> Iterator[None]:
        try:
            yield
        except Full as full:
            person, channel = self._rules.cards_per_person, self._rules.cards_per_channel
            whose, name, most = (
                ("You have", "CARDS_PER_PERSON", person)
                if full.place.startswith(records.by(""))
                else ("This channel has", "CARDS_PER_CHANNEL", channel)
            )
            raise WrongState(
                f"{whose} {plural(most, 'rotation')} waiting for a secret already, and the settings ({name}) allow no "
                "more. Give one its secret, or cancel it: `/rotate-key status` lists them."
            ) from None

    async def _elsewhere(self) -> str:
        """Name a channel that shows rotations; the app may lack permission to list its own channels."""
        shown = (rotation.channel for rotation in await self._store.recent(RECENT))
        known = next((channel for channel in shown if not channel.startswith(DIRECT)), None)
        if known:
            return f"Use `/rotate-key` in a channel: the last rotation was in <#{known}>."
        return "Use `/rotate-key` in a channel; `/invite @keyturn` there first."

    @audited("looked", of_rotation=False)
    async def check_may_look(self, _list: str, *, by: str) -> None:
        """Refuse anyone who is no full member: a list names keys and people of channels that a guest is not in."""
        check_member(await self._directory.person(by))

    async def keys_like(self, typed: str) -> tuple[ProviderKey, ...]:
        """Return the provider keys that *typed* may mean."""
        try:
            keys = await self._control_plane.keys()
        except ApiError as error:
            raise away(error) from error
        return search(Inventory(environments=(), keys=keys, models=()), typed)

    async def under_way(self, number: int, size: int) -> Page:
        """Return a page of the rotations under way, oldest first."""
        return await self._store.page_under_way(number, size)

    async def search(self, wanted: Wanted, number: int, size: int) -> Page:
        """Return a page of the rotations that are *wanted*, the newest first."""
        return await self._store.search(wanted, number, size)

    async def begin(
        self, asked: str, *, by: str, team: str, channel: str, request: str, show: Callable[[Rotation], Awaitable[None]]
    ) -> Rotation:
        """Start a rotation and *show* it in the channel; cancel it if that fails."""
        rotation = await self.start(asked, by=by, team=team, channel=channel, request=request)
        try:
            await show(rotation)
        except CannotPost:
            await self.withdraw(rotation, "The card could not be posted.")
            raise
        return rotation

    @audited("asked", of_rotation=False)
    async def start(
        self, asked: str, *, by: str, team: str, channel: str, request: str = "", batch: str = ""
    ) -> Rotation:
        """Plan the rotation of the key called *asked* and wait for its secret; nothing changes in AISIX yet.

        *request* identifies what the person typed or chose: a repeated delivery makes no second card.
        """
        inventory, key, person = await self._looked_up(asked, by, channel)
        if request and not await self._store.is_first(f"asked:{request}", REPLAY_WINDOW):
            raise WrongState("Slack brought this twice; its card is in the channel.")
        if other := await self._rotation_of(key):
            raise BeingRotated(other)
        await self._forget_fingerprints(inventory)
        plan = make_plan(inventory, key, self._gateways)
        policy = self._people.policy_of(plan)
        if policy.names:
            await self._people.check_may_begin(by, policy)
        provider = self._providers.of(key)
        row = await self._row_of(key) if provider else None
        rotation = Rotation(
            id=new_id(),
            team=team,
            channel=channel,
            batch=batch,
            requested_by=by,
            requested_at=self._now(),
            zone=person.zone,
            plan=plan,
            policy=policy,
            account=provider.name if provider else "",
            abilities=tuple(sorted(provider.abilities)) if provider else (),
            old_row=row,
            approvals_required=max(self._rules.approvals_required, policy.approvals),
            self_approval=self._rules.self_approval,
        )
        try:
            with self._saying_what_is_full():
                return await self._record(rotation, by, ("asked", ""), room=self._room(by, channel))
        except Taken as taken:  # by a simultaneous request
            raise await self._held(taken.holder) from None

    async def _rotation_of(self, key: ProviderKey) -> Rotation | None:
        """Return the rotation under way that replaces or makes *key*; if its id is not recorded, the name decides."""
        others = await self._store.concerning(key.id)
        tag = tag_of(key.display_name)
        tagged = await self._store.load(tag.rotation) if tag and tag.rotation in await self._store.open_ids() else None
        others += [tagged] if tagged else []
        return next((other for other in others if other.concerns(key)), None)

    async def _row_of(self, key: ProviderKey) -> Row | None:
        """Return the credential of *key* at its provider, if the rotation that made the key knows it."""
        tag = tag_of(key.display_name)
        earlier = await self._store.load(tag.rotation) if tag else None
        made = earlier.replacement if earlier else None
        return made.row if made and made.key_id == key.id else None

    async def _held(self, holder: str) -> WrongState:
        """Say why a key is not free: *holder* is rotating it, or has replaced it."""
        other = await self._store.load(holder)
        if other is None or other.is_over:
            return WrongState("Another rotation has replaced this key already, and deleted it.")
        return BeingRotated(other)

    async def adopt(self, rotation: Rotation) -> Rotation:
        """Record a rotation whose record was lost; from here on it runs like any other."""
        saved = await self._record(rotation, "doctor", ("adopted", ""))
        await self._jobs.announce(saved)
        return saved

    async def _forget_fingerprints(self, inventory: Inventory) -> None:
        """Forget the fingerprints of deleted keys, and those made with another pepper."""
        known = await self._store.fingerprints()
        there = {key.id for key in inventory.keys}
        for key_id, fingerprint in known.items():
            own = self._pepper and is_made_with(fingerprint, self._pepper)
            if not own or not (key_id in there or await self._is_made(key_id)):
                await self._store.forget_fingerprints([key_id])

    async def _is_made(self, key_id: str) -> bool:
        """Return whether a rotation under way has made this key, which AISIX may not list yet."""
        return any(key_id in other.made for other in await self._store.concerning(key_id))

    async def _looked_up(self, asked: str, by: str, channel: str) -> tuple[Inventory, ProviderKey, Person]:
        """Find the key that *asked* means; don't repeat text that matches none and looks like a secret."""
        try:
            person = await self._check_may_begin(by, channel)
            inventory = await self._inventory()
            return inventory, await self._found(inventory, asked), person
        except UnknownKey:
            if shape.is_surely_secret(asked) or shape.may_be_secret(asked):
                raise LooksLikeSecret from None
            raise
        except (NotAllowed, Unanswerable):
            if shape.is_surely_secret(asked):
                raise LooksLikeSecret from None
            raise

    async def _found(self, inventory: Inventory, asked: str) -> ProviderKey:
        """Find the key; if a rotation under way owns that name, or all keys that match it, say so."""
        try:
            return find_key(inventory, asked)
        except UnknownKey:
            if other := await self._rotation_named(asked):
                raise BeingRotated(other) from None
            raise
        except AmbiguousKey as several:
            keys = [key for _, id_ in several.choices if (key := inventory.key(id_))]
            other = await self._rotation_of(keys[0])
            if other and all(map(other.concerns, keys)):
                raise BeingRotated(other) from None
            raise

    async def _rotation_named(self, asked: str) -> Rotation | None:
        """Return the rotation under way that *asked* means by a key that AISIX does not list now."""
        known = [
            (rotation, key)
            for rotation in await self._store.under_way()
            for key in rotation.keys
            if rotation.concerns(key)
        ]
        found = meant((key for _, key in known), asked)
        owners = {rotation.id: rotation for rotation, key in known if any(key is one for one in found)}
        return owners.popitem()[1] if len(owners) == 1 else None

    async def withdraw(self, rotation: Rotation, reason: str) -> None:
        """Cancel a rotation whose card could not be posted."""
        cancelled = rotation.to(State.CANCELLED).but(ended_at=self._now(), note=reason)
        saved = await self._store.save(cancelled, event("keyturn", "cancelled", reason), at=self._now())
        await self._store.was_shown(saved)
