"""The closed schema: it refuses an unknown field by name before anything is stored."""

from collections.abc import Mapping
from typing import Any

from sandbox.aisix.bridge import ADAPTERS
from sandbox.aisix.switches import Switches

NUMBER = (int, float)

PROVIDER_KEY: dict[str, Any] = {
    "provider": str,
    "display_name": str,
    "api_key": str,
    "allowed_environments": [str],
    "api_base": str,
    "adapter": ADAPTERS,
    "request": {
        "param_renames": dict,
        "param_constraints": {"temperature_min": NUMBER, "temperature_max": NUMBER},
        "default_headers": dict,
        "forward_client_headers": [str],
        "default_body_fields": dict,
    },
    "response": {
        "stream_done_marker": frozenset({"required", "optional", "none"}),
        "content_list_to_string": bool,
        "error_envelope": (str, dict),
        "reasoning_field": str,
    },
    "strip_headers": [str],
    "tls": {"ca_cert": str, "verify": bool},
}

COMMON: dict[str, Any] = {"display_name": str, "kind": str, "rate_limit": dict, "allowed_cidrs": [str]}

DIRECT = COMMON | {
    "provider": str,
    "model_name": str,
    "provider_key_id": str,
    "timeout": NUMBER,
    "stream_timeout": NUMBER,
    "retries": int,
    "background_model_check": dict,
    "cooldown": dict,
    "auto_prompt_caching": (bool, dict),
}

ROUTING = {
    "strategy": frozenset(
        {
            "round_robin",
            "consistent_hash",
            "failover",
            "least_cost",
            "least_latency",
            "least_busy",
            "weighted",
        }
    ),
    "targets": [{"model": str, "weight": int, "priority": int, "tags": [str]}],
    "retries": int,
    "max_fallbacks": int,
    "retry_on_429": bool,
    "fallback_on_statuses": [int],
    "when_all_unavailable": frozenset({"fail", "try_anyway"}),
    "hash_on": str,
}

SEMANTIC = {
    "embedding_model": str,
    "routes": [{"name": str, "target": str, "examples": [str]}],
    "default": str,
    "match": {"threshold": NUMBER},
    "embedding_timeout_ms": int,
    "on_embedding_failure": (str, dict),
}

ENSEMBLE = {
    "panel": [{"model": str}],
    "judge": {"model": str},
    "min_responses": int,
    "timeout_ms": int,
}

EMBEDDING = {"embedding": {"dimensions": int, "normalize": bool}}

MODEL = {
    "direct": DIRECT | EMBEDDING,
    "embedding": DIRECT | EMBEDDING,
    "routing": COMMON | {"routing": ROUTING},
    "semantic": COMMON | {"semantic": SEMANTIC},
    "ensemble": COMMON | {"ensemble": ENSEMBLE},
}

REQUIRED_OF_KEY = ("provider", "display_name", "api_key")
REQUIRED_OF_MODEL = {
    "direct": ("display_name", "provider", "model_name", "provider_key_id"),
    "embedding": ("display_name", "provider", "model_name", "provider_key_id"),
    "routing": ("display_name", "routing"),
    "semantic": ("display_name", "semantic"),
    "ensemble": ("display_name", "ensemble"),
}


class Invalid(Exception):
    """The body does not match the schema; the message names the field."""


def provider_key(switches: Switches) -> dict[str, Any]:
    """Return the schema of a key, with this tenant's name for the base URL."""
    renamed = {switches.base_url_field if name == "api_base" else name: kind for name, kind in PROVIDER_KEY.items()}
    return dict(renamed)


def require(body: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if body.get(name) in (None, "", [], {}):
            raise Invalid(f"field '{name}' is required")


def check(body: Mapping[str, Any], schema: Mapping[str, Any], where: str = "") -> None:
    """Refuse *body* unless each field is known and has its type."""
    for name, value in body.items():
        if name not in schema:
            raise Invalid(f"unknown field '{where}{name}'")
        _check_value(value, schema[name], f"{where}{name}")


def _check_value(value: Any, kind: Any, name: str) -> None:
    match kind:
        case frozenset():
            fits = isinstance(value, str) and value in kind
        case dict():
            fits = isinstance(value, dict)
        case list():
            fits = isinstance(value, list)
        case _:
            fits = isinstance(value, kind)
    if not fits:
        raise Invalid(f"field '{name}' has a wrong value")
    _check_inside(value, kind, name)


def _check_inside(value: Any, kind: Any, name: str) -> None:
    if isinstance(kind, dict):
        check(value, kind, f"{name}.")
    elif isinstance(kind, list):
        for item in value:
            _check_value(item, kind[0], f"{name}[]")
