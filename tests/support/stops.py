"""Which stop fits which fault: what people may be told, at three in the morning, when a service comes to grief.

A fault that is not in the table stops nothing: counters that cannot be read, a crash, Slack or Redis away. None of the
stops says a word against the secret, since that is good.
"""

import re
from collections.abc import Iterable

from bot.rotation.stops import StopKind
from tests.support.plug import Fault, Halt, Plan

BROKEN_OFF = r"AISIX (broke off its answer|does not answer \(no connection\))\."
SAID = {
    "control plane": {
        Fault.RESET: BROKEN_OFF,
        Fault.LOST: BROKEN_OFF,
        Fault.TIME_OUT: r"AISIX is not answering \(time-out\)\.",
        Fault.LIMITED: r"AISIX limits the rate \(429\)\.",
        Fault.ERROR: r"AISIX had an error \(500\)\.",
        Fault.GARBAGE: r"AISIX answered /\S+ with something that is not JSON\.",
    },
    "gateway": {
        Fault.RESET: r"no answer \(no connection\)",
        Fault.LOST: r"no answer \(no connection\)",
        Fault.TIME_OUT: r"no answer \(time-out\)",
        Fault.LIMITED: r"the rate is limited \(429\)",
        Fault.ERROR: r"the upstream or the gateway had an error \(500\)",
        Fault.GARBAGE: r"the answer was not one that a model gives \(200\)",
    },
}
"""How the fault of a service is called, as a pattern."""

WHERE = {
    "control plane": r"(AISIX does not show the .+\. )?{} I have tried for \d+ s\.",
    "gateway": r"(In the rehearsal in production|in production a model made after the change|"
    r".*`chat-large` in production( does not answer)?): {}(, for \d+ s now)?\.",
}


def unfit(halts: Iterable[Halt]) -> list[str]:
    """Return the stops that fit no fault behind them."""
    return [f"{halt}" for halt in halts if not any(_fits(halt, plan) for plan in halt.behind)]


def _fits(halt: Halt, plan: Plan) -> bool:
    service, said = plan.call.service, SAID.get(plan.call.service, {}).get(plan.fault)
    kinds = {StopKind.TROUBLE} if service == "control plane" else {StopKind.TROUBLE, StopKind.UNVERIFIED}
    if said is None or halt.stop.kind not in kinds:
        return False
    return re.fullmatch(WHERE[service].format(said.replace("{", "{{")), halt.stop.sentence) is not None
