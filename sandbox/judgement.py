"""Check each promise at the end of a demo, with a sentence for each."""

from dataclasses import dataclass
from typing import NamedTuple

from sandbox.caller import Callers
from sandbox.company import Company
from sandbox.terminal import Terminal


class Check(NamedTuple):
    """One promise: whether it holds, and the sentence for each case."""

    holds: bool
    so: str
    not_so: str

    @property
    def sentence(self) -> str:
        return self.so if self.holds else self.not_so


@dataclass(frozen=True)
class Beginning:
    """The ids of provider keys and models before the rotation."""

    keys: frozenset[str]
    models: frozenset[str]

    @classmethod
    def of(cls, company: Company) -> "Beginning":
        return cls(frozenset(company.aisix.provider_keys), frozenset(company.aisix.models))


def conclude(terminal: Terminal, found: list[Check]) -> bool:
    """Print every check, and return whether all hold."""
    terminal.say()
    for check in found:
        terminal.say(f"  {'✔' if check.holds else '✗'} {check.sentence}", "" if check.holds else "bold red")
    return all(check.holds for check in found)


def checks(company: Company, before: Beginning, callers: Callers) -> list[Check]:
    """Check the result of a completed rotation."""
    old, keys = company.key.id, company.aisix.provider_keys
    new, more = set(keys) - before.keys, len(set(company.aisix.models) - before.models)
    strays = [model for model in company.models if len(new) != 1 or model.provider_key_id not in new]
    named = ", ".join(f"{model.display_name} in {company.environment_of(model)}" for model in strays)
    return [
        Check(callers.failed == 0, "No request failed.", f"{callers.failed} requests failed."),
        Check(old not in keys, "The old key is gone.", "The old key is still there."),
        Check(
            not strays,
            f"All {len(company.models)} affected models are on the new key.",
            f"Not on the new key: {named}.",
        ),
        Check(
            len(new) == 1,
            "No other key of the rotation is left over.",
            f"The rotation left {len(new)} keys behind instead of 1.",
        ),
        Check(more == 0, "No throw-away model is left over.", f"The rotation left {more} models behind."),
    ]
