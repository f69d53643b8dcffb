"""Serve the Cloud Admin API over HTTP."""

from aiohttp import web

from sandbox.aisix import envelopes
from sandbox.aisix.gate import Gate, Handler
from sandbox.aisix.pulse import Pulse
from sandbox.aisix.resources import NotThere, Resources
from sandbox.aisix.rows import Fields, Model, ProviderKey
from sandbox.aisix.schema import Invalid
from sandbox.aisix.store import Environment, Store
from sandbox.aisix.switches import Switches
from sandbox.aisix.views import Views


class ControlPlane:
    """The API's routes; they read and write the store."""

    def __init__(self, store: Store, switches: Switches, pulse: Pulse) -> None:
        self._store, self._switches = store, switches
        self._resources, self._views = Resources(store, switches), Views(store, switches)
        self.gate = Gate(switches, pulse)

    def app(self) -> web.Application:
        app = web.Application(middlewares=self.gate.middlewares())
        for method, path, handler in self._routes():
            app.router.add_route(method, f"/api{path}", handler)
        return app

    def _routes(self) -> list[tuple[str, str, Handler]]:
        key, environment = "/provider_keys/{id}", "/environments/{environment}"
        model = f"{environment}/models/{{id}}"
        return [
            ("GET", "/environments", self.list_environments),
            ("GET", "/budgets", self.list_budgets),
            ("GET", "/provider_keys", self.list_keys),
            ("POST", "/provider_keys", self.create_key),
            ("GET", key, self.read_key),
            ("PATCH", key, self.edit_key),
            ("DELETE", key, self.delete_key),
            ("GET", f"{environment}/models", self.list_models),
            ("POST", f"{environment}/models", self.create_model),
            ("GET", model, self.read_model),
            ("PATCH", model, self.edit_model),
            ("DELETE", model, self.delete_model),
            ("GET", f"{environment}/passthrough_routes", self.list_routes),
            ("GET", f"{environment}/cache_policies", self.list_policies),
        ]

    async def list_environments(self, request: web.Request) -> web.Response:
        shown = [environment for environment in self._store.environments.values() if environment.is_visible]
        rows = [self._views.environment(environment) for environment in shown]
        return envelopes.listing(request, rows, self._switches)

    async def list_budgets(self, request: web.Request) -> web.Response:
        self._offered(offered=self._switches.has_budgets)
        return self._listing(request, "budgets")

    async def list_keys(self, request: web.Request) -> web.Response:
        return self._listing(request, "provider_keys")

    async def create_key(self, request: web.Request) -> web.Response:
        key = self._resources.create_key(await _object(request))
        return envelopes.created(self._views.row(key), key.singular, self._switches)

    async def read_key(self, request: web.Request) -> web.Response:
        self._single()
        return web.json_response(self._views.row(self._key(request)))

    async def edit_key(self, request: web.Request) -> web.Response:
        key = self._key(request)
        self._resources.edit_key(key, await _object(request))
        return web.json_response(self._views.row(key))

    async def delete_key(self, request: web.Request) -> web.Response:
        self._resources.delete_key(self._key(request))
        return envelopes.deleted(self._switches)

    async def list_models(self, request: web.Request) -> web.Response:
        return self._listing(request, "models", self._environment(request))

    async def create_model(self, request: web.Request) -> web.Response:
        model = self._resources.create_model(self._environment(request), await _object(request))
        return envelopes.created(self._views.row(model), model.singular, self._switches)

    async def read_model(self, request: web.Request) -> web.Response:
        self._single()
        return web.json_response(self._views.row(self._model(request)))

    async def edit_model(self, request: web.Request) -> web.Response:
        model = self._model(request)
        self._resources.edit_model(self._environment(request), model, await _object(request))
        return web.json_response(self._views.row(model))

    async def delete_model(self, request: web.Request) -> web.Response:
        self._resources.delete(self._model(request))
        return envelopes.deleted(self._switches)

    async def list_routes(self, request: web.Request) -> web.Response:
        self._offered(offered=self._switches.has_passthrough_routes)
        return self._listing(request, "passthrough_routes", self._environment(request))

    async def list_policies(self, request: web.Request) -> web.Response:
        self._offered(offered=self._switches.has_cache_policies)
        return self._listing(request, "cache_policies", self._environment(request))

    def _listing(self, request: web.Request, table: str, environment: Environment | None = None) -> web.Response:
        rows = self._store.table(table).values()
        chosen = [row for row in rows if environment is None or row.environment_id == environment.id]
        return envelopes.listing(request, [self._views.row(row) for row in chosen], self._switches)

    def _environment(self, request: web.Request) -> Environment:
        return self._resources.environment(request.match_info["environment"])

    def _key(self, request: web.Request) -> ProviderKey:
        key = self._resources.find("provider_keys", request.match_info["id"])
        assert isinstance(key, ProviderKey)
        return key

    def _model(self, request: web.Request) -> Model:
        model = self._resources.find("models", request.match_info["id"], self._environment(request))
        assert isinstance(model, Model)
        return model

    def _offered(self, *, offered: bool) -> None:
        if not offered:
            raise NotThere("not found")

    def _single(self) -> None:
        """Refuse to return a single row, as some tenants can only list."""
        if self._switches.single_get == 404:  # noqa: PLR2004 - the switch names the status
            raise NotThere("not found")
        if self._switches.single_get == 405:  # noqa: PLR2004 - the same
            raise web.HTTPMethodNotAllowed("GET", ["PATCH", "DELETE"])


async def _object(request: web.Request) -> Fields:
    try:
        body = await request.json()
    except ValueError:
        raise Invalid("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Invalid("the body is not an object")
    return body
