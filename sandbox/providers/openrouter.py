"""OpenRouter's keys: made, listed, disabled, enabled and deleted by its API, each with its last use."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from secrets import token_hex

from aiohttp import web

from sandbox.providers.account import Credential, Refusal
from sandbox.providers.server import Json, ProviderServer, body_of, rfc

DEFAULT = "workspace-default"
PAGE = 100
SETTINGS = ("limit", "limit_reset", "include_byok_in_limit", "creator_user_id")
EACH_USE = 0.001
"""Dollars."""


class OpenRouter(ProviderServer):
    """One account with several workspaces; a list shows one of them."""

    title, prefix, admin_prefix = "OpenRouter", "/api/v1", "sk-or-v1-"
    unknown_key = "User not found."

    def routes(self) -> Iterable[web.RouteDef]:
        on = self.administered
        return (
            on("GET", "/keys", self._keys),
            on("POST", "/keys", self._create),
            on("GET", "/keys/{id}", lambda request: {"data": self._shown(self.named(request))}),
            on("PATCH", "/keys/{id}", self._update),
            on("DELETE", "/keys/{id}", self._delete),
        )

    def open_routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/api/v1/key", self._current)]

    def refusal(self, refused: Refusal) -> Json:
        return {"error": {"code": refused.status, "message": refused.message}}

    def new_id(self) -> str:
        return sha256(token_hex(16).encode()).hexdigest()

    def new_secret(self) -> str:
        return f"sk-or-v1-{token_hex(32)}"

    def hint(self, credential: Credential) -> str:
        return f"{credential.secret[:12]}...{credential.secret[-4:]}"

    def by_hand(self, name: str, secret: str = "", owner: str = DEFAULT) -> Credential:
        return super().by_hand(name, secret, owner)

    def _keys(self, request: web.Request) -> Json:
        asked, hides = request.query, self.switches.lists_hide
        workspace = asked.get("workspace_id", DEFAULT)
        rows = [
            each
            for each in reversed(self.listed())
            if (each.owner == workspace or ("workspace_id" not in asked and not hides))
            and (each.status == "active" or asked.get("include_disabled") == "true" or not hides)
            and (not self.is_expired(each) or asked.get("include_expired") == "true")
        ]
        begin = int(asked.get("offset", "0"))
        return {"data": [self._shown(each) for each in rows[begin : begin + PAGE]]}

    async def _create(self, request: web.Request) -> web.Response | tuple[Json, int]:
        body = await body_of(request, [*SETTINGS, "expires_at", "workspace_id", "external"], ["name"])
        self.check_name(body["name"], [each.name for each in self.listed()])
        until = datetime.fromisoformat(body["expires_at"]).timestamp() if body.get("expires_at") else None
        lasts = None if until is None else until - self.now()
        made = self.make(body["name"], owner=body.get("workspace_id") or DEFAULT, expires_in=lasts)
        made.settings = {name: body[name] for name in SETTINGS if name in body}
        return {"key": made.secret, "data": self._shown(made)}, 201

    async def _update(self, request: web.Request) -> Json:
        found = self.named(request)
        body = await body_of(request, ["name", "disabled", "workspace_id", *SETTINGS])
        found.name, found.owner = body.get("name", found.name), body.get("workspace_id", found.owner)
        found.settings |= {name: body[name] for name in SETTINGS if name in body}
        if "disabled" in body:
            self.become(found, "disabled" if body["disabled"] else "active")
        return {"data": self._shown(found)}

    def _delete(self, request: web.Request) -> Json:
        self.become(self.named(request), "gone")
        return {"deleted": True}

    async def _current(self, request: web.Request) -> web.Response:
        if self.shown_key(request) == self.admin_key:
            raise Refusal(401, "A management key can't do this.")
        key = self.own(request)
        said = {name: value for name, value in self._shown(key).items() if name in OF_ITSELF}
        return web.json_response({"data": {**said, **UNLIMITED}})

    def _shown(self, key: Credential) -> Json:
        used, limit = self.last_used(key), key.settings.get("limit")
        spent = EACH_USE * len(self.shown_uses(key))
        periods = ("", "_daily", "_weekly", "_monthly")
        return {
            "hash": key.id,
            "name": key.name,
            "label": self.hint(key),
            "disabled": key.status == "disabled",
            "created_at": rfc(key.created_at),
            "updated_at": rfc(key.ended_at) if key.ended_at else None,
            "last_used_at": None if used is None else rfc(used),
            "expires_at": None if key.expires_at is None else rfc(key.expires_at),
            "workspace_id": key.owner,
            "limit": limit,
            "limit_remaining": limit - spent if isinstance(limit, int | float) else None,
            "limit_reset": key.settings.get("limit_reset"),
            "include_byok_in_limit": bool(key.settings.get("include_byok_in_limit")),
            "creator_user_id": key.settings.get("creator_user_id"),
            "external_user": None,
            **{f"usage{period}": spent for period in periods},
            **{f"byok_usage{period}": 0 for period in periods},
        }


OF_ITSELF = frozenset({
    "label", "limit", "limit_remaining", "limit_reset", "include_byok_in_limit", "creator_user_id", "workspace_id",
    "expires_at", "usage", "usage_daily", "usage_weekly", "usage_monthly", "byok_usage", "byok_usage_daily",
    "byok_usage_weekly", "byok_usage_monthly",
})  # fmt: skip
"""What a key may read of its own row."""

UNLIMITED: Json = {
    "allowed_data_regions": ["global"],
    "budgets": [],
    "effective_budget": None,
    "free_model_daily_requests": {"limit": 50, "remaining": 50, "used": 0},
    "is_free_tier": False,
    "is_management_key": False,
    "is_provisioning_key": False,
    "organization_id": None,
    "rate_limit": {"interval": "10s", "note": "This field is deprecated.", "requests": -1},
}
"""What else it reads; nothing here limits it."""
