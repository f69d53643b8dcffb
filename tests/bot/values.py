"""Values that the tests of the core begin with: the plainest record, and the shortest way to another one."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.rotation.counted import OldKeyUsage, Tally
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.flags import Flag
from bot.rotation.hours import Calendar
from bot.rotation.inventory import Environment, Inventory, Model, ProviderKey
from bot.rotation.parts import PutOff, Revocation, Which
from bot.rotation.people import Rules
from bot.rotation.plan import AffectedModel, Plan
from bot.rotation.progress import undone_from
from bot.rotation.record import Approval, Replacement, Rotation, Stop
from bot.rotation.replica import Replica
from bot.rotation.states import FORWARD, State, StepName, Track
from bot.rotation.stops import StopKind
from bot.steps.world import Limits
from bot.storage.namespace import Namespace

NOW = datetime(2026, 11, 23, 14, 2, tzinfo=UTC)
SECRET = "sk-CANARY-0123456789abcdefghij"
SOAKED = tuple(step.name for step in FORWARD[: [step.name for step in FORWARD].index(StepName.RECHECK)])
"""The steps before the last look."""

NAMESPACE = Namespace.of("T1", "https://cp.example.com/api")


EVENT = {"by": "U_REQUESTER", "what": "asked", "why": ""}


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def key(id_: str = "pk_old", name: str = "OpenAI production", **fields: Any) -> ProviderKey:
    return ProviderKey(id=id_, display_name=name, **{"provider": "openai"} | fields)


def model(id_: str, environment: str = "prod", **fields: Any) -> Model:
    return Model(id=id_, environment=environment, **{"alias": f"alias-{id_}"} | fields)


def inventory(models: Iterable[Model], keys: Iterable[ProviderKey] = (), **fields: Any) -> Inventory:
    environments = (Environment(id="prod", name="production"), Environment(id="stag", name="staging"))
    return Inventory(environments=environments, keys=tuple(keys) or (key(),), models=tuple(models), **fields)


def affected(id_: str = "m1", environment: str = "prod", **fields: Any) -> AffectedModel:
    made = {"alias": f"alias-{id_}", "environment_name": environment, "kind": "direct", "upstream": "gpt-4o"}
    return AffectedModel(id=id_, environment=environment, **made | fields)


def plan_of(key_id: str) -> Plan:
    """A plan for a key that no model uses."""
    return Plan(old_key=key(key_id), models=(), environments={})


def rotation(state: State = State.AWAITING_SECRET, **fields: Any) -> Rotation:
    made = {
        "id": "rabc123",
        "team": "T1",
        "channel": "C_OPS",
        "requested_by": "U_REQUESTER",
        "requested_at": NOW,
        "plan": Plan(old_key=key(), models=(affected(),), environments={"prod": "production"}),
    }
    return Rotation(state=state, **made | fields)


def running(**fields: Any) -> Rotation:
    replacement = Replacement(name="OpenAI production (rabc123)", asked_at=NOW, key_id="pk_new")
    return rotation(State.RUNNING, **{"replacement": replacement, "attempt": 1} | fields)


def stopped(kind: StopKind = StopKind.TROUBLE, **fields: Any) -> Rotation:
    stop = Stop(kind=kind, headline="it stopped", sentence="It stopped.", step="verify", resume="project", at=NOW)
    return running(**fields).but(state=State.BLOCKED, stop=stop)


def back(record: Rotation) -> Rotation:
    """Return *record* as **Roll back** leaves it."""
    return record.to(State.ROLLING_BACK).but(track=Track.BACK, done=())


def tried_again(record: Rotation) -> Rotation:
    """Return *record* as **Try again** leaves it."""
    assert record.stop
    return undone_from(record, record.stop.resume).to(State.RUNNING)


def approval(by: str = "U_APPROVER", seconds: float = 0) -> Approval:
    return Approval(by=by, at=later(seconds))


def revocation(which: Which = Which.OLD, **fields: Any) -> Revocation:
    """Return the task to revoke a credential, a day long."""
    return Revocation(**{"which": which, "owner": "U_REQUESTER", "since": NOW, "due_at": later(86_400)} | fields)


def silence(replica: str = "r:1", *, is_used: bool = False) -> OldKeyUsage:
    """Return what a replica in production counted on the old key at its last look."""
    heard = NOW if is_used else None
    return OldKeyUsage(url=f"http://{replica}", environment="prod", looked_at=NOW, heard_at=heard)


NOT_PROBED = Evidence(verdict=Verdict.SKIPPED, reason="not probed: the settings say skip", at=NOW)
FLAGGED: Mapping[Flag, dict[str, Any]] = {
    Flag.IN_USE: {"silences": (silence(is_used=True),)},
    Flag.FAILED: {"tally": Tally(since=NOW, answered=9, failed=2)},
    Flag.UNSEEN: {
        "silences": (silence(),),
        "looks": {"prod": {f"http://{name}": Replica(url=f"http://{name}", at=NOW) for name in ("r:1", "r:2")}},
    },
    Flag.PUT_OFF: {"put_off": (PutOff(by="U_SECOND", at=NOW, reason="the vendor looks into it"),)},
    Flag.UNPROVED: {"findings": {"m1": Finding(moved_at=NOW, latest=NOT_PROBED, verdict=NOT_PROBED)}},
}
"""For each flag, what of a record raises it and no other."""


def rules(**fields: Any) -> Rules:
    others: dict[str, Any] = {
        "requesters": None,
        "approvals_required": 1,
        "self_approval": False,
        "require_reason": False,
        "ticket_pattern": None,
        "escalation": frozenset(),
    }
    others |= {
        "cards_per_person": 20,
        "cards_per_channel": 100,
        "policies": (),
        "step_up": False,
        "secret_on_a_page": False,
    }
    others |= {"exposed_revoke_within": timedelta(hours=2)}
    others |= {"rotate_every": None, "bulk_concurrency": 1, "one_approval_for_a_batch": True}
    return Rules(**others | {"click_max_age": timedelta(seconds=60), "revoke_within": timedelta(days=1)} | fields)


def limits(**fields: Any) -> Limits:
    durations = {
        "create_grace": 30, "read_back": 10, "projection": 120, "settle": 2, "verify": 120, "soak": 0, "listen": 0,
        "patience": 600, "mint_patience": 60, "look_interval": 30, "evidence_max_age": 86_400, "watch": 0,
        "secret_expiry": 86_400, "approval_reminder": 14_400, "approval_expiry": 259_200,
        "page_after": 300, "stop_reminder": 14_400, "revoke_within": 86_400, "revoke_grace": 3600,
    }  # fmt: skip
    seconds: dict[str, Any] = {name: timedelta(seconds=fields.get(name, value)) for name, value in durations.items()}
    others = {"concurrency": 4, "probes": 3, "require_proof": False, "waves": (1,), "environment_order": ()}
    others |= {"after_expiry": "park", "calendar": Calendar()}
    return Limits(**{name: fields.get(name, value) for name, value in others.items()}, **seconds)
