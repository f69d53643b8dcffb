"""A card and its thread are composed once: what one of them finds out, the other is told."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.rotation.record import Rotation
from handlers.views import card, composed, words
from tests.handlers import records as r
from tests.handlers.test_replies import Thread


class Counted:
    """Stands for a function, calls it, and counts."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.function(*args)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counted]:
    places = [(words, "impact"), (words, "alarm"), (words, "then"), (card, "table"), (composed, "card")]
    counts = {name: Counted(getattr(module, name)) for module, name in places}
    for module, name in places:
        monkeypatch.setattr(module, name, counts[name])
    return counts


MANY = r.plan(r.many(500))
MOMENTS = [r.awaiting_secret(MANY), r.running("verify", MANY), r.awaiting_approval(MANY), r.completed(MANY)]


@pytest.mark.parametrize("rotation", MOMENTS, ids=lambda rotation: rotation.state)
async def test_to_show_a_rotation_its_card_is_composed_once(rotation: Rotation, counted: dict[str, Counted]) -> None:
    await Thread().show(rotation)

    assert {name: count.calls for name, count in counted.items()} == dict.fromkeys(counted, 1)


@pytest.mark.parametrize("links", [0, 3])
@pytest.mark.parametrize("models", [1, 60, 99, 100])
def test_the_thread_lists_the_models_exactly_where_the_card_that_is_shown_has_no_room(models: int, links: int) -> None:
    others = ("<https://keyturn.slack.com/archives/C_OPS/p1|asked for by> <@U_MEMBER>" * 3,) * links
    rotation = r.awaiting_secret(r.plan([r.model(n, alias=f"m{n}-{'x' * 70}") for n in range(models)]))
    shown = composed.composed(rotation, r.APPROVERS, others)
    rows = next(len(block["rows"]) - 1 for block in shown.card["blocks"] if block["type"] == "table")

    assert any(reply.key == "listing" for reply in shown.replies) is (rows < models)
