"""The record of a rotation: a value, and the few methods that make the next one. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self

from bot.rotation.counted import Ledger, OldKeyUsage, Tally
from bot.rotation.credentials import Ability
from bot.rotation.errors import WrongState
from bot.rotation.finding import UNKNOWN, Acceptance, Finding, Throwaway
from bot.rotation.inventory import ProviderKey
from bot.rotation.parts import Approval, Asides, Exposure, Mint, Replacement, Review, Stop, Trouble, Void
from bot.rotation.plan import AffectedModel, Plan, plural
from bot.rotation.policies import ASKS_NOTHING, Policy
from bot.rotation.replica import Replica
from bot.rotation.series import Series
from bot.rotation.states import MEANING, TERMINAL, TRANSITIONS, State, StepName, Track

__all__ = ["CARRIED", "KEY_STAYS", "SCHEMA", "Approval", "Replacement", "Rotation", "Stop", "Trouble", "Void"]

SCHEMA = 2
"""The schema that this version writes. It reads older ones, and leaves newer ones alone."""

KEY_STAYS = "Key"
"""How a sentence in `left_alone` about one of the rotation's own keys starts; each look replaces these."""

CARRIED = 1000
"""The schema of the record that a rotation leaves behind: newer than any, so older versions leave it alone too."""


