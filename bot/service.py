"""What people can ask of Keyturn, one method a verb. Each checks who asks, records the move, and hints at the work."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from pydantic import SecretStr

from bot.rotation import audit
from bot.rotation import secret as shape
from bot.rotation.actions import Action
from bot.rotation.errors import (
    AmbiguousKey,
    ApiError,
    BadInput,
    NotAllowed,
    Refused,
    Unanswerable,
    Uncertain,
    UnknownKey,
    WrongState,
)
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.fingerprint import fingerprint_of, is_made_with, is_same
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.lookup import find_key, meant, search
from bot.rotation.naming import base_of, new_id, tag_of, words_of
from bot.rotation.people import Directory, People, Rules
from bot.rotation.plan import make_plan, users_of
from bot.rotation.policy import (
    Person,
    Pressed,
    acceptable,
    acceptable_as_a_whole,
    check_in_time,
    check_may_accept,
    check_may_approve,
    check_may_give_secret,
    check_may_request,
    check_may_steer,
    check_member,
    check_offered,
    shown_unproved,
)
from bot.rotation.ports import ControlPlane
from bot.rotation.record import Approval, Replacement, Rotation
from bot.rotation.states import State, StepName, Track
from bot.steps import rewound
from bot.storage.jobs import Jobs
from bot.storage.records import Conflict, Store, Taken

log = structlog.get_logger("keyturn.service")

WITHDRAWAL_LOOKS = 15
"""Tenths of a second; a form has to be answered within three seconds."""


REPLAY_WINDOW = 3600
"""Seconds in which a click counts once; a captured request is accepted by its signature for 300."""


STEERING_TRIES = 10

DIRECT = "D"
"""What the id of a conversation with one person begins with."""

RECENT = 20
"""Rotations that are looked through for a channel to name."""


class LooksLikeSecret(Refused):
    """Text that looks like a secret was typed where everybody's client keeps it."""

    def __init__(self) -> None:
        super().__init__(
            "That looks like a secret, so I did not use it, and I have not repeated it. Slack has seen it: "
            "treat it as exposed and revoke it. Then `/rotate-key NAME`."
        )


class BeingRotated(WrongState):
    """Somebody asks for a key that a rotation under way has in hand already."""

    def __init__(self, rotation: Rotation) -> None:
        super().__init__("This key is already being rotated.")
        self.rotation = rotation


TOLD = (NotAllowed, WrongState, BadInput, LooksLikeSecret)
"""Refusals that the audit trail tells of; their sentences repeat nothing that somebody typed."""

P = ParamSpec("P")
T = TypeVar("T")
Verb = Callable[Concatenate["RotationService", str, P], Awaitable[T]]


def audited(what: str, *, of_rotation: bool = True) -> Callable[[Verb[P, T]], Verb[P, T]]:
    """Have it recorded when a verb refuses; its first argument is the rotation's id, unless it is what was typed."""

    def wrapped(verb: Verb[P, T]) -> Verb[P, T]:
        @wraps(verb)
        async def refusing(service: "RotationService", about: str, /, *args: P.args, **given: P.kwargs) -> T:
            try:
                return await verb(service, about, *args, **given)
            except TOLD as refusal:
                await service.record_refusal(about if of_rotation else "", what, refusal, by=str(given["by"]))
                raise

        return refusing

    return wrapped


