"""The steps: one file each, named after the step, with a function of the same name.

`bot/rotation/states.py` has their order. If a step there has no file here, the bot fails at the start.
"""

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module

from bot.rotation.record import Rotation
from bot.rotation.states import StepName
from bot.steps.outcomes import Outcome
from bot.steps.world import World

Run = Callable[[Rotation, World], Awaitable[Outcome]]


def _function_of(step: StepName) -> Run:
    name = step.value.replace("-", "_")
    function: Run = getattr(import_module(f"bot.steps.{name}"), name)
    return function


RUN: Mapping[StepName, Run] = {step: _function_of(step) for step in StepName}
"""The function of each step."""
