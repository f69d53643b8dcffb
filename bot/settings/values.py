"""The types of settings: how people write a duration, an address, ids or the gateways, and what is refused."""

import json
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import time, timedelta
from json import JSONDecodeError
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError
from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import RedisError

from bot.aisix.client import can_be_asked
from bot.aisix.probes import GatewaySettings
from bot.rotation.hours import EVERY_DAY, Quiet
from bot.rotation.ticket import PATTERN_MOST, TICKET, TicketPattern, wrong_with
from bot.settings.sentinels import EXAMPLE, SCHEMES, sentinels_in

NUMBER, SWITCH, PORT = "a number", "true or false", "a port"
BYTES, CHARACTERS, WHOLE_SECONDS = COUNTED = ("bytes", "characters", "seconds")
LENGTH = "a duration (30, 30s, 10m, 1h30m, 2d or PT30S)"
"""Units, as the message about a wrong setting names them."""


def told(why: str) -> PydanticCustomError:
    """Return the error of a value whose fault the unit and the meaning of its setting do not tell."""
    return PydanticCustomError("told", "{said}", {"said": why})


SPOKEN = re.compile(r"(?=\d)(?:(\d+)d)? ?(?:(\d+)h)? ?(?:(\d+)m)? ?(?:(\d+)s)?")
UNITS = ("days", "hours", "minutes", "seconds")


def _duration(value: Any) -> Any:
    """Read a bare number as seconds, and `1h30m` as people write it; leave the rest to the ISO 8601 parser."""
    if not isinstance(value, str):
        return value
    try:
        if spoken := SPOKEN.fullmatch(value.lower()):
            return timedelta(**{unit: int(many) for unit, many in zip(UNITS, spoken.groups(), strict=True) if many})
        return float(value)
    except OverflowError:
        raise ValueError("duration") from None
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(0), title=LENGTH)]
Limit = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0), title=LENGTH)]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Lower = BeforeValidator(_lower)


def sendable(secret: SecretStr) -> SecretStr:
    """Refuse a key or token that cannot be sent in a header."""
    value = secret.get_secret_value()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("header")
    return secret


