"""The record of a rotation: a value, and the few verbs that make the next one. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self

from bot.rotation.counted import Ledger, OldKeyUsage, Tally
from bot.rotation.errors import WrongState
from bot.rotation.finding import UNKNOWN, Acceptance, Finding, Throwaway
from bot.rotation.frozen import Frozen
from bot.rotation.inventory import ProviderKey
from bot.rotation.plan import AffectedModel, Plan, plural
from bot.rotation.replica import Replica
from bot.rotation.states import MEANING, TERMINAL, TRANSITIONS, State, StepName, Track
from bot.rotation.stops import StopKind


class Replacement(Frozen):
    """The key that comes. The name is recorded before it is asked for, so that a lost answer can be found again."""

    name: str
    asked_at: datetime
    key_id: str | None = None
    refusal: str | None = None
    """Why the control plane refused to create it, if it did."""

    fingerprint: str | None = None
    """The secret's, kept here only until the key's id is known; the store then keeps it by that id."""


class Approval(Frozen):
    """Who pressed **Delete old key**, when, and the digest of what was shown then."""

    by: str
    at: datetime
    digest: str = ""


class Void(Frozen):
    """An approval that did not lead to the delete, because the world was not what the approver had seen."""

    by: tuple[str, ...]
    at: datetime
    changes: tuple[str, ...]
    """A sentence each."""

    over: bool = False
    """An approver has been asked for another reason since."""

    lapsed: bool = False
    """The approval itself no longer counted (its giver left, the settings are stricter): nothing is verified again.

    The first changes then say so of *by*, one each.
    """


class Trouble(Frozen):
    """Something that went wrong after the delete, or went well again; *about* says with what."""

    at: datetime
    about: str
    sentence: str
    over: bool = False


class Stop(Frozen):
    """Why a rotation is blocked."""

    kind: StopKind
    headline: str
    sentence: str
    step: StepName
    resume: StepName
    at: datetime


SCHEMA = 1
"""Which form of the record this version writes. It reads older ones, and leaves newer ones alone."""

CARRIED = 1000
"""The form of what a rotation leaves behind: newer than any, so that an older version leaves it alone too."""


class Rotation(Frozen):
    """One replacement of one provider key, from impact to receipt. Holds no secret, ever."""

    schema_version: int = SCHEMA
    namespace: str = ""
    """Which bot's record this is; under the names of another one it is refused."""

    carried_to: str = ""
    """The namespace that the rotation goes on in; this is what it left behind, to be changed no more."""

    id: str
    version: int = 0
    write: str = ""
    """Which write made this version: another one at the same moment, with the same content, is another."""

    state: State = State.AWAITING_SECRET
    track: Track = Track.FORWARD
    team: str
    channel: str
    requested_by: str
    requested_at: datetime
    plan: Plan
    attempt: int = 0
    """How many secrets have been given so far."""

    replacement: Replacement | None = None
    same_secret_checked: bool = False
    """Whether fingerprints have ruled out that the new secret is the one already in use."""

    names: tuple[str, ...] = ()
    """Every display name that this rotation has asked a key by: what is found under one of them is its own."""

    made: tuple[str, ...] = ()
    """Every key id that it has been given; all but the replacement are removed in the end."""

    done: tuple[StepName, ...] = ()
    findings: dict[str, Finding] = {}
    throwaways: tuple[Throwaway, ...] = ()
    throwaways_used: int = 0
    """How many names of throw-away models have been used: each is used once."""

    rehearsal: str | None = None
    """What the rehearsal came to."""

    unrehearsed: str = ""
    """Why there was no rehearsal."""

    no_throwaways: str = ""
    """Why there can be no throw-away models at the moment, and so no barrier."""

    barriers: tuple[Throwaway, ...] = ()
    """Throw-away models made after an environment's last move: a gateway that has one has everything before it."""

    wave: int = 0
    """Which wave of the cut-over is in hand, from 0."""

    looks: dict[str, dict[str, Replica]] = {}
    """By environment and status address, the look at a replica from which on its counters count."""

    callers: dict[str, tuple[str, ...]] = {}
    """By environment, the ids of our caller key as the counters show them."""

    tests: dict[str, int] = {}
    """By environment, how often it was tested that every replica has the change: each test is another draw."""

    tally: Tally | None = None
    """What callers have met; None where no counters tell."""

    ledgers: dict[str, Ledger] = {}
    """By environment, what the tally is made of."""

    silences: tuple[OldKeyUsage, ...] = ()
    """What each replica has counted on the old key since the last model was moved."""

    accepted: Acceptance | None = None
    """An approver's word that nothing at all proves the new secret, *of* the sentence that said so."""

    approvals: tuple[Approval, ...] = ()
    approvals_required: int = 1
    self_approval: bool = False
    stop: Stop | None = None
    note: str | None = None
    """One sentence on what is going on right now, or what went before this state."""

    retry_at: datetime | None = None
    retry_in: timedelta | None = None
    """How long it was until `retry_at` when that was recorded."""

    step_since: datetime | None = None
    look: str = ""
    """The mark of the look under way; what it has asked carries it, so that no clock has to tell."""

    trouble_since: datetime | None = None
    stalled_since: datetime | None = None
    """Since when a step has waited without learning anything."""

    started_at: datetime | None = None
    adopted_at: datetime | None = None
    """When the record was made again from what the control plane showed, because it was lost."""

    verified_at: datetime | None = None
    first_well_at: datetime | None = None
    """When every model was verified for the first time in this go."""

    well_since: datetime | None = None
    """Since when every model has stayed well; the soak counts from here."""

    soak_until: datetime | None = None
    look_at: datetime | None = None
    """When every model is asked again during the soak."""

    voids: tuple[Void, ...] = ()
    secret_asked_at: datetime | None = None
    """Since when another secret is waited for; absent: since the card was asked for."""

    asked_at: datetime | None = None
    """Since when an approval is waited for."""

    reminded_at: datetime | None = None
    delete_asked_at: datetime | None = None
    """Since when the old key may be gone at any moment: from then on there is no way back to it."""

    delete_sent_at: datetime | None = None
    """When the control plane last said yes to the delete."""

    delete_granted: bool = False
    """The control plane has said that it deleted the old key for us, and not only that there is no such key."""

    deleted_at: datetime | None = None
    audit_head: str | None = None
    """The beginning of the hash of the audit trail's entry on the delete."""

    watch_until: datetime | None = None
    watched: int = 0
    """How many looks there have been since the delete."""

    orphaned: tuple[str, ...] = ()
    """What was refused for want of its key before the delete already, as the counters name it."""

    troubles: tuple[Trouble, ...] = ()
    """What went wrong since the delete, in order."""

    ended_at: datetime | None = None
    ended_by: str | None = None
    left_alone: tuple[str, ...] = ()
    """What a roll back did not touch, and why."""

    def to(self, state: State) -> Self:
        """Move to *state*, or refuse."""
        if state not in TRANSITIONS[self.state]:
            raise WrongState(f"This rotation is {MEANING[self.state]}; that button belongs to an earlier moment.")
        stop = self.stop if state is State.BLOCKED else None
        return self.but(
            state=state,
            stop=stop,
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
        """Tell whether nobody has a next move."""
        return self.state in TERMINAL

    @property
    def waits_for_bot(self) -> bool:
        """Tell whether the next move is the bot's."""
        return self.state in (State.RUNNING, State.ROLLING_BACK)

    @property
    def replacement_id(self) -> str | None:
        """Return the id of the replacement key once it exists."""
        return self.replacement.key_id if self.replacement else None

    @property
    def lacks_approval(self) -> bool:
        """Tell whether more people have to approve."""
        return self.approvals_missing > 0

    @property
    def approvals_missing(self) -> int:
        """Return how many more people have to approve."""
        return max(0, self.approvals_required - len(self.approvals))

    @property
    def tag(self) -> str:
        """Return what marks this attempt in a display name: the rotation's id, and which secret it is."""
        return self.id if self.attempt == 0 else f"{self.id}-{self.attempt + 1}"

    def own_keys(self, keys: Iterable[ProviderKey]) -> tuple[ProviderKey, ...]:
        """Return those of *keys* that this rotation made, also one whose creation was never answered."""
        return tuple(key for key in keys if key.id in self.made or key.display_name in self.names)

    def has_in_hand(self, key: ProviderKey) -> bool:
        """Tell whether this rotation replaces *key*, or makes it and has not deleted the old one yet."""
        makes = key.id in self.made or key.display_name in self.names
        return not self.is_over and (key.id == self.plan.old_key.id or (makes and self.deleted_at is None))

    @property
    def keys(self) -> tuple[ProviderKey, ...]:
        """Return what people may call the keys of this rotation by: the old one, and each replacement's id and name."""
        made = {**{id_: id_ for id_ in self.made}, **dict.fromkeys(self.names, "")}
        old = self.plan.old_key
        return (old, *(old.but(id=id_, display_name=name) for name, id_ in made.items()))

    def finding(self, model: AffectedModel) -> Finding:
        """Return what is known of *model*; empty when nothing is."""
        return self.findings.get(model.id, UNKNOWN)

    def without_secret(self) -> Self:
        """Return this rotation as it was before the present secret was given."""
        fields = type(self).model_fields
        return self.but(**{name: fields[name].get_default(call_default_factory=True) for name in OF_ONE_SECRET})

    def planned_anew(self, plan: Plan) -> Self:
        """Return this rotation with *plan*, knowing nothing of what is not in it any more, or is another model now.

        Of a model that has been changed, only the move is known still: what it answered, another one did.
        """
        before, there = {model.id: model for model in self.plan.models}, {model.id: model for model in plan.models}
        findings = {id_: finding for id_, finding in self.findings.items() if id_ in there}
        changed = {id_ for id_ in findings if id_ in before and before[id_].altered(there[id_])}
        moves = {id_: Finding(moved_at=findings[id_].moved_at) for id_ in changed}
        return self.but(plan=plan, findings={**findings, **moves})

    def unproved(self) -> Self:
        """Return this rotation having forgotten what models answered since they were moved; the moves stay."""
        forgotten = {id_: finding.unproved for id_, finding in self.findings.items()}
        return self.but(findings=forgotten, first_well_at=None)

    def learn(self, findings: Mapping[str, Finding]) -> Self:
        """Return this rotation knowing *findings* as well."""
        return self.but(findings={**self.findings, **findings})

    def barrier(self, environment: str) -> Throwaway | None:
        """Return the barrier of an environment, if there is one."""
        return next((barrier for barrier in self.barriers if barrier.environment == environment), None)

    @property
    def moving(self) -> frozenset[str]:
        """Return the environments where some model is still meant to be on the old key."""
        return frozenset(m.environment for m in self.plan.models if not self.finding(m).moved_at)

    @cached_property
    def moved(self) -> tuple[AffectedModel, ...]:
        """Return the models that this rotation has moved to the replacement."""
        return tuple(model for model in self.plan.models if self.finding(model).moved_at)

    @property
    def all_moved(self) -> bool:
        """Tell whether every model has left the old key; in a cut-over by waves that takes several."""
        return len(self.moved) == len(self.plan.models)

    @cached_property
    def digest(self) -> str:
        """Return a digest of what an approver sees: the keys, what reaches them, and the verdict on every model."""
        shown = (
            self.plan.old_key.id,
            self.replacement_id,
            [(_model_shown(model), *_verdict_shown(self.finding(model))) for model in self.plan.models],
            sorted(dependent.model_dump_json() for dependent in self.plan.dependents),
            sorted(self.plan.routes),
            *([self.accepted.of] if self.accepted else []),
        )
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()

    @property
    def seen(self) -> str:
        """Return the beginning of the digest: what a button carries of what was seen when it was pressed."""
        return self.digest[:16]

    @property
    def extent(self) -> str:
        """Say how much is affected: "12 models in 2 environments"."""
        models = plural(len(self.plan.models), "model")
        return f"{models} in {plural(len(self.plan.environments), 'environment')}"


OF_ONE_SECRET = (
    "accepted", "approvals", "asked_at", "barriers", "done", "findings", "first_well_at", "ledgers", "left_alone",
    "look_at", "looks", "no_throwaways", "rehearsal", "reminded_at", "replacement", "same_secret_checked", "silences",
    "soak_until", "tally", "throwaways", "unrehearsed", "verified_at", "wave", "well_since",
)  # fmt: skip
"""What a rotation forgets when its secret is taken back."""


def _model_shown(model: AffectedModel) -> str:
    """Say all that is shown of a model; what an older record did not note, it does not say."""
    return model.model_dump_json(exclude_defaults=True)


def _verdict_shown(finding: Finding) -> tuple[str, bool, str]:
    said = finding.current.signature if finding.current and finding.is_accepted else ""
    return finding.current.verdict if finding.current else "", finding.is_accepted, said
