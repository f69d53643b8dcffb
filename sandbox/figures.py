"""The demo's judgement: for how long callers were on a refused secret, and whether the end is as promised."""

from typing import NamedTuple

from sandbox.aisix import Event
from sandbox.caller import Callers
from sandbox.company import Company


class Check(NamedTuple):
    """One thing that has to be so at the end, whether it is, and how it is said in both cases."""

    holds: bool
    so: str
    not_so: str

    @property
    def sentence(self) -> str:
        return self.so if self.holds else self.not_so


class Window:
    """Watches for how long any affected model, saved or at a gateway, has a secret that the provider refuses."""

    def __init__(self, company: Company) -> None:
        self.start: float | None = None
        self.end: float | None = None
        self._aisix = company.aisix
        self._watched = [model.id for model in company.models]
        self._refused: set[str] = set()
        self._aisix.on_change(self._look)

    @property
    def open(self) -> bool:
        """Whether callers are on a refused secret at this moment."""
        return self.start is not None and self.end is None

    @property
    def seconds(self) -> float:
        """How long it was; 0 if it never was."""
        return self.end - self.start if self.start and self.end else 0.0

    @property
    def bounds(self) -> tuple[float, float]:
        """The moments between which failures are put down to the refused secret; the second is endless while open."""
        return (self.start or 0.0, (self.end or float("inf")) if self.start else 0.0)

    def _look(self, event: Event) -> None:
        if event.kind not in ("row", "projected"):
            return
        accepts = self._aisix.upstream.accepts
        self._refused |= {key.id for key in self._aisix.provider_keys.values() if not accepts(key.secret)}
        if self._exposed():
            self.start, self.end = self.start or event.at, None
        elif self.open:
            self.end = event.at

    def _exposed(self) -> bool:
        """Look at the affected models only: a rehearsal's throw-away models have no callers."""
        saved = self._aisix.models
        snapshots = [replica.projection.snapshot.tables["models"] for replica in self._aisix.all_replicas()]
        fields = [saved[id_].fields for id_ in self._watched if id_ in saved]
        fields += [models[id_] for models in snapshots for id_ in self._watched if id_ in models]
        return any(each.get("provider_key_id") in self._refused for each in fields)


class Figures(NamedTuple):
    """What the callers counted."""

    sent: int
    failed: int
    inside: int
    """Failures while models were on the refused secret."""

    @property
    def outside(self) -> int:
        return self.failed - self.inside


def figures(callers: Callers, window: Window) -> Figures:
    """Sum up the callers."""
    return Figures(callers.sent, callers.failed, callers.failed_between(*window.bounds))


def checks(company: Company, before: set[str], counted: Figures) -> list[Check]:
    """Judge the end; *before* are the ids of the provider keys that there were at the beginning."""
    old, keys = company.key.id, company.aisix.provider_keys
    new = set(keys) - before
    strays = [model for model in company.models if len(new) != 1 or model.provider_key_id not in new]
    named = ", ".join(f"{model.display_name} in {company.environment_of(model)}" for model in strays)
    return [
        Check(old not in keys, "The old key is gone.", "The old key is still there."),
        Check(
            not strays,
            f"All {len(company.models)} affected models are on the replacement.",
            f"Not on the replacement: {named}.",
        ),
        Check(
            len(new) == 1,
            "No other key of the rotation is left over.",
            f"The rotation left {len(new)} keys behind instead of 1.",
        ),
        Check(
            counted.outside == 0,
            "No request failed outside the window of the wrong secret.",
            f"{counted.outside} requests failed outside the window of the wrong secret.",
        ),
    ]
