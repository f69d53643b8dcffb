"""What is read from providers' answers: the types of their fields, and what is left of a hint. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, StringConstraints


class Told(BaseModel):
    """Part of an answer: fields that Keyturn does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _in_utc(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def _shortened(text: object) -> object:
    return " ".join(text.split())[:NAME_MOST] if isinstance(text, str) else text or ""


def _is_sendable(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("secret")
    return secret


NAME_MOST = 200
Id = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[\x21-\x7e]+$")]
Name = Annotated[str, BeforeValidator(_shortened)]
When = Annotated[datetime | None, AfterValidator(_in_utc)]
Secret = Annotated[SecretStr, AfterValidator(_is_sendable)]

HIDDEN = re.compile(r"[.*…•]+")
HINT = re.compile(r"[\w-]{1,24}\.\.\.[\w-]{1,8}")


def hint(text: str | None) -> str:
    """Return what a provider shows of a secret, like "sk-...abcd"; nothing, if it shows more than that."""
    shown = HIDDEN.sub("...", text or "")
    return shown if HINT.fullmatch(shown) else ""
