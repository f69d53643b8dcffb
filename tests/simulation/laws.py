"""What may never happen, whatever anybody does. Every write is held against it at the moment of its effect."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from bot.rotation.evidence import Verdict
from bot.rotation.finding import Finding
from bot.rotation.naming import tag_of, throwaway_prefix
from bot.rotation.record import Rotation
from bot.rotation.states import TERMINAL, TRANSITIONS, State
from sandbox.aisix import Aisix, Event, ProviderKey
from sandbox.aisix.replica import Replica
from tests.simulation.clockwork import ACTOR, Actor, Switchboard
from tests.simulation.truth import Truth

FRESH, LEASE = 2.0, 2.0
"""Seconds: how old the lists may be when the delete is asked for, and how long it may be on its way."""

UNLISTED = "a replica is not in the settings"
"""What a card says of one."""

CHANGES = frozenset({"POST", "PATCH", "DELETE"})


class Broken(AssertionError):
    """A law was broken."""


class Laws:
    """Keeps what it needs to judge, and the breaches it has seen."""

    def __init__(self, aisix: Aisix, switchboard: Switchboard) -> None:
        self._aisix, self._switchboard = aisix, switchboard
        self.holder: Callable[[str], Actor | None] = lambda _: None
        """Who has a rotation in hand."""

        self.truth = Truth(aisix)
        self.lucky, self.unlucky = 0, 0
        """How often a key went while a replica that nobody has written down served it, and how often that was seen."""

        self.records: dict[str, Rotation] = {}
        self.breaches: list[str] = []
        self.self_approval = False
        self._bound: dict[str, tuple[str | None, int]] = {}
        self._creations: Counter[tuple[int, str]] = Counter()
        self._at_work: dict[str, Actor] = {}
        self.states: Counter[str] = Counter()
        aisix.on_change(self._row_changed)

    def check(self) -> None:
        """Raise the first breach."""
        if self.breaches:
            raise Broken(self.breaches[0])

    def breach(self, law: str, detail: str) -> None:
        """Note that a *law* was broken."""
        self._switchboard.note(f"BROKEN: {law}: {detail}")
        self.breaches.append(f"{law}: {detail}")

    def _demand(self, holds: object, law: str, detail: str) -> None:
        if not holds:
            self.breach(law, detail)

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
        """Somebody read a record."""
        actor = ACTOR.get()
        if actor:
            actor.loaded, actor.heard = self._switchboard.turns, []

    def saved(self, text: str) -> None:
        """Somebody wrote a record."""
        actor = ACTOR.get()
        heard = actor.heard if actor else []
        self.read()
        after = Rotation.model_validate_json(text)
        before = self.records.get(after.id)
        if before == after:
            return  # sent twice
        self.truth.began(after)
        self._what_was_seen(before, after, heard)
        self.records[after.id] = after
        self._switchboard.note(f"  = {after.id} v{after.version} {after.state} {after.done[-1:]} {_why(after)}")
        self.states[after.state] += 1
        for law, holds in self._of_a_change(before, after):
            self._demand(holds, law, f"{after.id} {_named(before)} -> {_named(after)} {_why(after)}")
        self._approvals(before, after)
        rivals = [r.id for r in self.records.values() if _has_in_hand(r) and r.plan.old_key.id == after.plan.old_key.id]
        self._demand(len(rivals) <= 1, "one rotation has a key in hand", str(rivals))
        if after.is_over:
            self.nothing_left(after)

    def _of_a_change(self, before: Rotation | None, after: Rotation) -> Iterator[tuple[str, object]]:
        yield "versions follow one another", after.version == (before.version if before else 0) + 1
        yield "a rotation begins waiting for its secret", before or after.state is State.AWAITING_SECRET
        if before:
            yield "a terminal rotation never moves", before.state not in TERMINAL
            allowed = {before.state, *TRANSITIONS[before.state]}
            yield "every move is one of the table", after.state in allowed
        yield "a block has a sentence", after.state is not State.BLOCKED or (after.stop and after.stop.sentence)
        yield "no fault in Keyturn", not (after.stop and after.stop.headline == "a fault in Keyturn")

    def _approvals(self, before: Rotation | None, after: Rotation) -> None:
        actor = ACTOR.get()
        known = before.approvals if before else ()
        for approval in (a for a in after.approvals if a not in known):
            told = f"{after.id} by {approval.by}"
            mine = actor is not None and actor.name == "approve" and actor.who == approval.by
            self._demand(mine, "an approval is an approver's click", told)
            self._demand(
                approval.by != after.requested_by or self.self_approval, "the requester does not approve", told
            )
            self._demand(actor and approval.by in actor.vouched, "only an approver approves", told)
            seen = actor is not None and approval.digest.startswith(actor.shown)
            self._demand(seen, "an approval is of what was shown", told)
        if len(after.approvals) > len(known):
            others = {a.by for a in after.approvals} - {actor.who if actor else ""}
            self._demand(actor and others <= actor.vouched.keys(), "every approval stands at the last one", after.id)

    def nothing_left(self, over: Rotation) -> None:
        """Demand that a rotation that is over has left nothing behind, unless a person ended it at a stop."""
        if over.state is State.CANCELLED and over.stop:
            return
        begin = throwaway_prefix(over.id)
        mine = [m for m in self._aisix.models.values() if m.display_name.startswith(begin)]
        models = [m.display_name for m in mine if m.provider_key_id in over.made]
        self._demand(not models, "no throw-away model is left at the end", f"{over.id} {over.state}: {models}")
        kept = {over.replacement_id} if over.state is State.COMPLETED else set()
        left = [key for key in self._keys_of(over.id) if key.id not in kept]
        said = " ".join(over.left_alone)
        unused = [key.id for key in left if not self._users(key.id) and f"`{key.id}`" not in said]
        self._demand(not unused, "no replacement is left at the end", f"{over.id} {over.state}: {unused}")
        if over.state is State.COMPLETED:
            gone = over.plan.old_key.id not in self._aisix.provider_keys
            self._demand(gone, "a completed rotation has deleted the old key", over.id)

    # --- the gateways ---

    def asked_gateway(self, actor: Actor | None, replica: Replica, path: str, body: bytes) -> None:
        """Note what a replica was asked by the bot, and what it did in truth."""
        if actor is None or not actor.is_worker:
            return
        if path == "/metrics":
            self.truth.looked_at(actor.rotation, replica)
        elif path.startswith("/v1/") and body:
            self.truth.probed(actor.rotation, replica, _asked_for(body), self._switchboard.turns)

    def answered(self, actor: Actor | None, replica: Replica | None, body: bytes, status: int) -> None:
        """Note an answer that came to the bot, if it is one with the old key by a replica that nobody has listed."""
        record = self.records.get(actor.rotation) if actor else None
        if actor is None or record is None or replica is None or replica.is_listed or status != 200 or not body:
            return
        told_apart = record.callers.get(replica.environment.id)  # else nothing is called proved, and the card says why
        if told_apart and self.truth.is_stale(replica, record, _asked_for(body)):
            actor.heard.append(f"{replica.environment.name} {_asked_for(body)}")

    def _what_was_seen(self, before: Rotation | None, after: Rotation, heard: list[str]) -> None:
        """Judge what a record says now by what its writer was told, and by what is true."""
        told = [*(self.truth.heard.get(after.id, []) if before and before.look else []), *heard]
        self.truth.heard[after.id] = told if after.look else []
        self._note_people(before, after)
        if after.deleted_at and not (before and before.deleted_at):
            gone = after.plan.old_key.id not in self._aisix.provider_keys
            self._demand(gone, "what is said to be deleted is gone", after.id)
        if before and self._can_be_told:
            self._as_counted(before, after, told)

    def _note_people(self, before: Rotation | None, after: Rotation) -> None:
        """Note when people were asked, when they approved, and what they were told of replicas."""
        if after.state is State.AWAITING_APPROVAL and before and before.state is not State.AWAITING_APPROVAL:
            self.truth.offered(after.id)
        if len(after.approvals) > len(before.approvals if before else ()):
            self.truth.approved[after.id] = self._switchboard.turns
        stop = after.stop if before and after.stop != before.stop else None
        self.unlucky += stop is not None and stop.headline == UNLISTED

    def _as_counted(self, before: Rotation, after: Rotation, told: list[str]) -> None:
        """Demand that counters were believed for what they show, and for no more."""
        if "recheck" in after.done and "recheck" not in before.done and not before.delete_asked_at:
            self._demand(not told, "an answer of an unlisted replica is not passed over", f"{after.id}: {told}")
            late = self.truth.served_since_the_offer(after.id, self._planned(after))
            self._demand(not late, "requests on the old key after the offer are heard", f"{after.id}: {late}")
        had = {id_ for id_, finding in before.findings.items() if finding.verdict}
        for id_ in (id_ for id_, finding in after.findings.items() if id_ not in had and _is_proved(finding)):
            apart = [after.callers.get(m.environment) for m in after.plan.models if m.id == id_]
            self._demand(all(apart), "what is proved was told apart from callers' requests", f"{after.id} {id_}")
            unmet = self.truth.unmet(after, id_)
            self._demand(not unmet, "what is proved was asked on every listed replica", f"{after.id} {id_}: {unmet}")

    @property
    def _can_be_told(self) -> bool:
        """Whether every listed replica shows whose requests it has counted."""
        return self._aisix.switches.status_urls and self._aisix.switches.metric_labels in ("real", "full")

    def _planned(self, record: Rotation) -> set[str]:
        return {model.environment for model in record.plan.models}

    # --- the control plane ---

    def asked(self, actor: Actor | None, method: str, path: str, body: bytes) -> None:
        """Judge a request before it takes effect."""
        if actor and actor.is_worker:
            self._alone(actor)
        if actor and method == "GET":
            actor.listed[path], actor.listed_at[path] = self._switchboard.turns, self._switchboard.now
        if method in CHANGES:
            self._judge(actor, method, path.strip("/").split("/"), json.loads(body or b"{}"))

    def _alone(self, actor: Actor) -> None:
        other = self._at_work.get(actor.rotation)
        alone = other in (None, actor) or other.over or other.killed or other.was_frozen or actor.was_frozen
        self._demand(alone, "one worker at a time", actor.rotation)
        self._at_work[actor.rotation] = actor

    def _judge(self, actor: Actor | None, method: str, path: list[str], body: dict[str, Any]) -> None:
        match (method, *path):
            case ("DELETE", "provider_keys", key_id):
                self._deleting(actor, key_id)
            case ("POST", _, _, "models"):
                self._demand(
                    body["display_name"].startswith("keyturn-"), "only throw-away models are made", body["display_name"]
                )
            case ("PATCH", _, environment, "models", model_id):
                self._pointing(actor, environment, model_id, body)
            case ("DELETE", _, _, "models", model_id):
                model = self._aisix.models.get(model_id)
                name = model.display_name if model else ""
                self._demand(not model or name.startswith("keyturn-"), "only throw-away models are deleted", name)
            case _:
                pass  # no other change has a law

    def _deleting(self, actor: Actor | None, key_id: str) -> None:
        key = self._aisix.provider_keys.get(key_id)
        if actor is None or key is None:
            return
        law = "a key is looked up before it is deleted"
        for environment in self._aisix.store.environments.keys() - actor.lacked.get("/environments", frozenset()):
            listed = actor.listed.get(f"/environments/{environment}/models", -1)
            self._demand(listed > actor.loaded, law, f"{key.display_name}, {environment}")
            self._end_of_the_old_is_fresh(actor, key_id, environment)
        seen = [row.display_name for row in self._users(key_id) if self._was_to_be_seen(actor, row)]
        self._demand(not seen, "a referenced key is never deleted", f"{key.display_name} is used by {seen}")
        record = self.records[actor.rotation]
        if key_id == record.plan.old_key.id:
            self._ending_the_old(actor, record)
        else:
            mine = key_id in record.made or key.display_name in record.names
            self._demand(mine, "only a rotation's own keys are deleted", key.display_name)

    def _end_of_the_old_is_fresh(self, actor: Actor, key_id: str, environment: str) -> None:
        record = self.records[actor.rotation]
        lists = ("/environments", "/provider_keys", f"/environments/{environment}/models")
        age = self._switchboard.now - min(actor.listed_at.get(path, 0) for path in lists)
        fresh = age <= FRESH + LEASE or key_id != record.plan.old_key.id
        self._demand(fresh, "the old key is deleted on fresh lists", f"{record.id}: {age:.1f} s")

    def _was_to_be_seen(self, actor: Actor, row: Any) -> bool:
        """Whether *row* was bound when its environment was listed last, and listed: no more than that can be known."""
        path = f"/environments/{row.environment_id}/{row.table}"
        return self._bound[row.id][1] < actor.listed.get(path, -1) and row.id not in actor.lacked.get(path, ())

    def _ending_the_old(self, actor: Actor, record: Rotation) -> None:
        told = f"{record.id} {record.approvals}"
        law = "the old key is deleted by the worker that has the lease"
        self._demand(self.holder(record.id) is actor, law, f"{record.id}, {self.holder(record.id)}")
        approved = self.truth.approved.get(record.id, 0)
        unasked = [model.label for model in record.plan.models if self.truth.asked(record.id, model) <= approved]
        self._demand(not unasked, "every model is asked again after the approval", f"{record.id} {unasked}")
        self._nobody_is_left(record)
        again = all(actor.vouched.get(a.by, -1) > actor.loaded for a in record.approvals)
        self._demand(again, "every approver is looked up again before the old key is deleted", told)
        self._demand(record.state is State.RUNNING, "the old key is deleted on the way forward", told)
        enough = len({a.by for a in record.approvals}) >= record.approvals_required
        self._demand(enough, "nothing is deleted without enough approvals", told)
        as_shown = all(a.digest == record.digest for a in record.approvals)
        self._demand(as_shown, "what is deleted is what was approved", told)

    def _nobody_is_left(self, record: Rotation) -> None:
        """Demand that no replica which can be seen serves the old key; count where one that cannot does by luck."""
        if not self._can_be_told:
            return
        stale = [r for r in self.truth.replicas(self._planned(record)) if not r.down and self.truth.is_stale(r, record)]
        seen = [f"{replica.environment.name} {replica.proxy.number}" for replica in stale if replica.is_listed]
        self._demand(not seen, "no listed replica serves the old key when it goes", f"{record.id} {seen}")
        unmet = [r for r in stale if not r.is_listed and record.callers.get(r.environment.id)]  # else nothing is proved
        self.lucky += bool(unmet)
        for replica in unmet:
            self._switchboard.note(f"UNMET: {replica.environment.name} {replica.proxy.number} serves the old key")

    def _pointing(self, actor: Actor | None, environment: str, model_id: str, body: dict[str, Any]) -> None:
        model = self._aisix.models.get(model_id)
        if actor is None or model is None:
            return
        record = self.records[actor.rotation]
        own = {record.plan.old_key.id, *record.made}
        told = f"{model.display_name}: {model.provider_key_id} -> {body}"
        planned = model_id in {m.id for m in record.plan.models}
        self._demand(planned, "only planned models are moved", told)
        listed = actor.listed.get(f"/environments/{environment}/models", -1)
        foreign = model.provider_key_id not in own and self._bound[model_id][1] < listed
        self._demand(not foreign, "a model that was taken over is left alone", told)
        self._demand(body["provider_key_id"] in own, "models are moved among a rotation's keys", told)

    def done(self, actor: Actor | None, method: str, path: str, status: int) -> None:
        """Judge what a request has done."""
        if (method, path) == ("POST", "/provider_keys") and status in (200, 201) and actor:
            made = self.records[actor.rotation].attempt, actor.rotation
            self._creations[made] += 1
            self._demand(self._creations[made] == 1, "a replacement is made once", str(made))
            alive = [key for key in self._keys_of(actor.rotation) if not self._users(key.id)]
            self._demand(len(alive) <= 1, "one replacement at a time", f"{actor.rotation}: {_names(alive)}")

    def _keys_of(self, rotation_id: str) -> list[ProviderKey]:
        found = ((key, tag_of(key.display_name)) for key in self._aisix.provider_keys.values())
        return [key for key, tag in found if tag and tag.rotation == rotation_id]

    def _users(self, key_id: str) -> list[Any]:
        rows = [*self._aisix.models.values(), *self._aisix.store.passthrough_routes.values()]
        return [row for row in rows if row.provider_key_id == key_id]


def _asked_for(body: bytes) -> str:
    return str(json.loads(body).get("model"))


def _is_proved(finding: Finding) -> bool:
    return finding.verdict is not None and finding.verdict.verdict is Verdict.PROVED


def _has_in_hand(record: Rotation) -> bool:
    """From its request on; one that is completed keeps what it has deleted: there is nothing left to rotate."""
    return record.state is State.COMPLETED or not record.is_over


def _names(keys: list[ProviderKey]) -> list[str]:
    return [key.display_name for key in keys]


def _named(record: Rotation | None) -> str:
    return f"v{record.version} {record.state}" if record else "nothing"


def _why(record: Rotation) -> str:
    return f"{record.stop.headline}: {record.stop.sentence}" if record.stop else record.note or ""
