"""Build the fields of a model from the arguments of the set-up helpers."""

from collections.abc import Sequence
from typing import Any

from sandbox.aisix.rows import Fields, Model, ProviderKey

Settings = dict[str, Any]

ROUTING = (
    "strategy",
    "max_fallbacks",
    "retry_on_429",
    "fallback_on_statuses",
    "retries",
)

UPSTREAMS = {
    "amazon-bedrock": "anthropic.claude-3-5-haiku-20241022-v1:0",
    "anthropic": "claude-3-5-haiku-latest",
    "google-vertex": "gemini-2.0-flash",
}
"""The default upstream model of each provider."""


def fields_of(kind: str, settings: Settings) -> Fields:
    """Return the fields of a model of *kind*; settings outside the kind's own block stay at the top."""
    build = {"routing": _routing, "semantic": _semantic, "ensemble": _ensemble}.get(kind, _direct)
    block = build(kind, settings)
    return {"kind": kind, **block, **settings}


def _direct(kind: str, settings: Settings) -> Fields:
    key: ProviderKey = settings.pop("key")
    fields = {
        "provider": key.provider,
        "model_name": settings.pop("upstream", UPSTREAMS.get(key.provider, "gpt-4o")),
        "provider_key_id": key.id,
    }
    return fields | ({"embedding": {"dimensions": 3}} if kind == "embedding" else {})


def _routing(_: str, settings: Settings) -> Fields:
    targets = [{"model": model.id} for model in _models(settings.pop("targets"))]
    chosen = {name: settings.pop(name) for name in ROUTING if name in settings}
    return {"routing": {"strategy": "round_robin", "targets": targets, **chosen}}


def _semantic(_: str, settings: Settings) -> Fields:
    routes = [{"name": model.display_name, "target": model.id} for model in _models(settings.pop("routes"))]
    block = {
        "embedding_model": settings.pop("embedding_model").id,
        "routes": routes,
        "default": settings.pop("default").id,
        "match": {"threshold": 0.7},
    }
    policy = settings.pop("on_embedding_failure", None)
    target = {"target": policy.id} if isinstance(policy, Model) else policy
    return {"semantic": block | ({"on_embedding_failure": target} if target else {})}


def _ensemble(_: str, settings: Settings) -> Fields:
    panel = [{"model": model.id} for model in _models(settings.pop("panel"))]
    block = {"panel": panel, "judge": {"model": settings.pop("judge").id}}
    chosen = {name: settings.pop(name) for name in ("min_responses", "timeout_ms") if name in settings}
    return {"ensemble": block | chosen}


def _models(models: Model | Sequence[Model]) -> Sequence[Model]:
    return [models] if isinstance(models, Model) else models
