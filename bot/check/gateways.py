"""Check the control plane, and the gateway and status addresses of every environment."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import partial
from http import HTTPStatus

import httpx

from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways
from bot.aisix.status import StatusPages
from bot.check.findings import Try, Wrong, clock, ok, warn, wrong
from bot.rotation.errors import ApiError
from bot.rotation.inventory import Environment, Inventory, Model
from bot.rotation.phrases import listing
from bot.rotation.plan import affected, plural, probed_elsewhere
from bot.rotation.replica import host_of
from bot.rotation.trust import UNTRUSTED, is_untrusted
from bot.rotation.wildcards import is_wildcard, matches
from bot.settings import Settings
from bot.terminal import Finding

TOKEN_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
Doubt = str


class Product:
    """AISIX as the settings describe it; the control plane is asked once for all tries."""

    def __init__(
        self, settings: Settings, control_plane: ControlPlane, gateways: Gateways, status: StatusPages
    ) -> None:
        self._settings, self._control_plane, self._gateways, self._status = settings, control_plane, gateways, status
        self._asked: asyncio.Future[Inventory] | None = None

    def tries(self) -> Iterator[Try]:
        """Return what can be tried."""
        yield Try("AISIX Cloud", "AISIX_CLOUD_API", self._cloud)
        for environment, gateway in self._settings.aisix_gateways.items():
            yield Try(f"gateway of {environment}", "AISIX_GATEWAYS", partial(self._gateway, environment))
            for url in gateway.status_urls:
                about = f"status address {host_of(url)} of {environment}"
                yield Try(about, "AISIX_GATEWAYS", partial(self._address, environment, url))
            yield Try(f"replicas of {environment}", "AISIX_GATEWAYS", partial(self._replicas, environment))

    async def aclose(self) -> None:
        """Give up what was asked: the clients are about to close."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.gather(self._asked, return_exceptions=True)

    async def inventory(self) -> Inventory:
        """Return what AISIX lists; it is asked once. Raises `ApiError`."""
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._read())
        return await asyncio.shield(self._asked)

    async def _read(self) -> Inventory:
        """Read one list first: many at once would blame whichever of them failed first."""
        await self._control_plane.keys()
        return await self._control_plane.inventory()

    async def _named(self, environment: str) -> str:
        """Return an environment's name, or its id where AISIX Cloud does not tell: another line reports that."""
        try:
            return (await self.inventory()).environment_name(environment)
        except ApiError:
            return environment

    async def _models(self, environment: str) -> tuple[Model, ...]:
        """Return an environment's models; none where AISIX Cloud does not tell."""
        try:
            models = (await self.inventory()).models
        except ApiError:
            return ()
        return tuple(model for model in models if model.environment == environment)

    async def _usable(self, environment: str, listed: frozenset[str], about: str) -> list[Finding]:
        """Warn of a gateway that lists none of its environment's models; routes may be hidden, and wildcards are."""
        aliases = {model.alias for model in await self._models(environment) if model.provider_key}
        if not aliases or any(map(is_wildcard, aliases)) or aliases & listed:
            return []
        said = "it lists none of this environment's models: is it another's, or may the caller key use none of them?"
        return [warn(said, about)]

    async def _probes(self, environment: str, about: str) -> list[Finding]:
        """Name each entry of `probes` that tests another model than its own, and each that is for no model."""
        models = await self._models(environment)
        inventory = await self.inventory() if models else None
        if inventory is None:
            return []
        own = [affected(inventory, model) for model in models if not model.is_virtual]
        led = ((model, probed_elsewhere(model, self._gateways.name(model), models)) for model in own)
        entries = self._settings.aisix_gateways[environment].probes
        return [
            *(wrong(ASTRAY.format(model.alias, other.alias), about) for model, other in led if other),
            *(warn(_unmet(entry, models), about) for entry in entries if not _is_met(entry, models)),
        ]

    async def _cloud(self) -> list[Finding]:
        try:
            inventory = await self.inventory()
        except ApiError as error:
            raise Wrong(self._why_not(error)) from None
        said = (
            f"{plural(len(inventory.environments), 'environment')}, {plural(len(inventory.keys), 'provider key')}, "
            f"{plural(len(inventory.models), 'model')}. The token can read; whether it can write can't be tried "
            "without a change."
        )
        return [
            ok(said),
            *clock(self._control_plane.ahead),
            *self._environments(inventory),
            *(wrong(each, "ENVIRONMENT_ORDER") for each in strangers(self._settings.environment_order, inventory)),
        ]

    def _why_not(self, error: ApiError) -> str:
        if error.status in TOKEN_REFUSED:
            return f"AISIX_ADMIN_TOKEN does not work. {error}"
        address = self._settings.aisix_cloud_api
        if error.status == HTTPStatus.NOT_FOUND and not address.rstrip("/").endswith("/api"):
            return f"AISIX_CLOUD_API does not work. {error} It does not end in /api: try {address.rstrip('/')}/api."
        unreached = f" For {address}: {_helps(error, 'AISIX_CLOUD_API')}" if error.status is None else ""
        return f"AISIX_CLOUD_API does not work. {error}{unreached}"

    def _environments(self, inventory: Inventory) -> Iterator[Finding]:
        models = Counter(model.environment for model in inventory.models)
        for one in inventory.environments:
            yield self._environment(one, plural(models[one.id], "model"), has_models=models[one.id] > 0)

    def _environment(self, one: Environment, models: str, *, has_models: bool) -> Finding:
        about = f"environment {one.name}"
        if one.id in self._settings.aisix_gateways:
            return ok(f"id {one.id}, {models}, a gateway in AISIX_GATEWAYS.", about)
        if not has_models:
            return ok(f"id {one.id}, no models, and no gateway in AISIX_GATEWAYS.", about)
        tell = wrong if self._settings.require_proof else warn
        entry = f'"{one.id}": {{"url": "https://…", "caller_key": "…"}}'
        return tell(f"it has {models} and no gateway, so nothing can test them. Add to AISIX_GATEWAYS: {entry}", about)

    async def _gateway(self, environment: str) -> list[Finding]:
        if doubt := await self._misnamed(environment):
            raise Wrong(doubt)
        about = f"gateway of {await self._named(environment)}"
        try:
            greeting = await self._gateways.greeting(environment)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            url = self._settings.aisix_gateways[environment].url
            return [wrong(f"no answer from {url} ({why(error)}): {_helps(error, 'AISIX_GATEWAYS')}", about)]
        if greeting.status in TOKEN_REFUSED:
            said = f"the caller_key in AISIX_GATEWAYS is refused ({greeting.status}): make a caller key for Keyturn."
            return [wrong(said, about)]
        if greeting.models is None:
            got = "lists no models" if greeting.status == HTTPStatus.OK else f"answers {greeting.status}"
            said = f"GET /v1/models {got}: is the url in AISIX_GATEWAYS that of a gateway?"
            return [wrong(said, about)]
        known = f"the caller key works ({greeting.version or 'no version'}). For the rehearsal it has to be allowed "
        return [
            ok(known + "`keyturn-*` too, which can't be tried here.", about),
            *await self._usable(environment, greeting.models, about),
            *await self._probes(environment, about),
            *_version(greeting.version, about, keeps_tokens=greeting.keeps_tokens),
            *clock(greeting.ahead, about),
        ]

    async def _misnamed(self, environment: str) -> Doubt:
        """Say that AISIX Cloud has no such environment; empty if it has, or does not answer."""
        try:
            inventory = await self.inventory()
        except ApiError:
            return ""
        ids = {each.id: each.name for each in inventory.environments}
        if environment in ids:
            return ""
        meant = next((id_ for id_, name in ids.items() if environment in (name, id_.upper())), "")
        hint = f" {environment} is a name: write its id, {meant}." if meant else ""
        return f"AISIX Cloud has no environment of that id: AISIX_GATEWAYS is keyed by environment id.{hint}"

    async def _address(self, environment: str, url: str) -> list[Finding]:
        about = f"status address {host_of(url)} of {await self._named(environment)}"
        try:
            config, metrics = await self._status.answers(url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return [wrong(f"no answer ({why(error)}): {_helps(error, 'AISIX_GATEWAYS')}", about)]
        if config:
            return [wrong(f"GET /status/config {config}: is that a status address?", about)]
        if metrics:
            return [warn(f"GET /metrics {metrics}: without counters nothing can be proved.", about)]
        return [ok("it answers, with counters.", about)]

    async def _replicas(self, environment: str) -> list[Finding]:
        """Read each status address many times: each must always show the same replica, and no two the same."""
        about = f"replicas of {await self._named(environment)}"
        addresses, proof = self._status.addresses(environment), self._settings.require_proof
        tell = wrong if proof else warn
        if not addresses and proof:
            return [wrong("REQUIRE_PROOF is on, and AISIX_GATEWAYS has no status_urls: nothing can prove them.", about)]
        if not addresses:
            return [warn("there are no status_urls, so no model can be proved: list one for each replica.", about)]
        contradictions = await self._status.contradictions(environment)
        contradictions |= await self._status.foreign(environment, {one.id for one in await self._models(environment)})
        found = [wrong(f"{host_of(url)} {what}.", about) for url, what in contradictions.items()]
        replicas, listed = self._status.replicas(environment), plural(len(addresses), "status address")
        if len(addresses) < replicas:
            found.append(tell(f"{listed} for {plural(replicas, 'replica')}: list one for each.", about))
        elif not self._status.says_how_many(environment):
            found.append(warn(f"`replicas` is not set: {listed} may be fewer than there are replicas.", about))
        return found or [ok(f"{plural(replicas, 'replica')}: {listing(map(host_of, addresses))}.", about)]


def _version(version: str, about: str, *, keeps_tokens: bool) -> Iterator[Finding]:
    if not version:
        yield warn("it does not say its version, so nobody can tell whether Keyturn was tried with it.", about)
    elif keeps_tokens:
        yield warn(
            f"it says that it is {version}: before 0.5.0 a gateway may use a token of the old secret for an hour. "
            "Bring it up to date (builds without a version say 0.3.0).",
            about,
        )


ASTRAY = (
    "`probes` sends the test requests for `{}` to another model, `{}`, so they say nothing about its key: name only an "
    "endpoint there, or a name that no other model has."
)


def _is_met(entry: str, models: Iterable[Model]) -> bool:
    return any(entry == model.alias or (is_wildcard(model.alias) and matches(model.alias, entry)) for model in models)


def _unmet(entry: str, models: Iterable[Model]) -> str:
    near = get_close_matches(entry, [model.alias for model in models], n=1)
    meant = f"did you mean `{near[0]}`?" if near else "correct or remove it."
    return f"`probes` names `{entry}`, and this environment has no such model: {meant}"


def strangers(order: Iterable[str], inventory: Inventory) -> list[str]:
    """Return a sentence for each name in ENVIRONMENT_ORDER that is no environment."""
    names = [name for one in inventory.environments for name in (one.name, one.id)]
    return [_stranger(each, names) for each in order if each not in names]


def _stranger(name: str, names: list[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"ENVIRONMENT_ORDER names {name}, and AISIX Cloud has no such environment: " + (
        f"did you mean {near[0]}?" if near else f"it has {listing(names[::2]) or 'none'}."
    )


def _helps(error: Exception, setting: str) -> str:
    """Say what to do about an address that gives no answer."""
    if is_untrusted(error) or UNTRUSTED in str(error):
        return "name the authority that vouches for it in SSL_CERT_FILE."
    return f"correct it in {setting}, or let this machine reach it."


def why(error: Exception) -> str:
    """Name an error without its text, which could repeat an address with a password."""
    return UNTRUSTED if is_untrusted(error) else type(error).__name__
