"""OpenAI's admin API: projects, service accounts and their keys, API keys, usage."""

import string
from collections.abc import Callable, Iterable
from random import SystemRandom
from secrets import token_hex

from aiohttp import web

from sandbox.providers.account import Credential, Refusal, Switches
from sandbox.providers.server import Json, ProviderServer, body_of, limit_of, page

PROJECT = "proj_sandbox"
P = "/organization/projects/{project}"
A = f"{P}/service_accounts"
ALPHABET = string.ascii_letters + string.digits


class OpenAI(ProviderServer):
    """One organisation with one project; keys of service accounts can be made, people's keys can't."""

    title, prefix, admin_prefix = "OpenAI", "/v1", "sk-admin-"

    def __init__(
        self, switches: Switches | None = None, *, port: int = 0, now: Callable[[], float] | None = None
    ) -> None:
        super().__init__(switches, port=port, now=now)
        self.accounts: dict[str, Json] = {}
        """Service accounts by id."""

    def routes(self) -> Iterable[web.RouteDef]:
        on = self.administered
        return (
            on("GET", "/organization/projects", self._projects),
            on("GET", A, self._accounts),
            on("POST", A, self._create_account),
            on("GET", f"{A}/{{account}}", self._account),
            on("DELETE", f"{A}/{{account}}", self._delete_account),
            on("POST", f"{A}/{{account}}/api_keys", self._create_key),
            on("GET", f"{P}/api_keys", self._keys),
            on("GET", f"{P}/api_keys/{{id}}", lambda request: self._shown(self._key(request))),
            on("POST", f"{P}/api_keys/{{id}}", self._update),
            on("DELETE", f"{P}/api_keys/{{id}}", self._delete),
            on("GET", "/organization/usage/completions", self._usage),
            on("GET", "/organization/usage/embeddings", self._usage),
        )

    def open_routes(self) -> Iterable[web.RouteDef]:
        return [web.get("/v1/models", self._models)]

    def refusal(self, refused: Refusal) -> Json:
        kind = "invalid_request_error"
        return {"error": {"message": refused.message, "type": kind, "param": None, "code": refused.code or None}}

    def new_secret(self) -> str:
        """Make one as the keys of service accounts look."""
        left, right = ("".join(SystemRandom().choices(ALPHABET, k=58)) for _ in range(2))
        return f"sk-svcacct-{left}T3BlbkFJ{right}"

    async def _models(self, request: web.Request) -> web.Response:
        self.own(request)
        made = {"object": "model", "created": 1_700_000_000, "owned_by": "openai"}
        return web.json_response({"object": "list", "data": [{"id": "gpt-4o", **made}]})

    def _projects(self, request: web.Request) -> Json:
        made = {"object": "organization.project", "created_at": 1_700_000_000, "archived_at": None, "status": "active"}
        return {
            "object": "list",
            **page([{"id": PROJECT, "name": "Sandbox", **made}], None, limit_of(request, 20, 100)),
        }

    # --- service accounts ---

    def _accounts(self, request: web.Request) -> Json:
        self._check_project(request)
        rows = list(self.accounts.values())
        return {"object": "list", **page(rows, request.query.get("after"), limit_of(request, 20, 100))}

    async def _create_account(self, request: web.Request) -> Json:
        self._check_project(request)
        body = await body_of(request, ["create_service_account_only", "expires_in_seconds"], ["name"])
        self.check_name(body["name"], [each["name"] for each in self.accounts.values()])
        is_bare = bool(body.get("create_service_account_only"))
        account = self._new_account(body["name"], "none" if is_bare else "member")
        key = None if is_bare else self._new_key(account, "Secret Key", body.get("expires_in_seconds"))
        self.accounts[account["id"]] = account
        return {**account, "api_key": key}

    def _new_account(self, name: str, role: str) -> Json:
        made = {"object": "organization.project.service_account", "created_at": int(self.now())}
        return {"id": f"user-{token_hex(12)}", "name": name, "role": role, **made}

    async def _create_key(self, request: web.Request) -> Json:
        account = self._account(request)
        body = await body_of(request, ["name", "scopes", "expires_in_seconds"])
        return self._new_key(account, body.get("name") or "Secret Key", body.get("expires_in_seconds"))

    def _new_key(self, account: Json, name: str, lasts: float | None) -> Json:
        made = self.make(name, owner=account["id"], owner_name=account["name"], expires_in=lasts)
        return {
            "object": "organization.project.service_account.api_key",
            "id": made.id,
            "name": name,
            "value": made.secret,
            "created_at": int(made.created_at),
            "expires_at": made.expires_at and int(made.expires_at),
        }

    def _account(self, request: web.Request) -> Json:
        self._check_project(request)
        found = self.accounts.get(request.match_info["account"])
        if found is None:
            raise Refusal(404, "There is no such service account.", "not_found")
        return found

    def _delete_account(self, request: web.Request) -> Json:
        """Delete it with all its keys."""
        account = self._account(request)
        for credential in self.listed():
            if credential.owner == account["id"]:
                self.become(credential, "gone")
        del self.accounts[account["id"]]
        return {"id": account["id"], "object": "organization.project.service_account.deleted", "deleted": True}

    # --- API keys ---

    def _key(self, request: web.Request) -> Credential:
        self._check_project(request)
        return self.named(request)

    def _keys(self, request: web.Request) -> Json:
        self._check_project(request)
        access = request.query.get("owner_project_access")
        if access not in (None, "active", "inactive", "any"):
            raise Refusal(400, "owner_project_access: active, inactive or any.")
        hides = access == "inactive" or (access is None and self.switches.lists_hide)
        rows = [self._shown(each) for each in self.listed() if not (hides and each.owner in self.accounts)]
        return {"object": "list", **page(rows, request.query.get("after"), limit_of(request, 20, 100))}

    async def _update(self, request: web.Request) -> Json:
        found = self._key(request)
        body = await body_of(request, ["scopes", "expires_in_seconds"])
        if not body or None in body.values():
            raise Refusal(400, "Provide scopes or expires_in_seconds; neither may be null.")
        if self.is_expired(found):
            raise Refusal(400, "Expired keys cannot be updated.")
        if "expires_in_seconds" in body:
            found.expires_at = self.now() + body["expires_in_seconds"]
        found.settings |= {"scopes": body["scopes"]} if "scopes" in body else {}
        self.changed()
        return self._shown(found)

    def _delete(self, request: web.Request) -> Json:
        found = self._key(request)
        if found.owner in self.accounts and not self.switches.single_delete:
            raise Refusal(400, "API keys of service accounts can't be deleted; delete the service account.")
        self.become(found, "gone")
        return {"id": found.id, "object": "organization.project.api_key.deleted", "deleted": True}

    def _shown(self, key: Credential) -> Json:
        used = self.last_used(key)
        return {
            "object": "organization.project.api_key",
            "id": key.id,
            "name": key.name,
            "redacted_value": self.hint(key),
            "created_at": int(key.created_at),
            "last_used_at": used and int(used),
            "expires_at": key.expires_at and int(key.expires_at),
            "owner": self._owner(key),
            "owner_project_access": "active",
        }

    def _owner(self, key: Credential) -> Json:
        if account := self.accounts.get(key.owner):
            shown = {name: account[name] for name in ("id", "name", "created_at", "role")}
            return {"type": "service_account", "service_account": shown}
        person = {"id": "user-owner", "name": "Olive Owner", "email": "olive@example.com", "role": "owner"}
        return {"type": "user", "user": {**person, "created_at": 1_700_000_000}}

    def _check_project(self, request: web.Request) -> None:
        if request.match_info["project"] != PROJECT:
            raise Refusal(404, "There is no such project.", "not_found")

    # --- usage ---

    def _usage(self, request: web.Request) -> Json:
        kind = request.path.rsplit("/", 1)[1]
        starts, seconds = self.buckets(request, int(request.query["start_time"]))
        asked = {*request.query.getall("api_key_ids", []), *request.query.getall("api_key_ids[]", [])}
        uses, after = self.counted(seconds, asked, kind), self.next_page(starts, seconds)
        data = [
            {
                "object": "bucket",
                "start_time": at,
                "end_time": at + seconds,
                "results": [_result(key_id, counts[at], kind) for key_id, counts in uses.items() if counts[at]],
            }
            for at in starts
        ]
        return {"object": "page", "data": data, "has_more": after is not None, "next_page": after}


def _result(key_id: str, count: int, kind: str) -> Json:
    out = {"output_tokens": count} if kind == "completions" else {}
    figures = {"input_tokens": 5 * count, "num_model_requests": count, **out}
    grouped = {"project_id": None, "user_id": None, "api_key_id": key_id, "model": None}
    return {"object": f"organization.usage.{kind}.result", **figures, **grouped}
