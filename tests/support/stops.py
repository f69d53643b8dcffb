"""Which stop fits which fault: what people may be told, at three in the morning, when a service comes to grief.

A fault that is not in the table stops nothing: counters that cannot be read, a crash, Slack or Redis away. None of the
stops in it says a word against the secret, since that is good.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.rotation.states import StepName
from bot.rotation.stops import StopKind
from tests.support.plug import Fault, Halt, Plan

SAID_OF_CONTROL_PLANE = {
    Fault.RESET: r"AISIX (broke off its answer|does not answer \(no connection\))\.",
    Fault.LOST: r"AISIX (broke off its answer|does not answer \(no connection\))\.",
    Fault.TIME_OUT: r"AISIX is not answering \(time-out\)\.",
    Fault.LIMITED: r"AISIX limits the rate \(429\)\.",
    Fault.ERROR: r"AISIX had an error \(500\)\.",
    Fault.GARBAGE: r"AISIX answered /\S+ with something that is not JSON\.",
}
SAID_OF_GATEWAY = {
    Fault.RESET: r"no answer \(no connection\)",
    Fault.LOST: r"no answer \(no connection\)",
    Fault.TIME_OUT: r"no answer \(time-out\)",
    Fault.LIMITED: r"the rate is limited \(429\)",
    Fault.ERROR: r"the upstream or the gateway had an error \(500\)",
    Fault.GARBAGE: r"the answer was not one that a model gives \(200\)",
}
SAID = {"control plane": SAID_OF_CONTROL_PLANE, "gateway": SAID_OF_GATEWAY}
"""How the fault of a service is called, as a pattern."""

TROUBLE, UNVERIFIED = StopKind.TROUBLE, StopKind.UNVERIFIED


@dataclass(frozen=True)
class Fit:
    """What may be said of a fault of *service*, in one step or in any."""

    service: str
    step: StepName | None
    kind: StopKind
    headline: str
    sentence: str
    """As a pattern; `{said}` is what the fault is called."""


FITS = (
    Fit(
        "control plane",
        None,
        TROUBLE,
        "no usable answer",
        r"(AISIX does not show the .+\. )?{said} I have tried for \d+ s\.",
    ),
    Fit(
        "gateway",
        StepName.REHEARSE,
        UNVERIFIED,
        "the rehearsal came to no result",
        r"In the rehearsal in production: {said}\.",
    ),
    Fit(
        "gateway",
        StepName.PROJECT,
        UNVERIFIED,
        "the new secret is not proved",
        r"in production a model made after the change: {said}\.",
    ),
    Fit(
        "gateway",
        StepName.VERIFY,
        UNVERIFIED,
        "the new secret is not proved",
        r"`chat-large` in production: {said}(, for \d+ s now)?\.",
    ),
    Fit(
        "gateway",
        StepName.VERIFY_BACK,
        TROUBLE,
        "a model does not answer on the old key",
        r"Pointed back at the old key, but `chat-large` in production does not answer: {said}\.",
    ),
)


def unfit(halts: Iterable[Halt]) -> list[str]:
    """Return the stops that fit no fault behind them."""
    return [f"{halt}" for halt in halts if not any(fits(halt, plan) for plan in halt.behind)]


def fits(halt: Halt, plan: Plan) -> bool:
    """Tell whether a stop says what is so when *plan* has happened."""
    said = SAID.get(plan.call.service, {}).get(plan.fault)
    return said is not None and any(_is(fit, halt, said) for fit in FITS if fit.service == plan.call.service)


def _is(fit: Fit, halt: Halt, said: str) -> bool:
    stop = halt.stop
    same = (fit.kind, fit.headline, fit.step or stop.step) == (stop.kind, stop.headline, stop.step)
    return same and re.fullmatch(fit.sentence.replace("{said}", said), stop.sentence) is not None
