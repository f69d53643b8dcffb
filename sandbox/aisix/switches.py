"""Switches for every undocumented behaviour of the real service."""

from dataclasses import dataclass
from typing import Literal

BEFORE_THE_FIX = "0.4.2"
"""The last version that keeps using a minted token after its key has changed."""


@dataclass
class Switches:
    """How this AISIX behaves; can be changed while it runs. The defaults are the nastiest plausible behaviour."""

    list_envelope: Literal["array", "data", "items", "list", "payload"] = "data"
    """Where the rows are; sister products answer with a `list`, or with a `payload` that contains one."""

    paging: Literal["none", "cursor", "page", "headers", "range", "after", "offset", "silent", "from zero"] = "none"
    """How a list is paged. `headers`: `X-Total-Count` and `X-Next-Page`; `range`: `Content-Range`; `after`: the id of
    the last row; `offset`, `silent` and `from zero` (with `page`) say nothing at all."""

    page_size: int = 50
    create_status: Literal[200, 201] = 201
    create_answer: Literal["top", "data", "provider_key", "value", "payload"] = "top"
    """Where the answer has the created row with its id; `provider_key` means a field named by the row's kind."""

    delete_status: Literal[200, 204] = 204
    validation_status: Literal[400, 422] = 422
    error_envelope: Literal["error", "error_msg", "message"] = "error"
    single_get: Literal["ok", 404, 405] = "ok"
    latency: float = 0.0
    """Seconds added to every control plane call."""

    duplicate_display_name: Literal["409", "allow"] = "allow"
    delete_referenced: Literal["allow", "409"] = "allow"
    model_create: bool = True
    has_passthrough_routes: bool = True
    has_cache_policies: bool = True
    has_budgets: bool = True
    base_url_field: Literal["api_base", "base_url"] = "api_base"
    references: Literal["id", "name"] = "id"
    """How a model names other models."""

    model_key_reference: Literal["provider_key_id", "provider_key"] = "provider_key_id"
    """`provider_key`: a model shows its key's display name, and no id."""

    extra_key_fields: bool = False
    """Keys have an undocumented field that a create refuses."""

    raw_bodies: bool = False
    """Recorded calls keep the `api_key` unmasked."""

    status_urls: bool = True
    """Whether `settings()` contains the replicas' status addresses."""

    status_urls_told: int | None = None
    """How many status addresses `settings()` lists per environment; None: all."""

    status_addresses: Literal["own", "shared"] = "own"
    """The status addresses in `settings()`: each replica's own, or one balanced address for all."""

    tell_replicas: bool | None = None
    """Whether `settings()` contains the number of replicas; None: only without status addresses."""

    balancing: Literal["requests", "chance", "connections", "cookies"] = "requests"
    """`chance`: random for each request; `connections`: all requests of a connection go to the same replica; `cookies`:
    all requests of a caller that sends the cookie back do."""

    metric_labels: Literal["real", "names", "full", "no_key"] = "real"
    """Labels of the counters: `real` as real gateways have them, `names` without the callers' labels, `full` with ids
    of models too, `no_key` as if an operator had removed the provider key."""

    hidden_families: frozenset[str] = frozenset()
    """Metric families that the page lacks, as with another version or by an operator's choice."""

    rejected_rows: Literal["ids", "store_key"] = "ids"
    """How a rejected row is named: by its kind and id, or only by its key in the store."""

    gateway_version: str = "0.10.0"
    """Before 0.4.0 there is no `/status/config`; before 0.5.0 no `/status/models`, and tokens are cached too long."""

    token_cache_bug: bool = False
    """Behave as before v0.5.0, and report such a version: a model's token is reused after a change of its key."""

    cache_ignores_no_cache: bool = False
    limit_window: float = 60.0
    """The window of a caller key's limit, in seconds."""

    cooldown: float = 30.0
    upstream_timeout: float = 1.0
    """Seconds that a gateway waits for its upstream; the real 60 s would be too long for tests."""

    @property
    def version(self) -> str:
        return BEFORE_THE_FIX if self.token_cache_bug else self.gateway_version

    @property
    def server(self) -> str:
        """The gateways' `Server` header."""
        return f"AISIX/{self.version}"

    def since(self, *version: int) -> bool:
        """Tell whether the gateways have *version* or a later one."""
        return tuple(int(part) for part in self.version.split(".")) >= version
