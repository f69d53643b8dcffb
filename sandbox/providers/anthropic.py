"""Anthropic's Admin API: API keys can be listed, set inactive, active and archived, not made; and the usage report."""

import string
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from random import SystemRandom
from secrets import token_hex

from aiohttp import web

from sandbox.providers.account import Credential, Refusal, Status
from sandbox.providers.server import Json, ProviderServer, body_of, limit_of, page, rfc

WORKSPACE = "wrkspc_sandbox"
ALPHABET = string.ascii_letters + string.digits + "-_"
STATES: dict[Status, str] = {"active": "active", "disabled": "inactive", "gone": "archived"}
KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}


class Anthropic(ProviderServer):
    """One organisation with one workspace; `by_hand` makes a key, as its Console does."""

    title, prefix, admin_prefix = "Anthropic", "/v1", "sk-ant-admin01-"
    unknown_key = "invalid x-api-key"

    def routes(self) -> Iterable[web.RouteDef]:
        on = self.administered
        return (
            on("GET", "/organizations/api_keys", self._keys),
            on("GET", "/organizations/api_keys/{id}", lambda request: self._shown(self._key(request))),
            on("POST", "/organizations/api_keys/{id}", self._update),
            on("GET", "/organizations/usage_report/messages", self._usage),
        )

    def open_routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/v1/models", self._models)]

    def shown_key(self, request: web.Request) -> str:
        """Return the key of its own header, or as its SDK sends it; a call without a version is refused."""
        if "anthropic-version" not in request.headers:
            raise Refusal(400, "anthropic-version: header is required")
        return request.headers.get("x-api-key") or super().shown_key(request)

    def refusal(self, refused: Refusal) -> Json:
        error = {"type": KINDS.get(refused.status, "api_error"), "message": refused.message}
        details = {"details": {"error_code": refused.code}} if refused.code.endswith("exceeded") else {}
        return {"type": "error", "error": {**error, **details}, "request_id": f"req_{token_hex(8)}"}

    def new_id(self) -> str:
        return f"apikey_{token_hex(10)}"

    def new_secret(self) -> str:
        return f"sk-ant-api03-{''.join(SystemRandom().choices(ALPHABET, k=93))}AA"

    def hint(self, credential: Credential) -> str:
        return f"{credential.secret[:16]}...{credential.secret[-4:]}"

    async def _models(self, request: web.Request) -> web.Response:
        self.own(request)
        model = {"type": "model", "id": "claude-sonnet-4-5", "display_name": "Claude", "lifecycle": "active"}
        model |= {"created_at": rfc(0)}
        return web.json_response({"data": [model], "first_id": model["id"], "last_id": model["id"], "has_more": False})

    def _key(self, request: web.Request) -> Credential:
        return self.named(request, also_gone=True)

    def _keys(self, request: web.Request) -> Json:
        status = request.query.get("status")
        if status not in (None, "active", "inactive", "archived", "expired"):
            raise Refusal(400, "status: active, inactive, archived or expired")
        rows = [self._shown(each) for each in self.credentials.values()]
        chosen = [row for row in rows if status in (None, row["status"])]
        return page(chosen, request.query.get("after_id"), limit_of(request, 20, 1000))

    async def _update(self, request: web.Request) -> Json:
        found, body = self._key(request), await body_of(request, ["name", "status"])
        wanted = next((status for status, word in STATES.items() if word == body.get("status")), None)
        if body.get("status") is not None and wanted is None:
            raise Refusal(400, "status: active, inactive or archived")
        if wanted and (found.status == "gone" or (self.is_expired(found) and wanted != "gone")):
            raise Refusal(400, f"An {self._status(found)} API key can't be changed.")
        found.name = body.get("name") or found.name
        if wanted:
            self._set(found, wanted)
        return self._shown(found)

    def _set(self, found: Credential, wanted: Status) -> None:
        try:
            self.become(found, wanted)
        except Refusal as limit:
            raise Refusal(400, limit.message, "workspace_api_key_limit_exceeded") from None

    def _status(self, key: Credential) -> str:
        return "expired" if self.is_expired(key) and key.status != "gone" else STATES[key.status]

    def _shown(self, key: Credential) -> Json:
        return {
            "type": "api_key",
            "id": key.id,
            "name": key.name,
            "status": self._status(key),
            "partial_key_hint": self.hint(key),
            "created_at": rfc(key.created_at),
            "created_by": {"id": "user_sandbox", "type": "user"},
            "expires_at": key.expires_at and rfc(key.expires_at),
            "principal": None,
            "scope": {"type": "workspace", "workspace_id": WORKSPACE},
        }

    def _usage(self, request: web.Request) -> Json:
        begin = datetime.fromisoformat(request.query["starting_at"]).timestamp()
        starts, seconds = self.buckets(request, int(begin))
        asked = request.query.getall("api_key_ids[]", [])
        by_key = "api_key_id" in request.query.getall("group_by[]", [])
        each, after = self.counted(seconds, asked), self.next_page(starts, seconds)
        uses = each if by_key else {"": sum(each.values(), Counter[int]())}
        data = [
            {
                "starting_at": rfc(at),
                "ending_at": rfc(at + seconds),
                "results": [_result(key_id or None, counts[at]) for key_id, counts in uses.items() if counts[at]],
            }
            for at in starts
        ]
        return {"data": data, "has_more": after is not None, "next_page": after}


def _result(key_id: str | None, count: int) -> Json:
    """Return what was used, as the documentation of the report shows it."""
    tokens = {"uncached_input_tokens": 5 * count, "cache_read_input_tokens": 0, "output_tokens": count}
    cache = {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0}
    groups = {"api_key_id": key_id, "workspace_id": None, "model": None, "service_tier": None, "context_window": None}
    return {**tokens, "cache_creation": cache, "server_tool_use": {"web_search_requests": 0}, **groups}
