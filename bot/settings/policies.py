"""How people write a policy, and what is refused."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from bot.rotation.frozen import Frozen
from bot.rotation.policies import NamedPolicy, Policy
from bot.rotation.windows import FREEZE_LOOKS, OPENING_LOOKS, Windows, checked_zone, read_freeze, read_opening
from bot.settings.values import LENGTH, SLACK_ID, Duration, Limit, structure, told


class WrittenPolicy(Frozen):
    """One policy, as `POLICY` describes it. What it leaves out, it does not ask for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    environments: tuple[str, ...] = Field((), description="a list of environments, by name or id")
    keys: tuple[str, ...] = Field((), description="a list of provider keys, by name (with * and ?) or id")
    approvers: tuple[str, ...] = Field((), description="a list of user ids (U…) and user-group ids (S…)")
    approvals: int = Field(1, ge=1, description="a number, at least 1")
    start: bool = Field(default=False, description="true or false")
    soak: Duration = Field(0, validate_default=True, description=LENGTH)
    require_proof: bool = Field(default=False, description="true or false")
    require_reason: bool = Field(default=False, description="true or false")
    zone: str = Field("UTC", description="a time zone like Europe/Berlin")
    move_windows: tuple[str, ...] = Field((), description=f"a list of windows like {OPENING_LOOKS}")
    delete_windows: tuple[str, ...] = Field((), description=f"a list of windows like {OPENING_LOOKS}")
    own_approval: bool = Field(default=False, description="true or false")
    rotate_every: Limit | None = Field(None, description=LENGTH)
    freezes: tuple[str, ...] = Field((), description=f"a list of freezes like {FREEZE_LOOKS}")

    @field_validator("approvers")
    @classmethod
    def _are_ids(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((id_ for id_ in ids if not SLACK_ID.fullmatch(id_)), None):
            raise told(f"“{wrong}” is no user id (U…) and no user-group id (S…)")
        return tuple(sorted(set(ids)))

    @model_validator(mode="after")
    def _has_times(self) -> "WrittenPolicy":
        try:
            checked_zone(self.zone)
            self._windows(self.move_windows)
            self._windows(self.delete_windows)
        except ValueError as error:
            raise told(str(error)) from None
        return self

    def _windows(self, texts: tuple[str, ...]) -> tuple[Windows, ...]:
        openings = tuple(read_opening(text, self.zone) for text in texts)
        freezes = tuple(read_freeze(text, self.zone) for text in self.freezes)
        return (Windows(openings=openings, freezes=freezes),) if openings or freezes else ()

    def named(self, name: str) -> NamedPolicy:
        """Return the policy under its name."""
        asks = Policy(
            names=(name,),
            approvers=(self.approvers,) if self.approvers else (),
            approvals=self.approvals,
            start=self.start,
            soak=self.soak,
            require_proof=self.require_proof,
            require_reason=self.require_reason,
            move=self._windows(self.move_windows),
            delete=self._windows(self.delete_windows),
            own_approval=self.own_approval,
            rotate_every=self.rotate_every,
        )
        return NamedPolicy(environments=self.environments, keys=self.keys, asks=asks)


def _have_names(written: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in unfit(written):
        raise told(f"“{name}” can't be the name of a policy: use 1 to 40 letters, digits, blanks, - and _")
    return written


def unfit(names: Mapping[str, Any]) -> Iterator[str]:
    """Yield each name that can't be one of an entry in a setting."""
    for name in names:
        if not (name and len(name) <= LONGEST and all(letter.isalnum() or letter in " -_" for letter in name)):
            yield name


LONGEST = 40

Policies = Annotated[dict[str, WrittenPolicy], BeforeValidator(structure), AfterValidator(_have_names)]
