"""What may never happen, whatever anybody does. Every write is held against it at the moment of its effect."""

import json
from collections import Counter
from typing import Any

from bot.rotation.evidence import Verdict
from bot.rotation.flags import flags
from bot.rotation.naming import tag_of, throwaway_prefix
from bot.rotation.parts import Asides
from bot.rotation.record import Rotation
from bot.rotation.states import TERMINAL, TRANSITIONS, State
from sandbox.aisix import Aisix, Event, ProviderKey
from sandbox.aisix.replica import Replica
from tests.simulation.clockwork import ACTOR, Actor, Switchboard

FRESH, LEASE = 2.0, 2.0
"""Seconds: how old the lists may be when the delete is asked for, and how long it may be on its way."""


class Broken(AssertionError):
    """A law was broken."""


AFTER_THE_END = (*Asides.model_fields, "mints", "review", "version", "write", "audit_head")
"""What may change once a rotation is over: what is beside its course, and what it has left to do."""


class Laws:
    def __init__(self, aisix: Aisix, switchboard: Switchboard) -> None:
        self._aisix, self._switchboard = aisix, switchboard
        self.holder: Any = lambda _: None
        self.lucky = 0
        """How often a key went while a replica that nobody has written down served it."""

        self.records: dict[str, Rotation] = {}
        self.breaches: list[str] = []
        self.self_approval = False
        self._bound: dict[str, tuple[str | None, int]] = {}
        self._creations: Counter[tuple[int, str]] = Counter()
        self._at_work: dict[str, Actor] = {}
        self._approved: dict[str, int] = {}
        self._probed: dict[tuple[str, str, str], int] = {}
        aisix.on_change(self._row_changed)

    def check(self) -> None:
        if self.breaches:
            raise Broken(self.breaches[0])

    def demand(self, holds: object, law: str, detail: str) -> None:
        if not holds:
            self._switchboard.note(f"BROKEN: {law}: {detail}")
            self.breaches.append(f"{law}: {detail}")

    def _row_changed(self, event: Event) -> None:
        row: Any = event.subject
        if event.kind == "row" and self._bound.get(row.id, ("", 0))[0] != row.provider_key_id:
            self._bound[row.id] = (row.provider_key_id, self._switchboard.turns)

    def is_ending(self, rotation_id: str) -> bool:
        """Tell whether a rotation has been looked at for the last time, and its old key is still there."""
        record = self.records.get(rotation_id)
        return record is not None and record.done[-1:] == ("recheck",) and record.state is State.RUNNING

    # --- records ---

    def read(self) -> None:
        if actor := ACTOR.get():
            actor.loaded = self._switchboard.turns

    def saved(self, text: str) -> None:
        self.read()
        after = Rotation.model_validate_json(text)
        before = self.records.get(after.id)
        if before == after:
            return  # sent twice
        self.records[after.id] = after
        why = f"{after.stop.headline}: {after.stop.sentence}" if after.stop else after.note or ""
        told = f"{after.id} v{after.version} {before.state if before else ''} -> {after.state} {after.done[-1:]} {why}"
        self._switchboard.note(f"  = {told}")
        if before:
            is_task = before.but(**{name: getattr(after, name) for name in AFTER_THE_END}) == after
            self.demand(before.state not in TERMINAL or is_task, "a terminal rotation never moves", told)
            allowed = {before.state, *TRANSITIONS[before.state]}
            self.demand(after.state in allowed, "every move is one of the table", told)
            self._proved(before, after)
        self.demand(not (after.stop and after.stop.headline == "a fault in Keyturn"), "no fault in Keyturn", told)
        self._approvals(before.approvals if before else (), after)
        rivals = [r.id for r in self.records.values() if _has_in_hand(r) and r.plan.old_key.id == after.plan.old_key.id]
        self.demand(len(rivals) <= 1, "one rotation has a key in hand", str(rivals))
        if after.is_over:
            self.nothing_left(after)

    def _approvals(self, known: Any, after: Rotation) -> None:
        actor, told = ACTOR.get(), f"{after.id} {after.approvals}"
        for approval in (a for a in after.approvals if a not in known):
            mine = actor is not None and (actor.name, actor.who) == ("approve", approval.by)
            seen = mine and actor is not None and approval.digest.startswith(actor.shown)
            self.demand(seen, "an approval is an approver's click on what was shown", told)
            weighed = approval.reason or not flags(after)
            self.demand(weighed, "an approver says why if something speaks against the delete", told)
            allowed = approval.by != after.requested_by or self.self_approval
            self.demand(allowed, "the requester does not approve", told)
        if len(after.approvals) > len(known):
            self._approved[after.id] = self._switchboard.turns
            asked = actor is not None and {a.by for a in after.approvals} <= actor.vouched.keys()
            self.demand(asked, "only approvers approve, and each stands at the last approval", told)

    def _proved(self, before: Rotation, after: Rotation) -> None:
        """Demand that what is proved was asked on every listed replica, and told apart from callers' requests."""
        if not self._can_be_told:
            return
        had = {id_ for id_, finding in before.findings.items() if finding.verdict}
        for model in after.plan.models:
            finding = after.findings.get(model.id)
            if model.id in had or not (finding and finding.verdict and finding.verdict.verdict is Verdict.PROVED):
                continue
            apart = after.callers.get(model.environment)
            self.demand(apart, "what is proved was told apart from callers' requests", f"{after.id} {model.label}")
            answer = ("probe", model.alias, after.replacement_id)
            unmet = [
                replica.proxy.number
                for replica in self._aisix.replicas(model.environment)
                if replica.is_listed and answer not in [(c.caller, c.alias, c.key_id) for c in replica.proxy.calls]
            ]
            self.demand(not unmet, "what is proved was asked on every listed replica", f"{after.id} {unmet}")

    @property
    def _can_be_told(self) -> bool:
        """Whether every listed replica shows whose requests it has counted."""
        return self._aisix.switches.status_urls and self._aisix.switches.metric_labels in ("real", "full")

    def nothing_left(self, over: Rotation) -> None:
        """Demand that a rotation that is over has left nothing behind, unless a person ended it at a stop."""
        if over.state is State.CANCELLED and over.stop:
            return
        begin, told = throwaway_prefix(over.id), f"{over.id} {over.state}"
        mine = [m for m in self._aisix.models.values() if m.display_name.startswith(begin)]
        models = [m.display_name for m in mine if m.provider_key_id in over.made]
        self.demand(not models, "no throw-away model is left at the end", f"{told}: {models}")
        kept = {over.replacement_id} if over.state is State.COMPLETED else set()
        left = [key.id for key in self._keys_of(over.id) if key.id not in kept and not self._users(key.id)]
        unused = [id_ for id_ in left if f"`{id_}`" not in " ".join(over.left_alone)]
        self.demand(not unused, "no replacement is left at the end", f"{told}: {unused}")
        gone = over.plan.old_key.id not in self._aisix.provider_keys
        self.demand(gone or not (kept or over.deleted_at), "what is said to be deleted is gone", told)

    # --- requests ---

    def asked_gateway(self, actor: Actor | None, replica: Replica, path: str, body: bytes) -> None:
        if actor and actor.is_worker and path.startswith("/v1/") and body:
            alias = str(json.loads(body).get("model"))
            self._probed[actor.rotation, replica.environment.id, alias] = self._switchboard.turns

    def asked(self, actor: Actor | None, method: str, path: str, body: bytes) -> None:
        if actor is None:
            return
        if actor.is_worker:
            other = self._at_work.get(actor.rotation)
            alone = other in (None, actor) or other.over or other.killed or other.was_frozen or actor.was_frozen
            self.demand(alone, "one worker at a time", actor.rotation)
            self._at_work[actor.rotation] = actor
        if method == "GET":
            actor.listed[path] = self._switchboard.turns, self._switchboard.now
        self._judge(actor, method, path.strip("/").split("/"), json.loads(body or b"{}"))

    def _judge(self, actor: Actor, method: str, path: list[str], body: dict[str, Any]) -> None:
        match (method, *path):
            case ("DELETE", "provider_keys", key_id) if key_id in self._aisix.provider_keys:
                self._deleting(actor, self._aisix.provider_keys[key_id])
            case ("POST", _, _, "models"):
                name = body["display_name"]
                self.demand(name.startswith("keyturn-"), "only throw-away models are made", name)
            case ("PATCH", _, _, "models", model_id) if model_id in self._aisix.models:
                self._pointing(actor, self._aisix.models[model_id], body)
            case ("DELETE", _, _, "models", model_id) if model_id in self._aisix.models:
                name = self._aisix.models[model_id].display_name
                self.demand(name.startswith("keyturn-"), "only throw-away models are deleted", name)
            case _:
                pass  # no other change has a law

    def _deleting(self, actor: Actor, key: ProviderKey) -> None:
        record, told = self.records[actor.rotation], key.display_name
        for environment in self._aisix.store.environments.keys() - actor.lacked.get("/environments", frozenset()):
            lists = ("/environments", "/provider_keys", f"/environments/{environment}/models")
            looks = [actor.listed.get(path, (-1, 0.0)) for path in lists]
            self.demand(looks[-1][0] > actor.loaded, "a key is looked up before it is deleted", f"{told} {environment}")
            age = self._switchboard.now - min(at for _, at in looks)
            fresh = age <= FRESH + LEASE or key.id != record.plan.old_key.id
            self.demand(fresh, "the old key is deleted on fresh lists", f"{record.id}: {age:.1f} s")
        seen = [row.display_name for row in self._users(key.id) if self._was_to_be_seen(actor, row)]
        self.demand(not seen, "a referenced key is never deleted", f"{told} is used by {seen}")
        if key.id == record.plan.old_key.id:
            self._ending_the_old(actor, record)
        else:
            mine = key.id in record.made or key.display_name in record.names
            self.demand(mine, "only a rotation's own keys are deleted", told)

    def _was_to_be_seen(self, actor: Actor, row: Any) -> bool:
        """Whether *row* was bound when its environment was listed last, and listed: no more than that can be known."""
        path = f"/environments/{row.environment_id}/{row.table}"
        return self._bound[row.id][1] < actor.listed.get(path, (-1, 0))[0] and row.id not in actor.lacked.get(path, ())

    def _ending_the_old(self, actor: Actor, record: Rotation) -> None:
        told, approvers = f"{record.id} {record.approvals}", {a.by for a in record.approvals}
        law = "the old key is deleted by the worker that has the lease"
        self.demand(self.holder(record.id) is actor, law, f"{record.id}, {self.holder(record.id)}")
        asked = [(m.label, self._probed.get((record.id, m.environment, m.alias), -1)) for m in record.plan.models]
        unasked = [label for label, turn in asked if turn <= self._approved.get(record.id, 0)]
        self.demand(not unasked, "every model is asked again after the approval", f"{record.id} {unasked}")
        self._nobody_is_left(record)
        again = all(actor.vouched.get(who, -1) > actor.loaded for who in approvers)
        self.demand(again, "every approver is looked up again before the old key is deleted", told)
        self.demand(record.state is State.RUNNING, "the old key is deleted on the way forward", told)
        enough = len(approvers) >= record.approvals_required
        self.demand(enough, "nothing is deleted without enough approvals", told)
        as_shown = all(a.digest == record.digest for a in record.approvals)
        self.demand(as_shown, "what is deleted is what was approved", told)

    def _nobody_is_left(self, record: Rotation) -> None:
        """Demand that no replica which can be seen serves the old key; count where one that cannot does by luck."""
        bound = any(model.provider_key_id == record.plan.old_key.id for model in self._aisix.models.values())
        if not self._can_be_told or bound:  # somebody has just bound a model to it: AISIX refuses the delete
            return
        environments = {model.environment for model in record.plan.models}
        replicas = [replica for environment in environments for replica in self._aisix.replicas(environment)]
        stale = [replica for replica in replicas if not replica.down and _is_stale(replica, record)]
        told = [f"{replica.environment.name} {replica.proxy.number}" for replica in stale]
        listed = any(replica.is_listed for replica in stale)
        self.demand(not listed, "no listed replica serves the old key when it goes", f"{record.id} {told}")
        unmet = any(not r.is_listed and record.callers.get(r.environment.id) for r in stale)  # else nothing is proved
        self.lucky += unmet
        if unmet:
            self._switchboard.note(f"UNMET: {told} serve the old key")

    def _pointing(self, actor: Actor, model: Any, body: dict[str, Any]) -> None:
        record = self.records[actor.rotation]
        own = {record.plan.old_key.id, *record.made}
        told = f"{model.display_name}: {model.provider_key_id} -> {body}"
        self.demand(model.id in {m.id for m in record.plan.models}, "only planned models are moved", told)
        foreign = model.provider_key_id not in own and self._was_to_be_seen(actor, model)
        self.demand(not foreign, "a model that was taken over is left alone", told)
        self.demand(body["provider_key_id"] in own, "models are moved among a rotation's keys", told)

    def done(self, actor: Actor | None, method: str, path: str, status: int) -> None:
        if (method, path) == ("POST", "/provider_keys") and status in (200, 201) and actor:
            made = self.records[actor.rotation].attempt, actor.rotation
            self._creations[made] += 1
            self.demand(self._creations[made] == 1, "a replacement is made once", str(made))
            alive = [key.display_name for key in self._keys_of(actor.rotation) if not self._users(key.id)]
            self.demand(len(alive) <= 1, "one replacement at a time", f"{actor.rotation}: {alive}")

    def _keys_of(self, rotation_id: str) -> list[ProviderKey]:
        found = ((key, tag_of(key.display_name)) for key in self._aisix.provider_keys.values())
        return [key for key, tag in found if tag and tag.rotation == rotation_id]

    def _users(self, key_id: str) -> list[Any]:
        rows = [*self._aisix.models.values(), *self._aisix.store.passthrough_routes.values()]
        return [row for row in rows if row.provider_key_id == key_id]


def _is_stale(replica: Replica, record: Rotation) -> bool:
    """Tell whether a replica serves a planned model with the old key."""
    models = replica.projection.snapshot.tables["models"]
    planned = [m.id for m in record.plan.models if m.environment == replica.environment.id]
    return any(models.get(id_, {}).get("provider_key_id") == record.plan.old_key.id for id_ in planned)


def _has_in_hand(record: Rotation) -> bool:
    """From its request on; one that is completed keeps what it has deleted: there is nothing left to rotate."""
    return record.state is State.COMPLETED or not record.is_over