def _is_address(value: str) -> str:
    """Refuse anything but an http address with a host and a valid port."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or not can_be_asked(value):
        raise ValueError("address")
    return value


def bare_page(value: str) -> str:
    """Refuse what no card should open, and what no path can follow: Keyturn sends an admin key there."""
    return _is_bare_address(_is_page(value))


def _is_bare_address(value: str) -> str:
    """Refuse also a user or a password, as Keyturn sends a credential there, and what no path can follow."""
    if "@" in urlsplit(_is_address(value)).netloc or "?" in value or "#" in value:
        raise ValueError("address")
    return value


def _ends_in_slash(value: str) -> str:
    return value if value.endswith("/") else value + "/"


LOCAL = ("localhost", "127.0.0.1", "::1")


UNSAFE = re.compile(r"[\s<>|{}]")
"""What would end an address in a message, or stands for something that Keyturn does not fill in."""


def _is_page(value: str) -> str:
    """Refuse what no card should open: an address without TLS, unless on this machine, or with a user."""
    parts = urlsplit(_is_address(value))
    if UNSAFE.search(value) or "@" in parts.netloc or (parts.scheme != "https" and parts.hostname not in LOCAL):
        raise ValueError("page")
    return value


def _is_page_of_a_key(value: str) -> str:
    _is_page(value.replace("{key}", "id"))
    return value


def _ticket_pattern(value: Any) -> Any:
    """Read a pattern, and behind a => the template of a link."""
    if not isinstance(value, str):
        return value
    before, arrow, after = value.rpartition("=>")
    pattern, template = (before.strip(), after.strip()) if arrow else (value.strip(), "")
    if wrong := wrong_with(pattern):
        raise told(wrong)
    if arrow and not _is_template(template):
        raise told(
            f"what follows => should be an address with {TICKET} behind the host, of {PATTERN_MOST} letters at most: "
            f"https://tracker.example.com/browse/{TICKET}"
        )
    return TicketPattern(pattern=pattern, template=template)


def _is_template(value: str) -> bool:
    try:
        _is_page(value.replace(TICKET, "id"))
        parts = urlsplit(value)
    except ValueError:
        return False
    is_behind = TICKET in value and TICKET not in parts.netloc
    return parts.scheme == "https" and is_behind and len(value) <= PATTERN_MOST


Token = Annotated[SecretStr, AfterValidator(sendable)]
Address = Annotated[str, AfterValidator(_is_bare_address)]
Folder = Annotated[Address, AfterValidator(_ends_in_slash)]
Page = Annotated[str, AfterValidator(_is_page), AfterValidator(_is_bare_address)]
Tickets = Annotated[TicketPattern, BeforeValidator(_ticket_pattern)]
KeyPage = Annotated[str, AfterValidator(_is_page_of_a_key)]
PageFolder = Annotated[str, AfterValidator(_is_page), AfterValidator(_is_bare_address), AfterValidator(_ends_in_slash)]

DATABASE = re.compile(r"/?\d*")


def _names_a_database(url: SecretStr) -> SecretStr:
    """Refuse an address whose database is no number: the client would use database 0 instead."""
    if url.get_secret_value().startswith(SCHEMES):
        return _names_sentinels(url)
    try:
        parts = urlsplit(url.get_secret_value())
        port = parts.port
        _try_options(url.get_secret_value())
    except (ValueError, TypeError, RedisError):
        raise ValueError("address") from None  # its own words may repeat the password
    if parts.scheme not in ("redis", "rediss", "unix") or port == 0:
        raise ValueError("address")
    if parts.scheme != "unix" and not DATABASE.fullmatch(parts.path):
        raise told("what follows the host is a database, which is a number: redis://host:6379/0")
    return url


def _try_options(url: str) -> None:
    """Refuse what no client takes, and what it would ignore: behind a `#` or `?` may be the rest of a password."""
    parts = urlsplit(url)
    if parts.fragment:
        raise ValueError("fragment")
    parse_qsl(parts.query, strict_parsing=bool(parts.query))
    options: dict[str, Any] = {**parse_url(url)}
    options.pop("connection_class", Connection)(**options)


def _names_sentinels(url: SecretStr) -> SecretStr:
    try:
        if sentinels := sentinels_in(url.get_secret_value()):
            _try_options(sentinels.server)
    except (ValueError, TypeError, RedisError):
        raise told(f"it should name the Sentinels and what they call the primary: {EXAMPLE}") from None
    return url


RedisAddress = Annotated[SecretStr, AfterValidator(_names_a_database)]


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


SLACK_ID = re.compile(r"[UWS][A-Z0-9_]{1,}")


def _ids(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    ids = _names(value)
    if not ids or not all(SLACK_ID.fullmatch(i) for i in ids):
        raise ValueError("ids")
    return frozenset(ids)


OFF = "none"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _quiet(value: Any) -> Any:
    """Read 22:00-07:00; none switches quiet hours off."""
    if not isinstance(value, str) or value.strip().lower() == OFF:
        return None if isinstance(value, str) else value
    begin, _, end = value.partition("-")
    read = Quiet(time.fromisoformat(begin.strip()), time.fromisoformat(end.strip()))
    if read.begin == read.end or read.begin.tzinfo or read.end.tzinfo:
        raise ValueError("hours")
    return read


def _days(value: Any) -> Any:
    """Read mon-fri or mon,wed; none means that every day is a working day."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() == OFF:
        return EVERY_DAY
    found: set[int] = set()
    for part in _names(value.lower()):
        first, to, last = part.partition("-")
        begin, end = DAYS.index(first.strip()[:3]), DAYS.index((last if to else first).strip()[:3])
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    if not found:
        raise ValueError("days")
    return frozenset(found)


