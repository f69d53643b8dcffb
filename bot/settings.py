"""The settings, read once from the environment and `.env`. Only `app`, `cli`, `check` and `connect` use all of them."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.aisix.client import ANSWER_MOST
from bot.aisix.probes import GatewaySettings

Ids = Annotated[frozenset[str], NoDecode]


def _seconds(value: Any) -> Any:
    """Read a bare number as seconds; leave anything else to the ISO 8601 parser."""
    with suppress(ValueError):
        return float(value) if isinstance(value, str) else value
    return value


NUMBER, SWITCH, PORT = "a number", "true or false", "a port"
BYTES, CHARACTERS, WHOLE_SECONDS = COUNTED = ("bytes", "characters", "seconds")
SECONDS = "seconds (30) or an ISO 8601 duration (PT30S)"
"""Units, as the message about a wrong setting names them."""

Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0), title=SECONDS)]
Limit = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0), title=SECONDS)]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _is_sendable(secret: SecretStr) -> SecretStr:
    """Refuse a key or token that cannot be sent in a header."""
    value = secret.get_secret_value()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("header")
    return secret


def _is_address(value: str) -> str:
    """Refuse anything but an http address with a host and a valid port."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("address")
    return value


def _is_bare_address(value: str) -> str:
    """Refuse also an address with a user or a password: Keyturn sends a token or the caller key there instead."""
    if "@" in urlsplit(_is_address(value)).netloc:
        raise ValueError("address")
    return value


def _sizes(value: Any) -> Any:
    """Read the sizes of the first waves; the last wave is always the rest."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    sizes = tuple(int(part) for part in (parts[:-1] if parts[-1] == "rest" else parts))
    if not all(size > 0 for size in sizes):
        raise ValueError("sizes")
    return sizes


def _names(value: Any) -> Any:
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


Sizes = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_sizes)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Token = Annotated[SecretStr, AfterValidator(_is_sendable)]
Address = Annotated[str, AfterValidator(_is_bare_address)]
S = TypeVar("S", bound=BaseSettings)
SLACK_ID = re.compile(r"[UWS][A-Z0-9_]{1,}")


class WrongSettings(Exception):
    """A wrong setting: one sentence names it and says what it should look like."""


class StoreSettings(BaseSettings):
    """Where the records and the audit trail are: all that an audit needs."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    redis_url: SecretStr | None = Field(
        None, description="redis://… or unix://…; absent: an embedded server", examples=["redis://localhost:6379/0"]
    )
    redis_timeout: Limit = Field(timedelta(seconds=2), description="the time limit of one call to Redis")
    keyturn_data: Path = Field(Path("./var"), description="the folder of the embedded server's data")


