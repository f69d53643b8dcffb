"""The base of every value that is stored or shown: it never changes, only gives rise to another."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value; `but` is the only way to another one. Unknown fields of a newer version are let be."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def but(self, **changes: Any) -> Self:
        """Return this value with *changes*, validated."""
        return self.model_validate({**dict(iter(self)), **changes})  # a field may be called "keys"
