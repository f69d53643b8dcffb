"""Probes: test requests through a managed gateway, and their answers. Only this module calls gateways."""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

import httpx
from pydantic import ConfigDict, Field, SecretStr, field_serializer

from bot.aisix.answers import HTTP_OK, Answer, evidence, skipped
from bot.aisix.client import ANSWER_MOST, TooLong, http_client, read
from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.aisix.waiting import ahead, retry_after
from bot.credentials import CALLER_KEY, Credentials
from bot.rotation.evidence import Evidence
from bot.rotation.frozen import Frozen
from bot.rotation.plan import AffectedModel
from bot.rotation.trust import UNTRUSTED, is_untrusted
from bot.rotation.wildcards import STAR, filled, is_wildcard, matches
from bot.telemetry.metrics import calls


def bare(url: str) -> str:
    """Return a status address without user, password and query, so that it can be shown and stored."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    host = parts.netloc.rpartition("@")[2].lower()
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


class GatewaySettings(Frozen):
    """One environment's gateways, as `AISIX_GATEWAYS` describes them."""

    model_config = ConfigDict(extra="forbid")

    url: str
    caller_key: SecretStr
    status_urls: tuple[str, ...] = Field((), repr=False)
    """They may contain a user and a password: hidden in the repr, and serialized through `bare`."""

    replicas: int = Field(0, ge=0)
    """The number of replicas; if absent, one for each status address."""

    probes: dict[str, str] = {}
    """Probe by alias: an endpoint (`chat`, `embeddings`, …), `skip`, a concrete model name, or `endpoint name`."""

    @field_serializer("status_urls")
    def _bare(self, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(bare, urls))


TIME_OUT, BROKEN, TOO_LONG = "time-out", "an answer that cannot be decoded", "an answer that is too long"
OUTCOMES = {TIME_OUT: "time-out", BROKEN: "broken", TOO_LONG: "too long"}
"""The metric's word for a trouble; without one, there was no connection."""


class Probe(Frozen):
    """The endpoint and the name with which one model is probed."""

    endpoint: str
    name: str
    guessed: bool = False
    """Neither the settings nor the kind of the model name the endpoint."""


def _chat(name: str, nonce: str) -> dict[str, Any]:
    return {
        "model": name,
        "messages": [{"role": "user", "content": f"Reply with OK. ({nonce})"}],
        "max_tokens": 1,
    }


ENDPOINTS: Mapping[str, tuple[str, Callable[[str, str], dict[str, Any]]]] = {
    "chat": ("/v1/chat/completions", _chat),
    "embeddings": ("/v1/embeddings", lambda name, nonce: {"model": name, "input": f"probe {nonce}"}),
    "rerank": (
        "/v1/rerank",
        lambda name, nonce: {"model": name, "query": f"probe {nonce}", "documents": ["one", "two"]},
    ),
    "responses": (
        "/v1/responses",
        lambda name, nonce: {"model": name, "input": f"Reply with OK. ({nonce})", "max_output_tokens": 16},
    ),
    "messages": ("/v1/messages", _chat),
}
"""The probe's address and body by endpoint; a nonce in each body keeps caches from answering."""

COUNTED_BY_ALL = frozenset({"chat", "messages"})
"""Endpoints that every gateway counts; older gateways do not count the others (from the gateway's source)."""

BARRED = "403 permission_denied"
"""The gateway's answer if the probe's caller key may not use throw-away models."""

TOKENS_FOLLOW = (0, 5, 0)
"""The first version whose tokens should follow the secret. Only a hint: unstamped builds all report one version."""

RESULT_FIELDS = ("choices", "data", "results", "output", "content")
"""Every answer of a model has one of these fields, not empty."""

KNOWN_CODES = frozenset(
    {
        "account_deactivated", "api_key_disabled", "api_key_expired", "budget_exceeded", "insufficient_quota",
        "invalid_api_key", "ip_restricted", "model_not_found", "permission_denied", "rate_limit_exceeded",
    }
)  # fmt: skip
KNOWN_TYPES = frozenset(
    {
        "all_candidates_unavailable", "api_error", "authentication_error", "billing_error", "config_error",
        "content_filter", "invalid_api_key", "invalid_request_error", "model_not_found", "not_found_error",
        "not_implemented", "overloaded_error", "permission_denied", "permission_error", "provider_unavailable",
        "rate_limit_error", "rate_limit_exceeded", "request_too_large", "timeout", "transport_error",
        "upstream_decode_error", "upstream_error",
    }
)  # fmt: skip
"""Only known words are kept: a code is the upstream's own text and could contain part of a key."""


def probe_for(model: AffectedModel, probes: Mapping[str, str]) -> Probe | None:
    """Choose the probe of *model*; None if the settings say `skip`.

    The name is empty for a wildcard alias if neither the settings nor the counters give a concrete name for it.
    """
    word = probes.get(model.alias) or _concrete(model.alias, probes)
    endpoint = "embeddings" if model.kind == "embedding" else ""
    name = model.live if is_wildcard(model.alias) else model.alias
    for part in word.replace(":", " ", 1).split() if word else ():
        if part == "skip":
            return None
        if part in ENDPOINTS:
            endpoint = part
        else:
            name = part
    return Probe(endpoint=endpoint or "chat", name=name, guessed=not endpoint)


