"""What may never happen, whatever anybody does. Every write is held against it at the moment of its effect."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bot.belongings import tag_of, throwaway_prefix
from bot.rotation import TERMINAL, TRANSITIONS, Rotation, State
from sandbox.aisix import Aisix, Event, ProviderKey
from tests.simulation.clockwork import ACTOR, Actor, Switchboard

CHANGES = frozenset({"POST", "PATCH", "DELETE"})


class Broken(AssertionError):
    """A law was broken."""


class Laws:
    """Keeps what it needs to judge, and the breaches it has seen."""

    def __init__(self, aisix: Aisix, switchboard: Switchboard) -> None:
        self._aisix, self._switchboard = aisix, switchboard
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

    # --- records ---

    def read(self) -> None:
        """Somebody read a record."""
        actor = ACTOR.get()
        if actor:
            actor.loaded = self._switchboard.turns

    def saved(self, text: str) -> None:
        """Somebody wrote a record."""
        self.read()
        after = Rotation.model_validate_json(text)
        before = self.records.get(after.id)
        if before == after:
            return  # sent twice
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
        """Demand that a rotation that is over has left nothing behind."""
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

    # --- the control plane ---

    def asked(self, actor: Actor | None, method: str, path: str, body: bytes) -> None:
        """Judge a request before it takes effect."""
        if actor and actor.is_worker:
            self._alone(actor)
        if actor and method == "GET":
            actor.listed[path] = self._switchboard.turns
        if method in CHANGES:
            self._judge(actor, method, path.strip("/").split("/"), json.loads(body or b"{}"))

    def _alone(self, actor: Actor) -> None:
        other = self._at_work.get(actor.rotation)
        alone = other in (None, actor) or other.over or other.killed
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

    def _deleting(self, actor: Actor | None, key_id: str) -> None:
        key = self._aisix.provider_keys.get(key_id)
        if actor is None or key is None:
            return
        law = "a key is looked up before it is deleted"
        for environment in self._aisix.store.environments:
            listed = actor.listed.get(f"/environments/{environment}/models", -1)
            self._demand(listed > actor.loaded, law, f"{key.display_name}, {environment}")
        seen = [row.display_name for row in self._users(key_id) if self._was_to_be_seen(actor, row)]
        self._demand(not seen, "a referenced key is never deleted", f"{key.display_name} is used by {seen}")
        record = self.records[actor.rotation]
        if key_id == record.plan.old_key.id:
            self._ending_the_old(actor, record)
        else:
            mine = key_id in record.made or key.display_name in record.names
            self._demand(mine, "only a rotation's own keys are deleted", key.display_name)

    def _was_to_be_seen(self, actor: Actor, row: Any) -> bool:
        """Whether *row* was bound when its environment was listed last: later, nobody can know."""
        listed = actor.listed.get(f"/environments/{row.environment_id}/{row.table}", -1)
        return self._bound[row.id][1] < listed

    def _ending_the_old(self, actor: Actor, record: Rotation) -> None:
        told = f"{record.id} {record.approvals}"
        again = all(actor.vouched.get(a.by, -1) > actor.loaded for a in record.approvals)
        self._demand(again, "every approver is looked up again before the old key is deleted", told)
        self._demand(record.state is State.RUNNING, "the old key is deleted on the way forward", told)
        enough = len({a.by for a in record.approvals}) >= record.approvals_required
        self._demand(enough, "nothing is deleted without enough approvals", told)
        as_shown = all(a.digest == record.digest for a in record.approvals)
        self._demand(as_shown, "what is deleted is what was approved", told)

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


def _has_in_hand(record: Rotation) -> bool:
    """From its request on; one that is completed keeps what it has deleted: there is nothing left to rotate."""
    return record.state is State.COMPLETED or not record.is_over


def _names(keys: list[ProviderKey]) -> list[str]:
    return [key.display_name for key in keys]


def _named(record: Rotation | None) -> str:
    return f"v{record.version} {record.state}" if record else "nothing"


def _why(record: Rotation) -> str:
    return f"{record.stop.headline}: {record.stop.sentence}" if record.stop else record.note or ""