def _zones(value: Any) -> Any:
    """Read one time zone for all channels, or CHANNEL=ZONE for some; the zone of all others has no name."""
    if not isinstance(value, str):
        return value
    pairs = [(channel.strip(), zone.strip()) for channel, _, zone in (p.rpartition("=") for p in _names(value))]
    _refuse_twice([channel for channel, _ in pairs])
    for _, zone in pairs:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise told(f"{zone} is no time zone that this machine knows: write it as Europe/Berlin") from None
    return dict(pairs)


QuietHours = Annotated[Quiet | None, BeforeValidator(_quiet)]
Days = Annotated[frozenset[int], BeforeValidator(_days)]
Zones = Annotated[dict[str, str], BeforeValidator(_zones)]
CHANNEL_ID = r"[CG][A-Z0-9_]+"
Channel = Annotated[str, Field(pattern=CHANNEL_ID + "$", title="the id of a channel: C0123456789")]
Sizes = Annotated[tuple[int, ...], BeforeValidator(_sizes)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Ids = Annotated[frozenset[str], BeforeValidator(_ids)]


class _Strict(yaml.SafeLoader):
    """Reads YAML in which each name is set once: the last one would win, and the others would be dropped."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        names = [each.value for each, _ in node.value]
        _refuse_twice(names)
        return super().construct_mapping(node, deep)


def _refuse_twice(names: list[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise told(f"{twice} is set twice: keep one")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_twice([name for name, _ in pairs])
    return dict(pairs)


def _decoded(text: str, place: str) -> Any:
    """Read JSON; a parser's own words repeat the text with its caller keys, so only the place is told."""
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except JSONDecodeError as error:
        raise told(f"it is not valid JSON ({place}line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise told("it is nested too deeply") from None


def _from_file(name: str) -> Any:
    """Read a file of YAML or JSON."""
    file = Path(name)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise told(f"{name} can't be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise told(f"{name} is not UTF-8") from None
    if file.suffix == ".json":
        return _decoded(text, f"{name}, ")
    try:
        return yaml.load(text, _Strict)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise told(f"{name} is not valid YAML (line {mark.line + 1 if mark else 1})") from None
    except (yaml.YAMLError, AttributeError, RecursionError):
        raise told(f"{name} is not valid YAML") from None


def _inline(value: str) -> Any:
    """Read JSON that stands in the setting; what looks like the name of a file lacks its `@`."""
    if FILE_NAME.fullmatch(value.strip()):
        raise told("it is not JSON: before the name of a file write @")
    return _decoded(value, "")


FILE_NAME = re.compile(r"[^{}\[\]\"]+\.(ya?ml|json)")


def structure(value: Any) -> Any:
    """Read an object of JSON, or the file that `@` names."""
    if not isinstance(value, str):
        return value
    if value.startswith("@{"):
        raise told("what follows @ should be the name of a file: leave out the @ before JSON")
    return _from_file(value[1:].strip()) if value.startswith("@") else _inline(value)


def _are_reachable(gateways: Mapping[str, GatewaySettings]) -> Mapping[str, GatewaySettings]:
    wrong = [f"at {id_}.{field} it should be {what}" for id_, one in gateways.items() for field, what in _faults(one)]
    if wrong:
        raise told("; ".join(wrong))
    return gateways


def _faults(gateway: GatewaySettings) -> Iterator[tuple[str, str]]:
    tries: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("url", "the address of a gateway, https://host, without a user", lambda: _is_bare_address(gateway.url)),
        ("caller_key", "a key of ASCII letters without blanks", lambda: sendable(gateway.caller_key)),
        ("status_urls", "addresses, http://host:port", lambda: [*map(_is_address, gateway.status_urls)]),
    )
    for field, what, attempt in tries:
        try:
            attempt()
        except ValueError:
            yield field, what


GatewaysByEnvironment = Annotated[
    dict[str, GatewaySettings], BeforeValidator(structure), AfterValidator(_are_reachable)
]
