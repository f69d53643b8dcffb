"""Applications at work: between any two calls of the bot they ask models, by a caller key that is not the bot's."""

import json

import httpx

from sandbox.aisix import Aisix
from sandbox.aisix.store import CallerKey
from tests.simulation.clockwork import Switchboard

LIMITED = "limited"
"""A caller key whose requests the gateways turn away."""


class Callers:
    """Decides who asks what, and where it goes."""

    def __init__(self, switchboard: Switchboard, aisix: Aisix) -> None:
        self._random, self._aisix = switchboard.random, aisix
        self.at_work = False

    def begin(self) -> None:
        """Go to work: some are limited, and in some environments the same question is answered from a cache."""
        self.at_work = True
        for environment in self._aisix.store.environments.values():
            environment.callers["ck-limited"] = CallerKey("ck-limited", LIMITED, ["*"], ["keyturn-*"], limit=0)
            environment.cache = self._random.random() < 0.5

    def ask(self) -> list[httpx.Request]:
        """Return what they ask at this moment."""
        return [self._request() for _ in range(self._random.choice((0, 0, 1, 2)))] if self.at_work else []

    def _request(self) -> httpx.Request:
        environment = self._random.choice(list(self._aisix.store.environments.values()))
        routes = [r for r in self._aisix.store.passthrough_routes.values() if r.environment_id == environment.id]
        aliases = sorted({model.display_name for model in self._aisix.store.models_of(environment.id)})
        alias = self._random.choice([alias for alias in aliases if not alias.startswith("keyturn-")] or ["nothing"])
        limited = self._random.random() < 0.2
        token = "ck-limited" if limited else self._aisix.app_caller_key(environment.id)
        path = "/v1/chat/completions"
        if routes and self._random.random() < 0.3:
            path = f"{self._random.choice(routes).fields['path']}/v1/chat/completions"
        asked = {"model": alias, "messages": [{"role": "user", "content": "the same as always"}]}
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return httpx.Request("POST", f"http://{environment.name}{path}", headers=headers, content=json.dumps(asked))
