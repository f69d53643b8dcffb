"""Show the sandbox's AISIX: keys, models and replicas, and the callers' results."""

from string import ascii_uppercase
from typing import Any

from sandbox.aisix import Aisix, Environment, Model, ProviderKey, Replica
from sandbox.page.traffic import Traffic

Json = dict[str, Any]

VIRTUAL = ("routing", "semantic", "ensemble")
THROWAWAY = "keyturn-"


class Gateways:
    """Shows an AISIX; a key keeps its letter for as long as the page shows it anywhere."""

    def __init__(self, aisix: Aisix, traffic: Traffic) -> None:
        self._aisix, self._traffic = aisix, traffic
        self._marks: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def items(self) -> dict[str, Any]:
        """Return everything shown, as items by key."""
        self._assign_letters()
        seconds = [self._second(*each) for each in self._traffic.seconds]
        return {
            "keys": [self._key(key) for key in self._shown()],
            "environments": [self._environment(each) for each in self._aisix.store.environments.values()],
            "traffic": {"seconds": seconds, "totals": self._traffic.totals()},
            "gateways": self._aisix.kind,
        }

    def _assign_letters(self) -> None:
        """Give every new key a letter, and free the letters that are no longer shown."""
        keys: dict[str, ProviderKey] = self._aisix.provider_keys
        left = {*self._shown(), *(key for second in self._traffic.seconds for key in second.served)}
        self._marks = {key: mark for key, mark in self._marks.items() if key in left}
        self._names |= {key.id: key.display_name for key in keys.values()}
        for key in [key for key in keys if key not in self._marks]:
            self._marks[key] = next((each for each in ascii_uppercase if each not in self._marks.values()), "Z")

    def _shown(self) -> list[str]:
        """Return the existing keys, and deleted ones that models still refer to."""
        used = {model.provider_key_id for model in self._aisix.models.values()}
        return [key for key in self._marks if key in self._aisix.provider_keys or key in used]

    def mark(self, key_id: str | None) -> str:
        """Return the letter of a key; empty for no key, or an unknown one."""
        return self._marks.get(key_id or "", "")

    def _key(self, key_id: str) -> Json:
        gone = key_id not in self._aisix.provider_keys
        return {"id": key_id, "name": self._names[key_id], "mark": self.mark(key_id), "gone": gone}

    def _environment(self, environment: Environment) -> Json:
        replicas = self._aisix.replicas(environment.id)
        models = sorted(self._aisix.store.models_of(environment.id), key=_order)
        return {
            "name": environment.name,
            "revision": environment.log[-1].revision if environment.log else 0,
            "replicas": [_replica(each) for each in replicas],
            "models": [self._model(model, replicas) for model in models],
        }

    def _model(self, model: Model, replicas: list[Replica]) -> Json:
        own = {
            "alias": model.display_name,
            "kind": model.kind,
            "throwaway": model.display_name.startswith(THROWAWAY),
            "upstream": model.fields.get("model_name"),
        }
        if model.kind in VIRTUAL:
            return own | {"reaches": self._reached(model)}
        return own | {
            "mark": self.mark(model.provider_key_id),
            "at": {name(each): self.mark(_held(each, model)) for each in replicas},
        }

    def _reached(self, model: Model) -> list[str]:
        """Return the names of the models that a virtual one refers to, in its order."""
        found = [self._aisix.models[each].display_name for each in _strings(model.fields) if each in self._aisix.models]
        return list(dict.fromkeys(found))

    def _second(self, served: dict[str, int], failed: int) -> Json:
        return {"served": {self.mark(key): count for key, count in served.items()}, "failed": failed}


def name(replica: Replica) -> str:
    """Return a replica's name for people."""
    return f"replica {replica.proxy.number + 1}"


def _replica(replica: Replica) -> Json:
    snapshot = replica.projection.snapshot
    return {
        "name": name(replica),
        "state": _state(replica),
        "revision": snapshot.revision,
        "hash": snapshot.config_hash[:6],
    }


def _state(replica: Replica) -> str:
    if replica.down:
        return "down"
    if replica.cut_off:
        return "cut off"
    if replica.projection.rejected:
        return "rejects a row"
    return "in sync" if replica.up_to_date else "behind"


def _held(replica: Replica, model: Model) -> str | None:
    """Return the key with which the replica would serve *model*."""
    row = replica.projection.snapshot.tables["models"].get(model.id)
    return row.get("provider_key_id") if row else None


def _order(model: Model) -> tuple[bool, bool, str]:
    return model.display_name.startswith(THROWAWAY), model.kind in VIRTUAL, model.display_name


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for part in parts for found in _strings(part)]
