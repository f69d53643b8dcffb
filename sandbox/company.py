"""A small company with a sandbox AISIX, Slack and OpenAI, for the demo and for `python -m sandbox`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice

from sandbox.aisix import Aisix, Model, ProviderKey
from sandbox.caller import Caller, Callers, Endpoint
from sandbox.providers import OpenAI
from sandbox.providers.openai import PROJECT
from sandbox.slack import Slack

KEY = "OpenAI production"
OLD_SECRET = "sk-sandbox-old-4f1c9a7d2e8b"
GOOD_SECRET = "sk-sandbox-new-b83e05d6a17c"
WRONG_SECRET = "sk-sandbox-old-account-91d0c2"
SECRETS = (OLD_SECRET, GOOD_SECRET, WRONG_SECRET)

DAY = 86400.0
HELD = (("production gateway", OLD_SECRET, 412 * DAY), ("for the replacement", GOOD_SECRET, 0.1 * DAY))
"""What people have made at the provider, and how many seconds ago."""

REPLICAS = {"production": 2, "staging": 1}
LAG = 0.1
"""Seconds until a gateway has a change: long enough to be visible, as with a real one."""

CALLS_PER_SECOND, MOST_CALLS_PER_SECOND = 5.0, 60.0
"""Requests a second for one alias, and for all together: the sandbox and the callers share one process."""

AFFECTED = (
    ("production", "chat-large", "gpt-4o"),
    ("production", "chat-small", "gpt-4o-mini"),
    ("production", "support-embed", "text-embedding-3-small"),
    ("staging", "chat-large", "gpt-4o"),
    ("staging", "support-embed", "text-embedding-3-small"),
)
"""The models on the old key; more of them get numbered names."""

FEWEST = 3
"""The routing alias and the semantic router need the first three."""


@dataclass(frozen=True)
class Company:
    """The company's Slack and AISIX, its account at the provider, and the key to rotate."""

    slack: Slack
    aisix: Aisix
    key: ProviderKey
    models: tuple[Model, ...]
    """The affected models."""

    dependents: tuple[Model, ...]
    """The aliases that reach them."""

    provider: OpenAI
    """Whose credential the key holds."""

    def settings(self) -> dict[str, str]:
        """Return the settings for a bot that uses this Slack, this AISIX and this account at the provider."""
        where = {"url": self.provider.base_url, "project": PROJECT}
        account = {"kind": "openai", "admin_key": self.provider.admin_key, "keys": [f"{KEY}*"], **where}
        own = {"APPROVERS": "S_APPROVERS", "PROVIDERS": json.dumps({"OpenAI": account})}
        return {**self.slack.settings(), **self.aisix.settings(), **own}

    def environment_of(self, model: Model) -> str:
        return self.aisix.environment(model.environment_id).name

    def callers(self) -> Callers:
        """Return an application for every alias that the rotation may affect."""
        aliases = (*self.models, *self.dependents)
        rate = min(CALLS_PER_SECOND, MOST_CALLS_PER_SECOND / len(aliases))
        return Callers(self.caller(model, rate) for model in aliases)

    def caller(self, model: Model, rate: float) -> Caller:
        """Return an application that sends *rate* requests a second for one alias."""
        here, endpoint = model.environment_id, endpoint_of(model)
        return Caller(self.aisix.gateway_url(here), self.aisix.app_caller_key(here), model.display_name, rate, endpoint)


def endpoint_of(model: Model) -> Endpoint:
    return "embeddings" if model.kind == "embedding" else "chat"


@asynccontextmanager
async def company(
    models: int = len(AFFECTED), latency: float = 0.005, aisix: Aisix | None = None
) -> AsyncIterator[Company]:
    """Start the company, with *models* on the key and *latency* more seconds for each control plane call."""
    aisix = aisix or Aisix(environments=REPLICAS)
    aisix.switches.latency = latency
    async with Slack() as slack, OpenAI() as provider, aisix:
        for replica in aisix.all_replicas():
            replica.lag = LAG
        for name, secret, age in HELD:
            provider.by_hand(name, secret).created_at -= age
        aisix.upstream.issuers.append(provider)
        yield furnished(slack, aisix, provider, models)


def furnished(slack: Slack, aisix: Aisix, provider: OpenAI, count: int) -> Company:
    """Fill the control plane with keys and models."""
    key = aisix.add_key(KEY, secret=OLD_SECRET, provider="openai", api_base="https://api.openai.com/v1")
    other = aisix.add_key(
        "Anthropic", secret="sk-ant-sandbox-5520c1", provider="anthropic", environments=["production"]
    )
    models = tuple(_affected(aisix, key, *row) for row in rows(count))
    large, small, embed = models[:FEWEST]
    claude = aisix.add_model("production", "claude", key=other, upstream="claude-sonnet-4-5")
    dependents = (
        aisix.add_model("production", "chat-any", kind="routing", targets=[large, claude]),
        aisix.add_model(
            "production", "support", kind="semantic", embedding_model=embed, routes=[small, claude], default=large
        ),
    )
    return Company(slack, aisix, key, models, dependents, provider)


def _affected(aisix: Aisix, key: ProviderKey, environment: str, alias: str, upstream: str) -> Model:
    kind = "embedding" if "embed" in alias else "direct"
    return aisix.add_model(environment, alias, key=key, kind=kind, upstream=upstream)


def rows(count: int) -> list[tuple[str, str, str]]:
    """Return *count* models to create: first the known ones, then numbered ones, alternating between environments."""
    environments = islice(cycle(REPLICAS), max(0, count - len(AFFECTED)))
    more = [(environment, f"team-{number:03d}", "gpt-4o-mini") for number, environment in enumerate(environments, 1)]
    return [*AFFECTED[:count], *more]