class Settings(StoreSettings):
    """Every setting, declared once: name, type, default, unit (`title`), meaning, limits, and perhaps an example.

    `python -m tests.docs.settings_page --write` generates the table in `docs/settings.md`, and `.env.example`.
    """

    slack_bot_token: Token = Field(description="the bot token: xoxb-…", examples=["xoxb-fill-in"])
    slack_app_token: Token | None = Field(
        None, description="the app-level token for Socket Mode: xapp-…", examples=["xapp-fill-in"]
    )
    slack_signing_secret: SecretStr | None = Field(None, description="the signing secret, for HTTP mode")
    port: int | None = Field(None, ge=0, le=65535, title=PORT, description="for HTTP: 3000")
    worker_port: int | None = Field(
        None, ge=0, le=65535, title=PORT, description="for the pages of `python -m bot worker`: 3001"
    )
    slack_api_url: Address = Field("https://slack.com/api/", description="where Slack's Web API is: https://…/")
    slack_timeout: Limit = Field(timedelta(seconds=10), description="the time limit of one call to Slack")
    slack_edits_per_minute: int = Field(45, ge=2, title=NUMBER, description="message edits a minute; Slack allows 50")

    aisix_cloud_api: Address = Field(
        description="the control plane's address, ending in /api: https://cp.example.com/api",
        examples=["https://cp.example.com/api"],
    )
    aisix_admin_token: Token = Field(description="an admin token with read and write scope", examples=["fill-in"])
    aisix_gateways: dict[str, GatewaySettings] = Field(
        {},
        description='JSON: {"<environment id>": {"url": "https://…", "caller_key": "…"}}',
        examples=['{"<environment id>": {"url": "https://gateway.example.com", "caller_key": "fill-in"}}'],
    )
    control_plane_timeout: Limit = Field(timedelta(seconds=10), description="the time limit of one call to AISIX Cloud")
    control_plane_concurrency: int = Field(16, ge=1, title=NUMBER, description="concurrent calls to AISIX Cloud")
    control_plane_attempts: int = Field(4, ge=1, title=NUMBER, description="attempts of a call that is safe to retry")
    answer_limit: int = Field(
        ANSWER_MOST,
        ge=10_000,
        title=BYTES,
        description="the longest answer that Keyturn reads from AISIX, a gateway or a status address",
    )
    create_grace: Duration = Field(
        timedelta(seconds=30),
        description="how long Keyturn looks for a new key after the answer to its creation was lost",
    )
    read_back: Duration = Field(timedelta(seconds=10), description="how long AISIX may return old values after a write")
    patience: Duration = Field(
        timedelta(minutes=10), description="how long Keyturn retries before it stops the rotation"
    )

    probes: int = Field(3, ge=1, title=NUMBER, description="successful test requests in a row that each model needs")
    probe_timeout: Limit = Field(timedelta(seconds=30), description="the time limit of one test request")
    probe_concurrency: int = Field(8, ge=1, title=NUMBER, description="concurrent test requests")
    projection_timeout: Duration = Field(
        timedelta(seconds=120), description="how long a replica may take to apply a change"
    )
    settle: Duration = Field(
        timedelta(seconds=2), description="the pause between the last move and the first test request"
    )
    verify_timeout: Duration = Field(timedelta(seconds=120), description="how long unclear answers are retried")
    status_timeout: Limit = Field(timedelta(seconds=5), description="the time limit of one status page")
    require_proof: bool = Field(
        False, title=SWITCH, description="whether the gateways' counters must prove every model"
    )
    waves: Sizes = Field(
        (1,),
        description="the number of models in each wave, separated by commas, the rest last: 1,10,rest (or only: rest)",
    )
    environment_order: Names = Field(
        (), description="names or ids of environments, separated by commas, in the order of the cut-over"
    )
    soak: Duration = Field(timedelta(0), description="how long every model must keep working before the approval")
    listen: Duration = Field(
        timedelta(minutes=5), description="how long the old key must stay unused where AISIX does not show every list"
    )
    look_interval: Limit = Field(
        timedelta(seconds=30), description="the time between two checks of every model during the soak"
    )
    evidence_max_age: Limit = Field(timedelta(days=1), description="how old the evidence may be at the approval")
    watch: Duration = Field(timedelta(hours=1), description="how long test requests continue after the delete")

    fingerprint_pepper: SecretStr | None = Field(
        None,
        min_length=16,
        title=CHARACTERS,
        description="a random secret; with it Keyturn recognizes an API key that is already in use",
    )

    requesters: Ids | None = Field(None, description="user ids (U…) and user-group ids (S…), separated by commas")
    approvers: Ids = Field(
        description="user ids (U…) and user-group ids (S…), separated by commas", examples=["S0123456789"]
    )
    approvals_required: int = Field(1, ge=1, title=NUMBER, description="how many approvers must agree")
    self_approval: bool = Field(False, title=SWITCH, description="whether a requester may approve")
    click_max_age: Limit = Field(
        timedelta(seconds=60), description="how old a click on Delete old key or Accept unproved may be"
    )
    secret_expiry: Limit = Field(timedelta(days=1), description="how long a card waits for its secret")
    approval_reminder: Limit = Field(timedelta(hours=4), description="the time between reminders to approve")
    approval_expiry: Limit = Field(
        timedelta(days=3), description="how long an approval may take before Keyturn verifies again"
    )

    worker_concurrency: int = Field(10, ge=1, title=NUMBER, description="rotations that one worker runs at a time")
    sweep_interval: int = Field(
        5, ge=1, le=30, title=WHOLE_SECONDS, description="the time between searches for forgotten work"
    )
    lease: Limit = Field(timedelta(seconds=15), description="how long until another worker takes over from a dead one")
    http_body_limit: int = Field(
        1_000_000, ge=10_000, title=BYTES, description="the largest request that Keyturn reads from Slack"
    )
    shutdown_grace: Duration = Field(
        timedelta(seconds=3), description="how long running work may take to finish after a stop signal"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        "info", description="the lowest level that is logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="the format of the log")

    @field_validator("requesters", "approvers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        ids = [part.strip() for part in value.split(",") if part.strip()]
        if not ids or not all(SLACK_ID.fullmatch(i) for i in ids):
            raise ValueError("ids")
        return frozenset(ids)

    @field_validator("slack_api_url")
    @classmethod
    def _ends_in_slash(cls, value: str) -> str:
        return value if value.endswith("/") else value + "/"

    @field_validator("aisix_gateways", mode="before")
    @classmethod
    def _is_object(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("aisix_gateways")
    @classmethod
    def _are_reachable(cls, gateways: dict[str, GatewaySettings]) -> dict[str, GatewaySettings]:
        for gateway in gateways.values():
            _is_bare_address(gateway.url)
            _is_sendable(gateway.caller_key)
            for url in gateway.status_urls:
                _is_address(url)
        return gateways

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """Return every secret in the settings; none of them may be shown to anyone."""
        own = [value for _, value in self if isinstance(value, SecretStr)]
        return (*own, *(gateway.caller_key for gateway in self.aisix_gateways.values()))

    @model_validator(mode="after")
    def _has_a_mode(self) -> Self:
        if self.slack_app_token or (self.slack_signing_secret and self.port is not None):
            return self
        raise ValueError(
            "SLACK_APP_TOKEN is missing: set it (xapp-…) for Socket Mode, "
            "or SLACK_SIGNING_SECRET and PORT for HTTP mode."
        )

    @property
    def http_mode(self) -> bool:
        """Tell whether Slack sends events by HTTP, not over a socket."""
        return self.slack_app_token is None


def read_settings(**given: Any) -> Settings:
    """Read the settings, or raise `WrongSettings` about the first wrong one."""
    return _read(Settings, given)


def read_store_settings() -> StoreSettings:
    """Read only the settings of the store: an audit needs no token."""
    return _read(StoreSettings, {})


def _read(kind: type[S], given: Mapping[str, Any]) -> S:
    try:
        return kind(**given)
    except ValidationError as error:
        raise WrongSettings(_sentence(error.errors(include_input=False, include_context=False)[0])) from None
    except ValueError as error:  # pydantic-settings could not read a JSON value
        name = re.search(r'field "(\w+)"', str(error))
        raise WrongSettings(_should_be(name.group(1) if name else "", "is wrong")) from None


def _sentence(problem: Mapping[str, Any]) -> str:
    place = problem["loc"]
    if not place:
        return str(problem["msg"]).removeprefix("Value error, ")
    what = "is missing" if problem["type"] == "missing" and len(place) == 1 else "is wrong"
    within = ".".join(str(part) for part in place[1:])
    return _should_be(str(place[0]), what, within)


def _should_be(name: str, what: str, within: str = "") -> str:
    field = Settings.model_fields.get(name.lower())
    where = f" (at {within})" if within else ""
    return f"{name.upper()} {what}{where}: it should be {looks(field) if field else 'something else'}."


def looks(field: FieldInfo) -> str:
    """Say what a setting should look like."""
    what, limits = unit(field), bounds(field)
    if limits:
        what = f"{limits} {what}" if what in COUNTED else f"{what} ({limits})"
    return f"{what}: {field.description}" if what else str(field.description)


def unit(field: FieldInfo) -> str:
    """Return the unit or the choices of a setting; empty if its meaning says enough."""
    choices = [value for value in get_args(field.annotation) if isinstance(value, str)]
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if choices else field.title or ""


def bounds(field: FieldInfo) -> str:
    """Return the limits of a setting in words; empty if only its type limits it."""
    least, most = (_bound(field, name) for name in ("ge", "le"))
    if most is not None:
        return f"{least} to {most}"
    if _bound(field, "gt") is not None:
        return "more than 0"
    least = least or _bound(field, "min_length")
    return f"at least {least:,}" if least else ""


def _bound(field: FieldInfo, name: str) -> Any:
    return next((getattr(each, name) for each in field.metadata if hasattr(each, name)), None)