def _concrete(alias: str, probes: Mapping[str, str]) -> str:
    """Find an entry for a concrete name that the wildcard *alias* matches."""
    if not is_wildcard(alias):
        return ""
    match = next(((name, word) for name, word in probes.items() if matches(alias, name)), None)
    return f"{match[1]} {match[0]}" if match else ""


def passed_on(model: AffectedModel, name: str) -> str:
    """Return the upstream model that a request for *name* reaches through *model*."""
    if not is_wildcard(model.alias):
        return model.upstream
    return filled(model.alias, name, model.upstream or STAR)


CALLER_REFUSED = "invalid_api_key"
"""The type of a gateway's own refusal of the caller key."""


class Greeting(NamedTuple):
    """How a gateway answers to the caller key."""

    status: int
    models: frozenset[str] | None  # None if it lists none: a web page for people answers 200 to everything
    version: str
    """Its name and version, as `AISIX/0.10.0`; empty if it does not say. A build without a version says 0.3.0."""

    ahead: float | None
    """Seconds by which its clock is ahead of this machine's; None if it does not tell the time."""

    @property
    def keeps_tokens(self) -> bool:
        """Whether this version may keep using a token that it got with the previous secret."""
        return _is_before(self.version, TOKENS_FOLLOW)


class Gateways:
    """Sends probes to the gateway of every environment, a limited number at a time.

    Each probe has its own connection: a balancer may send everything on one connection to the same replica.
    """

    def __init__(
        self,
        settings: Mapping[str, GatewaySettings],
        *,
        timeout: float,
        concurrency: int,
        now: Callable[[], datetime],
        most: int = ANSWER_MOST,
        credentials: Credentials | None = None,
    ) -> None:
        self._credentials = credentials or Credentials()
        self._settings = settings
        self._most = most
        self._now = now
        self._turn = asyncio.Semaphore(concurrency)
        self._http = http_client([one.url for one in settings.values()], timeout=timeout)

    def use(self, settings: Mapping[str, GatewaySettings]) -> None:
        """Send other caller keys from now on, each to the address that it is for; the addresses stay."""
        self._settings = {
            id_: one.but(caller_key=later.caller_key) if (later := settings.get(id_)) and later.url == one.url else one
            for id_, one in self._settings.items()
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @property
    def environments(self) -> frozenset[str]:
        """Return the ids of the environments that have a gateway in the settings."""
        return frozenset(self._settings)

    def lacks_a_name(self, model: AffectedModel) -> bool:
        """Tell whether *model* has a wildcard alias and no known concrete name."""
        return bool(self.endpoint(model)) and not self.name(model)

    def name(self, model: AffectedModel) -> str:
        """Return the name under which *model* is probed; empty if the settings say `skip` or there is none."""
        return probe.name if (probe := probe_for(model, self._settings[model.environment].probes)) else ""

    def endpoint(self, model: AffectedModel) -> str:
        """Return the endpoint at which *model* is probed; empty if the settings say `skip`."""
        return probe.endpoint if (probe := probe_for(model, self._settings[model.environment].probes)) else ""

    def upstream(self, model: AffectedModel) -> str:
        """Return the upstream model that a probe of *model* reaches; a wildcard alias fills in what its `*` matches."""
        return passed_on(model, self.name(model)) if self.endpoint(model) else ""

    async def probe(self, model: AffectedModel, tag: str, *, under: str = "") -> Evidence:
        """Send one test request for *model* and return what it proves. Never raises.

        *tag* becomes part of the request id; *under* is the name of a throw-away model to probe instead of *model*.
        """
        settings = self._settings[model.environment]
        probe = probe_for(model, settings.probes)
        if probe is None:
            return skipped(self._now())
        probe = probe.but(name=under or probe.name)
        if not probe.name:
            return _needs_a_name(model, self._now())
        async with self._turn:
            answer = await self._ask(settings, probe, f"rot-{tag}-{secrets.token_hex(4)}")
        calls("gateway", probe.endpoint, answer.status or OUTCOMES.get(answer.trouble, "unreachable"))
        self._note(model.environment, answer)
        return evidence(answer, alias=under or model.alias, at=self._now(), asked=probe.name, guessed=probe.guessed)

    def _note(self, environment: str, answer: Answer) -> None:
        """Note whether the gateway takes the caller key."""
        if answer.type == CALLER_REFUSED:
            self._credentials.refused(CALLER_KEY, f"{answer.status} {answer.type}", environment)
        elif answer.type or answer.status in HTTP_OK:  # others may be a balancer's
            self._credentials.works(CALLER_KEY, environment)

    async def _ask(self, settings: GatewaySettings, probe: Probe, request_id: str) -> Answer:
        path, body = ENDPOINTS[probe.endpoint]
        try:
            response = await read(
                self._http,
                "POST",
                _address(settings, path),
                self._most,
                json=body(probe.name, request_id),
                headers=_headers(settings, request_id),
            )
        except httpx.TimeoutException:
            return Answer(trouble=TIME_OUT)
        except httpx.DecodingError:
            return Answer(trouble=BROKEN)
        except TooLong:
            return Answer(trouble=TOO_LONG)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            return Answer(trouble=UNTRUSTED if is_untrusted(error) else "no connection")
        answer = read_answer(response)
        if probe.endpoint == "messages" and answer.status == httpx.codes.UNAUTHORIZED:
            return await self._with_cause(answer, settings)
        return answer

    async def _with_cause(self, answer: Answer, settings: GatewaySettings) -> Answer:
        """Find out whether the caller key works: on `/v1/messages` a refusal of it looks like one of the credential."""
        try:
            asked = await self._models(settings, "keyturn")
        except (httpx.HTTPError, httpx.InvalidURL):
            return Answer(trouble="no connection")
        return answer.but(type="upstream_error" if asked.is_success else CALLER_REFUSED)

    async def _models(self, settings: GatewaySettings, who: str) -> httpx.Response:
        url, headers = _address(settings, "/v1/models"), _headers(settings, who)
        return await read(self._http, "GET", url, self._most, headers=headers)

    def is_always_counted(self, model: AffectedModel) -> bool:
        """Tell whether gateways of every version count requests for a model."""
        return self.endpoint(model) in COUNTED_BY_ALL

    def bars_throwaways(self, answer: Evidence) -> bool:
        """Tell whether the gateway refused a probe because the caller key may not use throw-away models."""
        return answer.signature.startswith(BARRED)

    def may_keep_tokens(self, answer: Evidence) -> bool:
        """Tell whether the gateway's version may keep using a token that it got with the previous secret."""
        return _is_before(answer.gateway, TOKENS_FOLLOW)

    async def greet_all(self) -> None:
        """Use the caller key of every environment once."""
        await asyncio.gather(*map(self.greeting, self._settings), return_exceptions=True)

    async def greeting(self, environment: str) -> Greeting:
        """Ask the gateway for its models with the caller key. Raises httpx's errors."""
        answer = await self._models(self._settings[environment], "keyturn-check")
        models = _models_in(_json(answer)) if answer.is_success else None
        if models is not None or not answer.is_success:
            self._note(environment, read_answer(answer))
        return Greeting(answer.status_code, models, _version(answer), ahead(answer.headers.get("Date")))


def _address(settings: GatewaySettings, path: str) -> str:
    return settings.url.rstrip("/") + path


def _headers(settings: GatewaySettings, request_id: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {settings.caller_key.get_secret_value()}",
        "Cache-Control": "no-cache, no-store",
        "x-aisix-request-id": request_id,
    }


def _needs_a_name(model: AffectedModel, at: datetime) -> Evidence:
    answer = Answer(trouble=f"a wildcard alias needs a concrete name in `probes`, under {model.alias}")
    return evidence(answer, alias=model.alias, at=at)


def _is_before(gateway: str, version: tuple[int, ...]) -> bool:
    says = gateway.removeprefix("AISIX/")
    return bool(says) and tuple(map(int, says.split("."))) < version


VERSION = re.compile(r"AISIX/\d{1,4}(\.\d{1,4}){0,3}")


def read_answer(response: httpx.Response) -> Answer:
    """Extract from a response what a verdict needs, without any text from the upstream."""
    body = _json(response)
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    message = str(error.get("message", ""))
    return Answer(
        status=response.status_code,
        type=_known(error.get("type"), KNOWN_TYPES),
        code=_known(error.get("code"), KNOWN_CODES) or _code_within(message),
        names_unknown_key="unknown provider_key" in message,
        cache=response.headers.get("x-aisix-cache", "").split("-")[0].strip().lower(),
        served_by=response.headers.get("x-aisix-served-by", ""),
        retry_after=retry_after(response.headers.get("Retry-After")),
        malformed=bool(error) or not _has_result(body),
        gateway=_version(response),
    )


def _version(response: httpx.Response) -> str:
    found = VERSION.match(response.headers.get("Server", ""))
    return found.group() if found else ""


def _code_within(message: str) -> str:
    """Return the code from an upstream's raw error message: `/v1/responses` has it nowhere else."""
    try:
        error = decoded(message.encode()) if message.startswith("{") else None
    except (UnreadableJson, UnicodeError):
        return ""
    inner = error.get("error") if isinstance(error, dict) else None
    return _known(inner.get("code"), KNOWN_CODES) if isinstance(inner, dict) else ""


def _has_result(body: Any) -> bool:
    if not isinstance(body, dict) or body.get("object") == "error":
        return False
    return any(isinstance(body.get(name), list) and body[name] for name in RESULT_FIELDS)


def _models_in(body: Any) -> frozenset[str] | None:
    rows = body.get("data") if isinstance(body, dict) else None
    return frozenset(str(row.get("id")) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else None


def _json(response: httpx.Response) -> Any:
    try:
        return decoded(response.content)
    except UnreadableJson:
        return None


def _known(word: Any, known: frozenset[str]) -> str:
    return word if isinstance(word, str) and word in known else ""
