"""Check each promise at the end of a demo, with a sentence for each."""

from dataclasses import dataclass
from typing import NamedTuple

from sandbox.caller import Callers
from sandbox.company import OLD_SECRET, Company
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


def of_secrets(company: Company, found: list[str]) -> list[Check]:
    """Check what became of the secrets: where a piece of one was *found*, and which the provider takes."""
    provider = company.provider
    made = [each for each in provider.credentials.values() if each.owner_name]
    left = [each.owner_name for each in made if each.status == "active"]
    return [
        Check(
            provider.takes(OLD_SECRET) is False,
            f"{provider.title} refuses the old API key.",
            f"{provider.title} still takes the old API key.",
        ),
        Check(
            len(left) == 1,
            f"Of {len(made)} API keys that {provider.title} made, 1 is left: the one in use.",
            f"{len(left)} API keys that {provider.title} made are left: {', '.join(left)}.",
        ),
        Check(
            not found,
            "No new secret, and no admin key of the provider, is in Slack, in the bot's log or in its Redis.",
            f"A piece of a secret is in {' and in '.join(found)}.",
        ),
    ]
