"""Every answer of the real service that no public text settles, as a switch."""

from dataclasses import dataclass
from typing import Literal

BEFORE_THE_FIX = "0.4.2"
"""The last gateways that use a minted token on after its key has changed."""

UNSTAMPED = "0.3.0"


@dataclass
class Switches:
    """How this AISIX behaves, also while it runs. The defaults are the nastiest plausible answers."""

    list_envelope: Literal["array", "data", "items", "list", "payload"] = "data"
    """Where the rows stand; sister products answer with a `list`, or with a `payload` that holds one."""

    paging: Literal["none", "cursor", "page", "headers", "range", "after", "offset", "silent", "from zero"] = "none"
    """How a list goes on. `headers`: `X-Total-Count` and `X-Next-Page`; `range`: `Content-Range`; `after`: the id of
    the last row; `offset`, `silent` and `from zero` (with `page`) say nothing at all."""

    page_size: int = 50
    create_status: Literal[200, 201] = 201
    create_answer: Literal["top", "data", "provider_key", "value", "payload"] = "top"
    """Where the created row, and so its id, is found in the answer; `provider_key` is the kind of the row."""

    delete_status: Literal[200, 204] = 204
    validation_status: Literal[400, 422] = 422
    error_envelope: Literal["error", "error_msg", "message"] = "error"
    single_get: Literal["ok", 404, 405] = "ok"
    latency: float = 0.0
    """Seconds added to every control plane call."""

    duplicate_display_name: Literal["409", "allow"] = "allow"
    patch_api_key: Literal["ignore", "reject"] = "ignore"
    delete_referenced: Literal["allow", "409"] = "allow"
    key_not_allowed: Literal["refuse", "accept"] = "refuse"
    """What becomes of a model that is pointed to a key its environment may not use."""

    provider_mismatch: Literal["accept", "refuse"] = "accept"
    model_create: bool = True
    has_passthrough_routes: bool = True
    has_cache_policies: bool = True
    has_budgets: bool = True
    base_url_field: Literal["api_base", "base_url"] = "api_base"
    references: Literal["id", "name"] = "id"
    """How a model names other models."""

    model_key_reference: Literal["provider_key_id", "provider_key"] = "provider_key_id"
    """`provider_key`: a model shows its key's display name, and no id."""

    embedding_kind: Literal["embedding", "direct"] = "embedding"
    """What an embedding model calls itself; its `embedding` block is there either way."""

    extra_key_fields: bool = False
    """A key carries a field that no fact sheet knows of and that a create refuses."""

    raw_bodies: bool = False
    """Recorded calls keep `api_key` as it was sent."""

    status_urls: bool = True
    """Whether `settings()` tells the status addresses of the replicas."""

    status_urls_told: int | None = None
    """Of how many replicas an environment's status addresses are told; None: of all."""

    status_addresses: Literal["own", "shared", "foreign", "nowhere"] = "own"
    """What is told as a replica's address: its own, one that takes turns between the replicas, for the last of them
    one of another environment's replica, or one where nobody listens."""

    tell_replicas: bool | None = None
    """Whether `settings()` tells how many replicas there are; None: where it tells no status addresses."""

    balancing: Literal["requests", "chance", "connections", "cookies"] = "requests"
    """`chance`: a die is cast for each request; `connections`: all requests of a connection go to the replica that the
    first of them went to; `cookies`: all of a caller that sends back the cookie it was given."""

    metric_labels: Literal["real", "names", "full", "no_key"] = "real"
    """What the counters tell: what real gateways do, that without the caller's key, with ids of models as well, or what
    is left where an operator has taken the provider key out."""

    hidden_families: frozenset[str] = frozenset()
    """Families that the counters' page does not have: another version's, or an operator's choice."""

    lazy_counters: bool = True
    """A counter is on the page from its first request on, not before."""

    degraded_after: float = 10.0
    """Seconds after which a gateway whose source is closed calls itself degraded, no longer synced."""

    managed: bool = False
    """Whether the gateways have their configuration from the cloud, and not from an etcd of their own."""

    rejected_rows: Literal["ids", "store_key"] = "ids"
    """How a rejected row is named: by its kind and id, or by its key in the store alone."""

    gateway_version: str = "0.10.0"
    """Before 0.4.0 there is no `/status/config`; before 0.5.0 no `/status/models`, and tokens are cached too long."""

    stamped: bool = True
    """Whether the version that a gateway tells is its own: a build that was not stamped says 0.3.0 whatever it is."""

    token_cache_bug: bool = False
    """As before v0.5.0, which is then the version: a token minted for a model is used on, whatever key it has since."""

    cache_ignores_no_cache: bool = False
    limit_window: float = 60.0
    """Seconds for which a caller key's limit counts."""

    cooldown: float = 30.0
    upstream_timeout: float = 1.0
    """Seconds a gateway waits for its upstream; the real 60 would be too long to watch."""

    @property
    def version(self) -> str:
        return BEFORE_THE_FIX if self.token_cache_bug else self.gateway_version

    @property
    def server(self) -> str:
        """What the gateways call themselves."""
        return f"AISIX/{self.version if self.stamped else UNSTAMPED}"

    def since(self, *version: int) -> bool:
        """Whether the gateways are of *version* or later."""
        return tuple(int(part) for part in self.version.split(".")) >= version
