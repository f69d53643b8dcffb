"""The base of every stored or shown value: it never changes; `but` makes a new one."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value; `but` is the only way to another one. Ignores unknown fields of a newer version."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def but(self, **changes: Any) -> Self:
        """Return this value with *changes*, validated."""
        return self.model_validate({**vars(self), **changes})
