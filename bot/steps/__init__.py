"""The steps: one file each, called as the step, with a function of the same name.

The order of the work stands in `bot/rotation/states.py`. A step that is named there and has no file fails at the start.
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
"""What each step does."""
