"""On a phone, all that decides is on the first screen: state, alarm, next move and the buttons about the rotation."""

from collections.abc import Mapping
from typing import Any

import pytest
from playwright.sync_api import Page

from bot.rotation.actions import Action
from bot.rotation.inventory import BUDGETS, ROUTES, Environment, Inventory, Unlisted
from bot.rotation.plan import Plan, make_plan
from bot.rotation.policy import BESIDE, offered
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import Cause
from handlers.views import words
from handlers.views.around import Around
from handlers.views.card import card
from tests.browser.test_drawing import drawn
from tests.handlers import records as r
from tests.handlers.cases import PLACES, ROTATIONS

pytestmark = pytest.mark.timeout(600)

PHONE = {"width": 390, "height": 700}
ENVIRONMENTS = tuple(Environment(id=f"env_{n}", name=f"eu-west-{n}-production") for n in range(40))
BARS = 140
"""Pixels of the screen that Slack's own title bar and message box take."""


LATER = {*BESIDE, Action.EXPOSED, Action.REVIEW}
"""What asks, reports or ends a task: it decides nothing about the rotation, and may stand below the first screen."""


LEAKS = {"exposed-attacked-in-the-watch", "exposed-watch", "exposed-watch-trouble"}
"""Cards of a leak after the delete say so much first that a phone has to be swiped once."""


@pytest.fixture
def page(opened) -> Page:
    return opened(path="draw", viewport=PHONE)


def bottom(page: Page, rotation: Rotation) -> float:
    """Return where the last button that decides ends, or without one the next move, in pixels from the top."""
    content = card(rotation, Around(places=PLACES)).content
    blocks: Any = content["blocks"]
    move = words.first_move(rotation)[0][:20]
    last = max(n for n, block in enumerate(blocks) if move in str(block))
    rows = [n for n, block in enumerate(blocks) if block["type"] == "actions" and offered(rotation)]
    drawn(page, content | {"blocks": blocks[: max([*rows[:1], last]) + 1]}, now="2026-11-23T14:30:00Z")
    assert page.locator("#drawing .actions button").count() >= len(offered(rotation))
    deciding = {action.value for action in offered(rotation) if action not in LATER}
    buttons = [one for one in page.locator("#drawing .actions button").all() if one.text_content() in deciding]
    boxes = [one.bounding_box() for one in buttons or [page.locator("#drawing .block").nth(last)]]
    return max(box["y"] + box["height"] for box in boxes if box)


def planned(count: int) -> Plan:
    """Return the plan of a key that *count* models in 40 environments use."""
    models = tuple(m.but(environment=ENVIRONMENTS[n % 40].id) for n, m in enumerate(r.many(count)))
    key = r.key(allowed_environments=tuple(e.id for e in ENVIRONMENTS))
    gateways = [environment.id for environment in ENVIRONMENTS]
    seen = Inventory(environments=ENVIRONMENTS, keys=(key,), models=(*models, *r.ROUTERS), routes=(r.route(),))
    plan = make_plan(seen, key, gateways)
    unlisted = tuple(Unlisted(kind=kind, environment=e.id) for e in ENVIRONMENTS for kind in (BUDGETS, ROUTES))
    return plan.but(unlisted=unlisted)


def worst(plan: Plan) -> dict[str, Rotation]:
    """Return a rotation in every state, and at every stop, with all that can speak against going on."""
    more = f", and {len(plan.models) - 1} more" if len(plan.models) > 1 else ""
    many = f"`{plan.models[0].alias}` in eu-west-0-production{more}"
    where = ", ".join(f"`{environment.name}`" for environment in ENVIRONMENTS)
    said = dict.fromkeys(
        ("models", "users", "model", "changes", "note", "why", "error", "trouble", "refusal"),
        f"{many}: {r.REFUSED_401.reason}",
    )
    said |= dict.fromkeys(("environments", "where", "lists"), where)
    said |= {"reason": r.REFUSED_401.reason, "field": "api_base", "how": "two names", "routes": "`raw`"}
    said |= {"took": "the lists took 12 s", "time": "10 minutes", "reference": "00c0ffee", "most": 5}
    said |= {"account": "openai-prod", "provider": "OpenAI", "name": "keyturn-r7k2abc-1", "number": 3}
    heard = r.accepted(r.failed_before(r.awaiting_approval(plan, tally=r.FAILING_CALLERS, unrehearsed="x" * 200)), 0)
    asked = r.listening(heard, (None, 640, 300)).but(voids=(r.void(), r.lapsed()), approvals_required=3)
    states = {
        State.AWAITING_SECRET: r.awaiting_secret(plan),
        State.RUNNING: r.running("cut-over", plan, note="AISIX is not answering. " * 5, trouble_since=r.at(34)),
        State.AWAITING_START: r.awaiting_start(plan),
        State.AWAITING_APPROVAL: asked,
        State.ROLLING_BACK: r.going_back(("point-back",), plan),
        State.COMPLETED: r.completed(plan, left_alone=("`late` in staging fails: point it at the new key." * 3,) * 9),
        State.ROLLED_BACK: r.rolled_back(plan, left_alone=("`late` in staging is left alone." * 3,) * 9),
        State.CANCELLED: r.cancelled(plan=plan),
    }
    watched = r.watched(plan, troubles=tuple(r.trouble(n % 3, about=f"{n}") for n in range(40)))
    stops = {
        cause.name: r.stopped_by(cause, r.running("recheck", plan, tally=r.FAILING_CALLERS), **said) for cause in Cause
    }
    return {**{str(state): rotation for state, rotation in states.items()}, "watch": watched, **stops}


def too_low(page: Page, rotations: Mapping[str, Rotation]) -> dict[str, float]:
    """Return the cards whose last button is below the first screen, and where it ends."""
    ends = {name: bottom(page, rotation) for name, rotation in rotations.items()}
    return {name: end for name, end in ends.items() if end > PHONE["height"] - BARS}


def test_all_buttons_that_decide_of_every_golden_card_are_on_the_first_screen_of_a_phone(page: Page):
    assert set(too_low(page, ROTATIONS)) == LEAKS


@pytest.mark.parametrize("count", [1, 12, 500])
def test_all_buttons_that_decide_are_there_for_any_number_of_models_in_40_environments_in_every_state(
    page: Page, count: int
):
    rotations = worst(planned(count))

    assert {rotation.state for rotation in rotations.values()} == {*State}
    assert too_low(page, rotations) == {}