class RotationService:
    """The verbs. All of them raise `Refused` with one sentence for the person who asked."""

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
        self._given: dict[tuple[str, int], SecretStr] = {}
        """By rotation and attempt, a secret that was accepted and has not been sent yet."""

    @property
    def rules(self) -> Rules:
        """Return who may do what."""
        return self._rules

    # --- looking ---

    async def check_may_request(self, person_id: str) -> None:
        """Refuse a person who may not ask for rotations."""
        check_may_request(await self._people.permissions(person_id))

    @audited("asked", of_rotation=False)
    async def offer_picker(self, _asked: str, *, by: str, channel: str) -> None:
        """Refuse a request that could not go on, before there is anything to choose from."""
        await self._check_may_begin(by, channel)

    async def _check_may_begin(self, by: str, channel: str) -> None:
        """Refuse what nobody could approve, and what nobody else would see."""
        await self._people.check_may_begin(by)
        if channel.startswith(DIRECT):
            raise NotAllowed(f"Nobody else would see a rotation here, or could approve it. {await self._elsewhere()}")

    async def _elsewhere(self) -> str:
        """Name a channel that rotations are shown in; the app may not list those that it is in."""
        shown = (rotation.channel for rotation in await self._store.recent(RECENT))
        known = next((channel for channel in shown if not channel.startswith(DIRECT)), None)
        if known:
            return f"Use `/rotate-key` in a channel: the last rotation was in <#{known}>."
        return "Use `/rotate-key` in a channel; `/invite @keyturn` there first."

    @audited("looked", of_rotation=False)
    async def check_may_look(self, _list: str, *, by: str) -> None:
        """Refuse whoever is no full member: a list names keys and people of channels that a guest is not in."""
        check_member(await self._directory.person(by))

    async def keys_like(self, typed: str) -> tuple[ProviderKey, ...]:
        """Return the provider keys that *typed* may mean."""
        try:
            keys = await self._control_plane.keys()
        except ApiError as error:
            raise _away(error) from error
        return search(Inventory(environments=(), keys=keys, models=()), typed)

    async def load(self, rotation_id: str) -> Rotation:
        """Return a rotation, or refuse."""
        rotation = await self._store.load(rotation_id)
        if rotation is None:
            raise WrongState("I do not know this rotation any more.")
        return rotation

    async def under_way(self) -> list[Rotation]:
        """Return what is under way, oldest first."""
        return await self._store.under_way()

    async def history(self, most: int = 10) -> list[Rotation]:
        """Return the last rotations, newest first."""
        return await self._store.recent(most)

    # --- asking ---

    @audited("asked", of_rotation=False)
    async def start(self, asked: str, *, by: str, team: str, channel: str, request: str = "") -> Rotation:
        """Plan the rotation of the key called *asked* and wait for its secret; nothing is changed yet.

        *request* names what was typed or chosen: delivered once more, it makes no second card.
        """
        inventory, key = await self._looked_up(asked, by, channel)
        if request and not await self._store.is_first(f"asked:{request}", REPLAY_WINDOW):
            raise WrongState("Slack brought me this twice; its card is in the channel.")
        if other := await self._in_hand(key):
            raise BeingRotated(other)
        await self._forget_fingerprints(inventory)
        plan = make_plan(inventory, key, self._gateways)
        rotation = Rotation(
            id=new_id(),
            team=team,
            channel=channel,
            requested_by=by,
            requested_at=self._now(),
            plan=plan,
            approvals_required=self._rules.approvals_required,
            self_approval=self._rules.self_approval,
        )
        try:
            return await self._record(rotation, by, "asked")
        except Taken as taken:  # in the same moment
            raise await self._held(taken.holder) from None

    async def _in_hand(self, key: ProviderKey) -> Rotation | None:
        """Return the rotation under way that replaces or makes *key*; its name tells while its id is not recorded."""
        others = await self._store.concerning(key.id)
        tag = tag_of(key.display_name)
        tagged = await self._store.load(tag.rotation) if tag and tag.rotation in await self._store.open_ids() else None
        others += [tagged] if tagged else []
        return next((other for other in others if other.has_in_hand(key)), None)

    async def _held(self, holder: str) -> WrongState:
        """Say why a key can't be had: *holder* has it in hand, or had it and has ended it."""
        other = await self._store.load(holder)
        if other is None or other.is_over:
            return WrongState("Another rotation has replaced this key already, and deleted it.")
        return BeingRotated(other)

    async def adopt(self, rotation: Rotation) -> Rotation:
        """Record a rotation whose record was lost; from here on it goes its way as any other."""
        saved = await self._record(rotation, "doctor", "adopted")
        await self._jobs.announce(saved)
        return saved

    async def other_rotation(self, rotation: Rotation) -> Rotation | None:
        """Return another rotation of the same key that is further on, if there is one."""
        holder = await self._store.holder(rotation.plan.old_key.id)
        return await self._store.load(holder) if holder and holder != rotation.id else None

    async def _forget_fingerprints(self, inventory: Inventory) -> None:
        """Forget those of keys that somebody else has deleted, and those of another pepper."""
        known = await self._store.fingerprints()
        there = {key.id for key in inventory.keys}
        for key_id, fingerprint in known.items():
            own = self._pepper and is_made_with(fingerprint, self._pepper)
            if not own or not (key_id in there or await self._is_made(key_id)):
                await self._store.forget_fingerprints([key_id])

    async def _is_made(self, key_id: str) -> bool:
        """Tell whether a rotation under way has made a provider key: it is perhaps not listed yet."""
        return any(key_id in other.made for other in await self._store.concerning(key_id))

    async def _looked_up(self, asked: str, by: str, channel: str) -> tuple[Inventory, ProviderKey]:
        """Find the key that *asked* means; text that means none and looks like a secret is not repeated."""
        try:
            await self._check_may_begin(by, channel)
            inventory = await self._inventory()
            return inventory, await self._found(inventory, asked)
        except UnknownKey:
            if shape.is_surely_secret(asked) or shape.may_be_secret(asked):
                raise LooksLikeSecret from None
            raise
        except (NotAllowed, Unanswerable):
            if shape.is_surely_secret(asked):
                raise LooksLikeSecret from None
            raise

    async def _found(self, inventory: Inventory, asked: str) -> ProviderKey:
        """Find the key; a name that only a rotation under way knows, or of several keys of one, means that rotation."""
        try:
            return find_key(inventory, asked)
        except UnknownKey:
            if other := await self._rotation_named(asked):
                raise BeingRotated(other) from None
            raise
        except AmbiguousKey as several:
            keys = [key for _, id_ in several.choices if (key := inventory.key(id_))]
            other = await self._in_hand(keys[0])
            if other and all(map(other.has_in_hand, keys)):
                raise BeingRotated(other) from None
            raise

    async def _rotation_named(self, asked: str) -> Rotation | None:
        """Return the rotation under way that *asked* means by a key that AISIX does not list (any more, or yet)."""
        known = [(rotation, key) for rotation in await self._store.under_way() for key in rotation.keys]
        found = meant((key for _, key in known), asked)
        owners = {rotation.id: rotation for rotation, key in known if any(key is one for one in found)}
        return owners.popitem()[1] if len(owners) == 1 else None

    async def _inventory(self) -> Inventory:
        try:
            return await self._control_plane.inventory()
        except ApiError as error:
            raise _away(error) from error

    # --- the secret ---

    @audited(Action.ENTER_SECRET)
    async def offer_secret_form(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may give the secret now."""
        return await self._opened(await self._may_give_secret(rotation_id, by), by, Action.ENTER_SECRET)

    async def _may_give_secret(self, rotation_id: str, by: str) -> Rotation:
        rotation = await self.load(rotation_id)
        check_may_give_secret(rotation, await self._people.permissions(by))
        check_offered(rotation, Action.ENTER_SECRET)
        await self._refuse_second(rotation)
        return rotation

    def proposed_name(self, rotation: Rotation) -> str:
        """Propose a display name for the replacement: the old one, with the date and this attempt's tag."""
        base = base_of(rotation.plan.old_key.display_name)
        return f"{base} ({self._now():%Y-%m-%d} {rotation.tag})"

    @audited("gave a secret")
    async def give_secret(self, rotation_id: str, submitted: shape.Submitted, *, by: str) -> Rotation:
        """Check the secret and record that a replacement is about to be asked for; one submission wins.

        The secret stays here until `create_replacement` takes it: nothing that is returned or raised holds it.
        """
        try:
            return await self._accept_secret(rotation_id, submitted, by)
        except BaseException as error:
            shape.forget_locals(error)
            raise

    async def _accept_secret(self, rotation_id: str, submitted: shape.Submitted, by: str) -> Rotation:
        pasted, name = submitted.take()
        await self._wait_for_withdrawal(rotation_id)
        rotation = await self._may_give_secret(rotation_id, by)
        checked = shape.checked(pasted, rotation.plan.old_key, self._own)
        name = self._unique(rotation, name)
        if shape.shares_a_piece(name, checked):
            raise BadInput("This holds a piece of the secret, and a name is shown to everyone.", field="name")
        fingerprint = fingerprint_of(checked, rotation.plan.old_key, self._pepper) if self._pepper else None
        begun = rotation.to(State.RUNNING).but(
            replacement=Replacement(name=name, asked_at=self._now(), fingerprint=fingerprint),
            same_secret_checked=await self._is_another(fingerprint, rotation.plan.old_key),
            names=(*rotation.names, name),
            attempt=rotation.attempt + 1,
            started_at=rotation.started_at or self._now(),
        )
        saved = await self._save(begun, by, "gave a secret", moves=False)
        self._given[saved.id, saved.attempt] = checked
        return saved

    async def _is_another(self, fingerprint: str | None, old: ProviderKey) -> bool:
        """Tell whether it is certain that the secret is not the one in *old*; refuse the one that is."""
        known = await self._store.fingerprint(old.id) if fingerprint else None
        same = is_same(fingerprint, known) if fingerprint and known else None
        if same:
            raise BadInput(
                "This is the secret that is in use already: it would pass every test, and revoking the old one at "
                "the provider would then stop it too. Make a new one there and paste that."
            )
        return same is False

    async def _wait_for_withdrawal(self, rotation_id: str) -> None:
        """Give a refused secret a moment to be taken back: its form can be filled faster than that."""
        for _ in range(WITHDRAWAL_LOOKS):
            rotation = await self.load(rotation_id)
            if rotation.track is not Track.WITHDRAW or rotation.state is not State.RUNNING:
                return
            await asyncio.sleep(0.1)
        raise WrongState("The refused secret is still being taken back. Press again in a few seconds.")

    def _unique(self, rotation: Rotation, name: str) -> str:
        """Return *name* carrying this attempt's tag, by which the key is found again if an answer is lost."""
        wanted = " ".join(name.split()) or self.proposed_name(rotation)
        if shape.is_surely_secret(wanted.replace(base_of(rotation.plan.old_key.display_name), "")):
            raise BadInput("This looks like a secret, and a name is shown to everyone.", field="name")
        return wanted if rotation.tag in words_of(wanted) else f"{wanted} ({rotation.tag})"

    async def _refuse_second(self, rotation: Rotation) -> None:
        other = await self.other_rotation(rotation)
        if other and other.is_over:
            raise WrongState("Another rotation has replaced this key already, and deleted it. Cancel this one.")
        if other:
            raise WrongState("Another rotation of this key is under way. Finish that one first.")

    async def create_replacement(self, rotation: Rotation) -> None:
        """Ask the control plane for the replacement, once; what became of it is recorded, the secret is not.

        Only then is the rotation moved on: a step that ran before could not find out whether there is one.
        """
        assert rotation.replacement is not None
        plan, wanted = rotation.plan, rotation.replacement
        secret = self._given.pop((rotation.id, rotation.attempt))
        try:
            key_id = await self._control_plane.create_key(plan.old_key, wanted.name, plan.needed_in, secret)
        except Uncertain as trouble:
            log.warning("create_uncertain", rotation=rotation.id, why=str(trouble))
        except ApiError as refusal:
            await self._record_creation(rotation, wanted.but(refusal=str(refusal)))
        else:
            if key_id:
                await self._record_creation(rotation, wanted.but(key_id=key_id))
        await self._jobs.advance(rotation, again="+created")

    async def _record_creation(self, rotation: Rotation, outcome: Replacement) -> None:
        """Record what became of the replacement, unless the rotation has found out by itself or gone on without it."""
        current = await self.load(rotation.id)
        while _waits_for(current, outcome):
            made = (*current.made, outcome.key_id) if outcome.key_id else current.made
            with suppress(Conflict):
                saved = await self._store.save(
                    current.but(replacement=outcome, made=made), _event("keyturn", "created"), at=self._now()
                )
                await self._jobs.announce(saved)
                return
            current = await self.load(rotation.id)
        if outcome.key_id and current.replacement_id != outcome.key_id:
            await self._remove_unwanted(outcome.key_id)

    async def _remove_unwanted(self, key_id: str) -> None:
        """Remove a replacement that came too late for anybody to wait for it, unless something uses it."""
        inventory = await self._control_plane.inventory()
        key = inventory.key(key_id)
        if key is not None and not users_of(inventory, key):
            await self._control_plane.delete_key(key_id)

    # --- steering ---

    @audited(Action.CANCEL)
    async def cancel(self, rotation_id: str, *, by: str) -> Rotation:
        """Give up before anything was changed."""

        def cancelled(rotation: Rotation) -> Rotation:
            return rotation.to(State.CANCELLED).but(ended_at=self._now(), ended_by=by)

        return await self._steer(rotation_id, Action.CANCEL, cancelled, by, "cancelled")

    async def withdraw(self, rotation: Rotation, reason: str) -> None:
        """Give up a rotation that could not even be shown."""
        cancelled = rotation.to(State.CANCELLED).but(ended_at=self._now(), note=reason)
        saved = await self._store.save(cancelled, _event("keyturn", "cancelled", reason), at=self._now())
        await self._store.was_shown(saved)

    @audited(Action.TRY_AGAIN)
    async def try_again(self, rotation_id: str, *, by: str) -> Rotation:
        """Go on from where the stop says, looking at everything anew."""
        return await self._steer(rotation_id, Action.TRY_AGAIN, _tried_again, by, "tried again")

    @audited(Action.ANOTHER_SECRET)
    async def another_secret(self, rotation_id: str, *, by: str) -> Rotation:
        """Take the refused replacement back; when callers are on the old key again, wait for another secret."""
        rotation = await self.load(rotation_id)
        check_may_give_secret(rotation, await self._people.permissions(by))
        check_offered(rotation, Action.ANOTHER_SECRET)
        taking_back = rotation.to(State.RUNNING).but(track=Track.WITHDRAW, done=(), approvals=(), ended_by=None)
        return await self._save(taking_back, by, "wants to give another secret")

    @audited(Action.ACCEPT_UNPROVED)
    async def offer_acceptance(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may accept models unproved now."""
        rotation, _ = await self._may_accept(rotation_id, by)
        return await self._opened(rotation, by, Action.ACCEPT_UNPROVED)

    async def _may_accept(self, rotation_id: str, by: str) -> tuple[Rotation, Person]:
        rotation = self._people.strict(await self.load(rotation_id))
        permissions = await self._people.permissions(by)
        check_may_accept(rotation, permissions, self_approval=rotation.self_approval)
        check_offered(rotation, Action.ACCEPT_UNPROVED)
        return rotation, permissions.person

    @audited("accepted unproved")
    async def accept_unproved(
        self, rotation_id: str, models: Iterable[str], reason: str, *, by: str, shown: str, pressed: Pressed
    ) -> Rotation:
        """Let *models* (ids) count although nothing proves them, for a *reason* that goes into the receipt.

        *shown* is the digest of what the form said of them; if that has changed, nothing is accepted.
        """
        rotation, person = await self._may_accept(rotation_id, by)
        check_in_time(pressed, person, self._rules.click_max_age)
        if shown != shown_unproved(rotation):
            raise BadInput(
                "This form is out of date: the models, or what is known of them, have changed. "
                f"Close it, look at the card, and press “{Action.ACCEPT_UNPROVED.value}” again.",
                field="models",
            )
        reason = " ".join(reason.split())
        if not reason:
            raise BadInput("Say why in a few words: it goes into the receipt.", field="reason")
        if shape.is_surely_secret(reason):
            raise BadInput("This looks like a secret, and the reason is shown to everyone.", field="reason")
        word = Acceptance(by=by, at=self._now(), reason=reason)
        accepted, what = _with_word(rotation, set(models), word)
        assert rotation.stop is not None
        onward = rewound(accepted, rotation.stop.step).to(State.RUNNING)
        return await self._save(onward, by, what, reason)

    @audited(Action.ROLL_BACK)
    async def roll_back(self, rotation_id: str, *, by: str) -> Rotation:
        """Point every model that was moved back at the old key."""

        def back(rotation: Rotation) -> Rotation:
            return rotation.to(State.ROLLING_BACK).but(track=Track.BACK, done=(), approvals=(), ended_by=by)

        return await self._steer(rotation_id, Action.ROLL_BACK, back, by, "rolled back")

    @audited(Action.DELETE_OLD_KEY)
    async def approve(
        self, rotation_id: str, *, by: str, pressed: Pressed, click: str = "", shown: str | None = None
    ) -> Rotation:
        """Release the delete, if *by* is an approver at this moment and enough have approved.

        *click* names the very click: delivered once more, it must not answer a later question. *shown* is what
        was seen when it was made (None where that is not asked).
        """
        rotation = self._people.strict(recorded := await self.load(rotation_id))
        permissions = await self._people.permissions(by)
        check_may_approve(rotation, permissions, self_approval=rotation.self_approval)
        check_offered(rotation, Action.DELETE_OLD_KEY)
        if shown is not None and shown != rotation.seen:
            raise WrongState("What you saw is not what is asked now: look at the card again.")
        check_in_time(pressed, permissions.person, self._rules.click_max_age)
        if click and not await self._store.is_first(f"click:{rotation_id}:{click}", REPLAY_WINDOW):
            raise WrongState("This click has counted already.")
        reviewed = await self._people.reviewed(recorded, self._now())
        approval = Approval(by=by, at=self._now(), digest=rotation.digest)
        approved = reviewed.but(approvals=(*reviewed.approvals, approval))
        if not approved.lacks_approval:
            approved = approved.to(State.RUNNING)
        return await self._save(approved, by, "approved")

    async def _steer(
        self, rotation_id: str, action: Action, change: Callable[[Rotation], Rotation], by: str, what: str
    ) -> Rotation:
        """Change a rotation as it is now; a step that is recorded in between is no reason to refuse a person."""
        for _ in range(STEERING_TRIES):
            rotation = await self.load(rotation_id)
            check_may_steer(rotation, await self._people.permissions(by))
            check_offered(rotation, action)
            with suppress(Conflict):
                return await self._save(change(rotation), by, what)
        raise WrongState("This rotation moves too fast at the moment. Press again.")

    # --- people and records ---

    async def record_refusal(self, rotation_id: str, what: str, refusal: Refused, *, by: str) -> None:
        """Record what a person was refused; that it cannot be recorded does not make it allowed."""
        try:
            rotation = await self._store.load(rotation_id) if rotation_id else None
            event = _event(by, what, str(refusal))
            await self._store.note(audit.Kind.REFUSAL, event, rotation=rotation, at=self._now())
        except Unanswerable as away:
            log.warning("refusal_not_recorded", by=by, what=what, why=str(away))

    async def _opened(self, rotation: Rotation, by: str, action: Action) -> Rotation:
        """Record a click that opens a form."""
        await self._store.note(audit.Kind.CLICK, _event(by, action), rotation=rotation, at=self._now())
        return rotation

    async def _save(self, rotation: Rotation, by: str, what: str, why: str = "", *, moves: bool = True) -> Rotation:
        try:
            return await self._record(rotation, by, what, why, moves=moves)
        except Taken:
            raise WrongState("Another rotation of this key is under way. Finish that one first.") from None

    async def _record(self, rotation: Rotation, by: str, what: str, why: str = "", *, moves: bool = True) -> Rotation:
        """Record first; then have it shown and, if it *moves* at once, moved on."""
        saved = await self._store.save(rotation, _event(by, what, why), at=self._now())
        log.info("asked_for", rotation=saved.id, by=by, what=what, state=saved.state)
        try:
            if saved.version > 1:  # the first is shown by whoever asked, who has to hear if it cannot be
                await self._jobs.announce(saved)
            if moves:
                await self._jobs.advance(saved)
        except Unanswerable:  # it is recorded all the same, and the sweep finds it
            log.warning("hint_lost", rotation=saved.id)
        return saved


def _tried_again(rotation: Rotation) -> Rotation:
    """Return a stopped rotation at the step where it goes on; what was seen before that step's proof is seen anew."""
    assert rotation.stop is not None
    onward = State.ROLLING_BACK if rotation.track is Track.BACK else State.RUNNING
    fresh = rewound(rotation, rotation.stop.resume).but(no_throwaways="")
    if StepName.REHEARSE not in fresh.done:
        fresh = fresh.but(throwaways=(), rehearsal=None)
    if StepName.PROJECT not in fresh.done:
        fresh = fresh.but(barriers=())
    return (fresh if StepName.VERIFY in fresh.done else fresh.unproved()).to(onward)


def _with_word(rotation: Rotation, wanted: set[str], word: Acceptance) -> tuple[Rotation, str]:
    """Let the *wanted* models count on somebody's *word*, or the rotation where it has none to name; say which."""
    whole = acceptable_as_a_whole(rotation)
    if whole and not wanted:
        return rotation.but(accepted=word.but(of=whole)), "accepted that nothing proves the new secret"
    chosen = [model for model in acceptable(rotation) if model.id in wanted]
    if not chosen or len(chosen) < len(wanted):
        raise BadInput("Choose among the models that are still unproved.", field="models")
    accepted = {model.id: _accepted(rotation.finding(model), word) for model in chosen}
    return rotation.learn(accepted), f"accepted {len(chosen)} unproved"


def _accepted(finding: Finding, word: Acceptance) -> Finding:
    assert finding.standing is not None
    return finding.but(accepted=word.but(of=finding.standing.signature))


def _waits_for(rotation: Rotation, outcome: Replacement) -> bool:
    """Tell whether *rotation* still wants to know what became of this replacement."""
    wanted = rotation.replacement
    if rotation.is_over or rotation.track is not Track.FORWARD or wanted is None:
        return False
    return wanted.name == outcome.name and wanted.key_id is None


def _away(error: ApiError) -> Refused:
    if isinstance(error, Uncertain):
        return Unanswerable(
            f"{error} Nothing was changed. Try again in a minute; if it stays, see `python -m bot check`."
        )
    return Unanswerable(f"{error} Nothing was changed. See `python -m bot check`.")


def _event(by: str, what: str, why: str = "") -> dict[str, str]:
    return {"by": by, "what": what, "why": why}
