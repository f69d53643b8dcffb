"""Reads the settings, and says in a sentence each all that is wrong with them."""

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from bot.aisix.probes import GatewaySettings
from bot.proxies import troubles
from bot.settings.declared import Settings, StoreSettings
from bot.settings.policies import WrittenPolicy
from bot.settings.providers import ProviderSettings
from bot.settings.sources import fields_at
from bot.settings.values import COUNTED
from bot.settings.written import lookalikes, nearest, written

S = TypeVar("S", bound=StoreSettings)
DOTENV = Path(".env")
KNOWN = tuple(name.upper() for name in Settings.model_fields)


class WrongSettings(Exception):
    """Wrong settings: a sentence for each names it and says what it should look like."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def read_settings(file: Path | None = DOTENV, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from *environ* and *file*, or raise `WrongSettings` about all that is wrong."""
    return _read(Settings, file, environ)


def read_store_settings(file: Path | None = DOTENV, environ: Mapping[str, str] = os.environ) -> StoreSettings:
    """Read only the settings of the store: an audit needs no token."""
    return _read(StoreSettings, file, environ)


def doubts(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Return a sentence for each variable of the environment that may be meant for Keyturn, and is not read."""
    return lookalikes(environ, KNOWN)


def _read(kind: type[S], file: Path | None, environ: Mapping[str, str]) -> S:
    found = written(KNOWN, file, environ)
    values = {name.lower(): value for name, value in found.values.items()}
    problems = list(found.problems)
    if not found.is_read:
        raise WrongSettings(*problems)
    if kind is Settings:
        if not values and not problems:
            raise WrongSettings(_nothing(file))
        problems += (
            *_lacks_mode(values),
            *_lacks_sign_in(values),
            *_lacks_page(values),
            *troubles(environ),
            *_untrusting(environ),
        )
    try:
        settings = kind.model_validate(values)
    except ValidationError as error:
        problems += map(_sentence, error.errors(include_input=False))
    else:
        if not problems:
            return settings
    raise WrongSettings(*problems) from None


def _lacks_mode(values: Mapping[str, str]) -> Iterator[str]:
    if not values.get("slack_app_token") and not {"slack_signing_secret", "port"} <= values.keys():
        yield (
            "SLACK_APP_TOKEN is missing: set it (xapp-…) for Socket Mode, "
            "or SLACK_SIGNING_SECRET and PORT for HTTP mode."
        )


SIGN_IN = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")


def _lacks_sign_in(values: Mapping[str, str]) -> Iterator[str]:
    """Return a sentence about a sign-in that could not work, or that would not be asked for."""
    told = [name for name in SIGN_IN if values.get(name)]
    if not values.get("approval_link"):
        if told:
            yield f"{told[0].upper()} has no effect without APPROVAL_LINK: set that too, or leave this out."
        return
    for name in (*SIGN_IN, "port"):
        if not values.get(name):
            what = WHY_PORT if name == "port" else looks(Settings.model_fields[name])
            yield f"APPROVAL_LINK needs {name.upper()}: {what}."


def _lacks_page(values: Mapping[str, str]) -> Iterator[str]:
    """Return a sentence about a page for secrets that nobody could open."""
    if values.get("secret_form", "").strip().lower() == "web" and not values.get("approval_link"):
        yield (
            "SECRET_FORM=web needs APPROVAL_LINK, the address at which people's browsers reach PORT, and OIDC_ISSUER, "
            "OIDC_CLIENT_ID, OIDC_CLIENT_SECRET and PORT: docs/administer.md says how."
        )


WHY_PORT = "the page is served there, also with Socket Mode"


def _nothing(file: Path | None) -> str:
    missing = f"{file} sets nothing" if file and file.exists() else f"there is no {file or DOTENV} here"
    return f"Nothing is set: {missing}, and the environment has no setting of Keyturn. Follow docs/install.md."


def _untrusting(environ: Mapping[str, str]) -> Iterator[str]:
    """Return a sentence about certificates to trust that can't be read."""
    if file := environ.get("SSL_CERT_FILE"):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        except OSError as error:  # as SSLError is, of a file without a certificate
            why = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            yield f"SSL_CERT_FILE is wrong ({why}): it should be a file of certificates to trust, in PEM."
    if (folders := environ.get("SSL_CERT_DIR")) and not any(Path(each).is_dir() for each in folders.split(os.pathsep)):
        yield "SSL_CERT_DIR is wrong (no such folder): it should be a folder of certificates to trust, in PEM."


def _sentence(problem: Mapping[str, Any]) -> str:
    name, *within = map(str, problem["loc"])
    place = f" (at {'.'.join(within)})" if within else ""
    setting = name.upper()
    match problem["type"], within:
        case "told", _:
            return f"{setting} is wrong{place}: {problem['msg']}."
        case "extra_forbidden", _:
            return _unknown_field(setting, within)
        case "missing", []:
            return _should_be(name, f"{setting} is missing")
        case _, [_, field, *_] if (within_it := _within(setting, field)) is not None:
            return f"{setting} is wrong{place}: it should be {within_it}."
        case _:
            return _should_be(name, f"{setting} is wrong{place}")


FIELDS: Mapping[str, type[BaseModel]] = {
    "AISIX_GATEWAYS": GatewaySettings,
    "POLICY": WrittenPolicy,
    "PROVIDERS": ProviderSettings,
}
"""The settings with fields of their own."""


def _within(setting: str, field: str) -> str | None:
    """Say what a field of an entry should look like; None if nothing does."""
    found = FIELDS[setting].model_fields.get(field) if setting in FIELDS else None
    return found.description if found else None


def _unknown_field(setting: str, within: list[str]) -> str:
    known = FIELDS[setting].model_fields if setting in FIELDS else fields_at(within[:-1])
    near = nearest(within[-1], known)
    meant = f"did you mean {near}?" if near else f"it has {', '.join(known)}."
    place = f" (at {'.'.join(within[:-1])})" if within[:-1] else ""
    return f"{setting} has no field {within[-1]}{place}: {meant}"


def _should_be(name: str, what: str) -> str:
    return f"{what}: it should be {looks(Settings.model_fields[name])}."


GUIDE = re.compile(r" \(\[[^\]]*\]\([^)]*\)\)")
"""The links in meanings, which only the page of the settings can follow."""


def looks(field: FieldInfo) -> str:
    """Say what a setting should look like."""
    what, limits = unit(field), bounds(field)
    if limits:
        what = f"{limits} {what}" if what in COUNTED else f"{what} ({limits})"
    said = GUIDE.sub("", str(field.description))
    return f"{what}: {said}" if what else said


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