class Rotation(Asides):
    """One replacement of one provider key, from the impact to the receipt. Never holds a secret."""

    schema_version: int = SCHEMA
    namespace: str = ""
    """The bot that owns this record; under another bot's names it is refused."""

    carried_to: str = ""
    """The namespace where the rotation continues; this record stays behind and must not change."""

    id: str
    version: int = 0
    write: str = ""
    """The write that made this version: a simultaneous write of the same content has another one."""

    state: State = State.AWAITING_SECRET
    track: Track = Track.FORWARD
    team: str
    channel: str
    requested_by: str
    requested_at: datetime
    plan: Plan
    why: str = ""
    """The reason that the requester gave with the secret; empty if there was none, and in records of older versions."""

    ticket: str = ""
    batch: str = ""
    attempt: int = 0
    """How many secrets people have given so far."""

    replacement: Replacement | None = None
    same_secret_checked: bool = False
    """Whether fingerprints have ruled out that the new secret is already in use."""

    account: str = ""
    """The provider of the old key, by its name in the settings of then; empty: people make and revoke by hand."""

    abilities: tuple[Ability, ...] = ()
    """What that provider could do when the rotation was requested: cards offer it, and a click asks again."""

    mints: tuple[Mint, ...] = ()
    """Every credential that this rotation has had made, or may have, in order."""

    names: tuple[str, ...] = ()
    """Every display name that this rotation has requested; a key under one of them belongs to it."""

    made: tuple[str, ...] = ()
    """Every key id that it has received; at the end it removes all but the replacement."""

    unoffered: tuple[str, ...] = ()
    """Those of them that no model was moved to and that nobody was asked to use; none in records of older versions."""

    done: tuple[StepName, ...] = ()
    findings: dict[str, Finding] = {}
    throwaways: tuple[Throwaway, ...] = ()
    throwaways_used: int = 0
    """How many names of throw-away models it has used: each name is used once."""

    rehearsal: str | None = None
    """The result of the rehearsal."""

    rehearsed_at: datetime | None = None
    """When the rehearsal ended; None in records of older versions."""

    unrehearsed: str = ""
    """Why there was no rehearsal."""

    no_throwaways: str = ""
    """Why there can be no throw-away models at present, and so no barrier."""

    barriers: tuple[Throwaway, ...] = ()
    """Throw-away models made after an environment's last move: a gateway that has one has all earlier changes."""

    wave: int = 0
    """The current wave of the cut-over, from 0."""

    looks: dict[str, dict[str, Replica]] = {}
    """By environment and status address, the snapshot from which the counters count."""

    callers: dict[str, tuple[str, ...]] = {}
    """By environment, the ids of our caller key as the counters show them."""

    tests: dict[str, int] = {}
    """By environment, the number of tests that every replica has the change; each is a new random draw."""

    tally: Tally | None = None
    """What callers met; None if no counters show it."""

    ledgers: dict[str, Ledger] = {}
    """By environment, the parts of the tally."""

    series: Series = Series()
    """The requests over time; none in records of older versions."""

    silences: tuple[OldKeyUsage, ...] = ()
    """What each replica has counted on the old key since the last model moved."""

    accepted: Acceptance | None = None
    """An approver's decision to go on although nothing proves the new secret; *of* is the sentence that said so."""

    policy: Policy = ASKS_NOTHING
    """What the policies ask of this rotation, as strict as ever since its start; none in records of older versions."""

    starts: tuple[Approval, ...] = ()
    """Who pressed **Start**; one counts only for the plan that was shown then."""

    start_asked_at: datetime | None = None
    """Since when Keyturn waits for **Start**."""

    opens_at: datetime | None = None
    """Until when Keyturn waits for the change window; None if it does not."""

    approvals: tuple[Approval, ...] = ()
    approvals_required: int = 1
    self_approval: bool = False
    stop: Stop | None = None
    note: str | None = None
    """One sentence on what is happening now, or on what led to this state."""

    retry_at: datetime | None = None
    retry_in: timedelta | None = None
    """The time until `retry_at` when it was recorded."""

    step_since: datetime | None = None
    look: str = ""
    look_try: str = ""
    """The mark of the look under way, so that no clock has to decide, and of the only move that may go on with it."""

    trouble_since: datetime | None = None
    stalled_since: datetime | None = None
    """Since when a step has waited without learning anything."""

    started_at: datetime | None = None
    adopted_at: datetime | None = None
    """When the lost record was made again from what the control plane showed."""

    verified_at: datetime | None = None
    first_well_at: datetime | None = None
    """When every model was verified for the first time in this run."""

    well_since: datetime | None = None
    """Since when every model has stayed well; the soak counts from here."""

    soak_until: datetime | None = None
    look_at: datetime | None = None
    """When the soak probes every model again."""

    voids: tuple[Void, ...] = ()
    secret_asked_at: datetime | None = None
    """Since when Keyturn waits for another secret; None: since the command."""

    asked_at: datetime | None = None
    """Since when Keyturn waits for an approval."""

    reminded_at: datetime | None = None
    """When an earlier version reminded of the approval; now `nudges` say so."""

    stale_at: datetime | None = None
    """When the evidence became too old for an approval, since Keyturn asked for it."""

    parked_at: datetime | None = None
    """When nobody had approved in time: since then nobody is reminded."""

    zone: str = ""
    """The requester's time zone, as Slack gave it; empty if unknown, and in records of older versions."""

    last_look_at: datetime | None = None
    """When the last look before the delete ended; None if it has to be repeated."""

    delete_asked_at: datetime | None = None
    """Since when the old key may be gone; from then on there is no way back to it."""

    delete_try: str = ""
    """The lease and record version that the next delete goes out under. Under others, Keyturn notes it again."""

    delete_repeated: bool = False
    """An earlier delete may still come true, whatever AISIX says to the next one."""

    delete_sent_at: datetime | None = None
    delete_granted: bool = False
    """The control plane said that it deleted the old key for us, not only that no such key exists."""

    deleted_at: datetime | None = None
    audit_head: str | None = None
    """From the delete on, the beginning of the hash of the audit entry on this version of the record."""

    watch_until: datetime | None = None
    watched: int = 0
    blind: int = 0
    """Looks since the delete: all of them, and those that lacked a list, a counter that the proof had, or an answer."""

    cached: tuple[str, ...] = ()
    """Models, by label, for which a cache answered at the newest look of the watch: nobody knows how they are."""

    orphaned: tuple[str, ...] = ()
    """Names, from the counters, whose requests were refused for an unknown key even before the delete."""

    troubles: tuple[Trouble, ...] = ()
    """What went wrong since the delete, in order."""

    exposed: Exposure | None = None
    """The report that the old secret leaked; None if nobody gave one."""

    review: Review | None = None
    """What was found out about the leak; it is due before the rotation counts as done."""

    ended_at: datetime | None = None
    ended_by: str | None = None
    left_alone: tuple[str, ...] = ()
    """What a roll back did not touch, and why."""

    def to(self, state: State) -> Self:
        """Move to *state*, or refuse."""
        if state not in TRANSITIONS[self.state]:
            raise WrongState(f"This rotation is {MEANING[self.state]}; that button belongs to an earlier moment.")
        return self.but(
            state=state,
            stop=self.stop if state is State.BLOCKED else None,
            note=None,
            retry_at=None,
            retry_in=None,
            step_since=None,
            look="",
            trouble_since=None,
            stalled_since=None,
        )

    @property
    def is_over(self) -> bool:
        """Return whether the rotation has ended."""
        return self.state in TERMINAL

    @property
    def waits_for_bot(self) -> bool:
        """Return whether the bot has the next move."""
        return self.state in (State.RUNNING, State.ROLLING_BACK)

    @property
    def replacement_id(self) -> str | None:
        """Return the id of the replacement key once it exists."""
        return self.replacement.key_id if self.replacement else None

    @property
    def lacks_approval(self) -> bool:
        """Return whether more people have to approve."""
        return self.approvals_missing > 0

    @property
    def approvals_missing(self) -> int:
        """Return how many more people have to approve."""
        return max(0, self.approvals_required - len(self.approvals))

    @property
    def tag(self) -> str:
        """Return the mark of this attempt in a display name: the rotation's id, and the number of the secret."""
        return self.id if self.attempt == 0 else f"{self.id}-{self.attempt + 1}"

    def own_keys(self, keys: Iterable[ProviderKey]) -> tuple[ProviderKey, ...]:
        """Return those of *keys* that this rotation made, including one whose creation was never answered."""
        return tuple(key for key in keys if key.id in self.made or key.display_name in self.names)

    def concerns(self, key: ProviderKey) -> bool:
        """Return whether this rotation replaces *key*, or makes it and has not deleted the old one yet."""
        makes = key.id in self.made or key.display_name in self.names
        return not self.is_over and (key.id == self.plan.old_key.id or (makes and self.deleted_at is None))

    @property
    def keys(self) -> tuple[ProviderKey, ...]:
        """Return every key that people may mean in this rotation: the old one, and each replacement's id and name."""
        made = {**{id_: id_ for id_ in self.made}, **dict.fromkeys(self.names, "")}
        old = self.plan.old_key
        return (old, *(old.but(id=id_, display_name=name) for name, id_ in made.items()))

    def finding(self, model: AffectedModel) -> Finding:
        """Return the finding for *model*; an empty one if nothing is known."""
        return self.findings.get(model.id, UNKNOWN)

    def without_secret(self) -> Self:
        """Return this rotation as it was before the present secret was given."""
        fields = type(self).model_fields
        fresh = {name: fields[name].get_default(call_default_factory=True) for name in OF_ONE_SECRET}
        return self.but(**fresh | {"left_alone": tuple(s for s in self.left_alone if s.startswith(KEY_STAYS))})

    def with_plan(self, plan: Plan) -> Self:
        """Return this rotation with *plan*, without findings of models that left the plan or were changed.

        A changed model keeps only the time of its move: its earlier answers came from the model before the change.
        """
        before, there = {model.id: model for model in self.plan.models}, {model.id: model for model in plan.models}
        findings = {id_: finding for id_, finding in self.findings.items() if id_ in there}
        changed = {id_ for id_ in findings if id_ in before and before[id_].altered(there[id_])}
        moves = {id_: Finding(moved_at=findings[id_].moved_at) for id_ in changed}
        return self.but(plan=plan, findings={**findings, **moves})

    def unproved(self) -> Self:
        """Return this rotation without the models' answers since the move; the moves stay."""
        forgotten = {id_: finding.unproved for id_, finding in self.findings.items()}
        return self.but(findings=forgotten, first_well_at=None)

    def learn(self, findings: Mapping[str, Finding]) -> Self:
        """Return this rotation with *findings* added."""
        return self.but(findings={**self.findings, **findings})

    def barrier(self, environment: str) -> Throwaway | None:
        """Return the barrier of an environment, if there is one."""
        return next((barrier for barrier in self.barriers if barrier.environment == environment), None)

    @property
    def moving(self) -> frozenset[str]:
        """Return the environments where some model still belongs on the old key."""
        return frozenset(m.environment for m in self.plan.models if not self.finding(m).moved_at)

    @cached_property
    def moved(self) -> tuple[AffectedModel, ...]:
        """Return the models that this rotation has moved to the replacement."""
        return tuple(model for model in self.plan.models if self.finding(model).moved_at)

    @property
    def all_moved(self) -> bool:
        """Return whether every model has left the old key; a cut-over in waves moves them one wave at a time."""
        return len(self.moved) == len(self.plan.models)

    @cached_property
    def digest(self) -> str:
        """Return a digest of what an approver sees: the keys, all that reaches them, and the verdict on every model."""
        shown = (
            self.plan.old_key.id,
            self.replacement_id,
            [(model.model_dump_json(exclude_defaults=True), *self.finding(model).shown) for model in self.plan.models],
            sorted(dependent.model_dump_json() for dependent in self.plan.dependents),
            sorted(self.plan.routes),
            *([self.accepted.of] if self.accepted else []),
        )
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()

    @property
    def seen(self) -> str:
        """Return the beginning of the digest; a button carries it to show what the person saw."""
        return self.digest[:16]

    @property
    def motive(self) -> str:
        """Return the reason and the ticket in one line; empty if neither was given."""
        return " · ".join(filter(None, (self.why, self.ticket)))

    @property
    def extent(self) -> str:
        """Say how much is affected: "12 models in 2 environments"."""
        models = plural(len(self.plan.models), "model")
        return f"{models} in {plural(len(self.plan.environments), 'environment')}"


OF_ONE_SECRET = (
    "accepted", "approvals", "asked_at", "barriers", "done", "findings", "first_well_at", "last_look_at", "ledgers",
    "left_alone", "look_at", "looks", "no_throwaways", "opens_at", "parked_at", "rehearsal", "rehearsed_at",
    "reminded_at", "replacement", "same_secret_checked", "series", "silences", "soak_until", "stale_at",
    "start_asked_at", "starts", "tally", "throwaways", "unrehearsed", "verified_at", "wave", "well_since",
)  # fmt: skip
"""The fields that a rotation resets when its secret is withdrawn."""
