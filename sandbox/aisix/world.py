"""The state of a sandbox AISIX, and helpers that change it as people in a dashboard would."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any, TypeVar

from sandbox.aisix.building import fields_of
from sandbox.aisix.dispatch import Dispatcher
from sandbox.aisix.pulse import Pulse
from sandbox.aisix.replica import Replica
from sandbox.aisix.rows import Budget, CachePolicy, Model, PassthroughRoute, ProviderKey, Row, new_id
from sandbox.aisix.store import CallerKey, Environment, Store
from sandbox.aisix.switches import Switches
from sandbox.aisix.upstream import Upstream

R = TypeVar("R", bound=Row)

THROW_AWAY = "keyturn-*"
"""Aliases that applications may not use."""


class World:
    """Environments with their gateways, and the rows of the control plane.

    Helpers write directly to the store; with `settled`, every connected replica gets the change at once.
    """

    def __init__(self, switches: Switches, environments: Mapping[str, int], ids: Mapping[str, str]) -> None:
        self.switches, self.pulse, self.upstream = switches, Pulse(), Upstream()
        self.store = Store([Environment(name, ids.get(name) or new_id()) for name in environments], self.pulse)
        self._replicas = {
            environment.id: [self._replica(number, environment) for number in range(environments[environment.name])]
            for environment in self.store.environments.values()
        }
        for environment in self.store.environments.values():
            _hand_out_caller_keys(environment)
        self.pulse.listen(lambda event: self._wake() if event.kind == "row" else None)

    def place_replica(self, environment: str) -> Replica:
        """Add a replica with the current configuration to an environment, unlisted in the settings."""
        here = self.environment(environment)
        replica = self._replica(len(self._replicas[here.id]), here)
        replica.is_listed = False
        self._replicas[here.id].append(replica)
        replica.catch_up()
        return replica

    def _replica(self, number: int, environment: Environment) -> Replica:
        return Replica(number, environment, Dispatcher(self.upstream, self.switches), self.pulse)

    @property
    def provider_keys(self) -> dict[str, ProviderKey]:
        return self.store.provider_keys

    @property
    def models(self) -> dict[str, Model]:
        return self.store.models

    def environment(self, name: str) -> Environment:
        """Find an environment by its name or id."""
        found = self.store.environments.get(name)
        return found or next(env for env in self.store.environments.values() if env.name == name)

    def replicas(self, environment: str) -> list[Replica]:
        return self._replicas[self.environment(environment).id]

    def all_replicas(self) -> list[Replica]:
        return [replica for replicas in self._replicas.values() for replica in replicas]

    def caller_key(self, environment: str) -> str:
        """Return the probes' caller key, which may use every alias."""
        return self.caller(environment, "probe").token

    def app_caller_key(self, environment: str) -> str:
        """Return the applications' caller key, which may use every alias except throw-away ones."""
        return self.caller(environment, "app").token

    def caller(self, environment: str, name: str) -> CallerKey:
        """Find a caller key: `probe` or `app`."""
        callers = self.environment(environment).callers.values()
        return next(caller for caller in callers if caller.name == name)

    def add_key(
        self,
        display_name: str,
        *,
        secret: str,
        provider: str = "openai",
        environments: list[str] | None = None,
        **settings: Any,
    ) -> ProviderKey:
        """Add a key, by default for all environments; the provider accepts its secret unless it was told otherwise."""
        settled = settings.pop("settled", True)
        names = [env.name for env in self.store.environments.values()] if environments is None else environments
        fields = {
            "display_name": display_name,
            "provider": provider,
            "api_key": secret,
            "allowed_environments": [self.environment(name).id for name in names],
        }
        if not self.upstream.knows(secret):
            self.upstream.accept(secret)
        return self._add(ProviderKey(fields | settings), settled=settled)

    def add_model(
        self,
        environment: str,
        display_name: str,
        *,
        kind: str = "direct",
        settled: bool = True,
        **settings: Any,
    ) -> Model:
        """Add a model with `key` and `upstream`, or with the models that a virtual one refers to, and any other field.

        `kind="rerank"` is a direct model whose provider answers only rerank requests.
        """
        here = self.environment(environment)
        if kind in ("rerank", "embedding"):
            self.upstream.kinds[settings.setdefault("upstream", f"{kind}-1")] = kind
        if kind == "rerank":
            kind, here.probes[display_name] = "direct", "rerank"
        if "*" in display_name:
            settings.setdefault("upstream", "*")
            here.probes.setdefault(display_name, display_name.replace("*", "gpt-4o-mini"))
        fields = {"display_name": display_name} | fields_of(kind, settings)
        return self._add(Model(fields, environment_id=here.id), settled=settled)

    def add_passthrough(
        self, environment: str, name: str, *, key: ProviderKey, settled: bool = True
    ) -> PassthroughRoute:
        fields = {"display_name": name, "path": f"/passthrough/{name}", "provider_key_id": key.id}
        return self._add(PassthroughRoute(fields, environment_id=self.environment(environment).id), settled=settled)

    def add_cache_policy(
        self, environment: str, name: str, *, embedding_model: Model, settled: bool = True
    ) -> CachePolicy:
        fields = {"display_name": name, "semantic": {"embedding_model": embedding_model.id}}
        return self._add(CachePolicy(fields, environment_id=self.environment(environment).id), settled=settled)

    def add_budget(self, name: str, *, key: ProviderKey, limit: float = 100.0) -> Budget:
        fields = {"display_name": name, "scope": "provider_key", "provider_key_id": key.id, "limit": limit}
        return self._add(Budget(fields), settled=True)

    def add_foreign_row(self, environment: str, kind: str = "brand_new_kind", row_id: str = "x") -> None:
        """Add a row of a kind that the gateways do not know, as a newer control plane would."""
        self.store.add_foreign(kind, row_id, self.environment(environment).id)
        self.settle()

    def edit(self, row: Row, *, settled: bool = False, **changes: Any) -> None:
        """Edit a row as a person would; `key=` points a model at another key."""
        if "key" in changes:
            changes["provider_key_id"] = changes.pop("key").id
        self.store.edit(row, changes)
        self._settle(settled=settled)

    def remove(self, row: Row, *, settled: bool = False) -> None:
        """Delete a row as a person would."""
        self.store.remove(row)
        self._settle(settled=settled)

    def served_with(self, key: Row | str, environment: str | None = None) -> int:
        """Return how many attempts the gateways really made with a key, whatever their counters show."""
        key_id = key if isinstance(key, str) else key.id
        replicas = self.replicas(environment) if environment else self.all_replicas()
        return sum(replica.served_with(key_id) for replica in replicas)

    def projected(self) -> bool:
        """Tell whether every connected replica has processed every change."""
        return all(replica.up_to_date for replica in self.all_replicas() if replica.follows)

    def settle(self) -> None:
        """Let every connected replica take all changes now."""
        for replica in self.all_replicas():
            replica.catch_up()

    def _add(self, row: R, *, settled: bool) -> R:
        self.store.add(row)
        self._settle(settled=settled)
        return row

    def _settle(self, *, settled: bool) -> None:
        if settled:
            self.settle()

    def _wake(self) -> None:
        for replica in self.all_replicas():
            replica.wake()


def _hand_out_caller_keys(environment: Environment) -> None:
    for name, denied in (("probe", []), ("app", [THROW_AWAY])):
        token = f"ck-{name}-{token_hex(12)}"
        environment.callers[token] = CallerKey(token, name, ["*"], denied)
