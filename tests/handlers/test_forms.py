"""What is sent from a form reaches the service, and what is wrong with it is said at its field."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from bot.rotation.errors import BadInput, Late, NotAllowed
from bot.rotation.policy import Pressed, acceptable
from bot.rotation.record import Rotation
from handlers.actions import accept_unproved as press
from handlers.answers import Asker
from handlers.background import Background
from handlers.modals import accept_unproved as submit
from handlers.views.modal import MODELS, REASON, VALUE, acceptance_form
from tests.handlers import records as r

PRESSED = Pressed(away=timedelta(0))
BODY = {"user": {"id": r.APPROVER}, "trigger_id": "t1"}


class Rotations:
    """Takes what an approver accepts, or refuses it."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal = refusal
        self.asked: list[Any] = []

    async def offer_acceptance(self, rotation_id: str, *, by: str) -> Rotation:
        self.asked.append((rotation_id, by))
        return r.unsure(r.running("soak"))

    async def accept_unproved(
        self, rotation_id: str, models: list[str], reason: str, *, by: str, shown: str, pressed: Pressed
    ) -> Rotation:
        self.asked.append((rotation_id, models, reason, by, shown, pressed))
        if self.refusal:
            raise self.refusal
        return r.running("verify")


class Client:
    def __init__(self) -> None:
        self.opened: list[Any] = []

    async def views_open(self, **arguments: Any) -> None:
        self.opened.append(arguments)


class Told:
    """What was said to one person."""

    said: ClassVar[list[Any]] = []

    async def tell(self, asker: Asker, words: str) -> None:
        self.said.append((asker.person, words))


class Ack:
    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    async def __call__(self, **said: Any) -> None:
        self.said = said


def filled(reason: str, *models: str) -> dict[str, Any]:
    chosen = {"selected_options": [{"value": model} for model in models]}
    values = {MODELS: {VALUE: chosen}, REASON: {VALUE: {"value": reason}}}
    return {"private_metadata": "r7k2abc 0123abcd", "state": {"values": values}}


async def sent(rotations: Rotations, view: dict[str, Any]) -> dict[str, Any]:
    ack, background = Ack(), Background()
    await submit(ack, view, BODY, rotations, Told(), background, PRESSED)  # type: ignore[arg-type] - stand-ins
    await background.finish(5)
    return ack.said


async def test_the_button_opens_a_form_with_what_may_be_accepted() -> None:
    rotations, client = Rotations(), Client()

    await press(ack=Ack(), action={"value": "r7k2abc"}, body=BODY, client=client, rotations=rotations, answers=None)
    rotation = r.unsure(r.running("soak"))

    assert rotations.asked == [("r7k2abc", r.APPROVER)]
    assert client.opened == [{"trigger_id": "t1", "view": acceptance_form(rotation, acceptable(rotation))}]


async def test_what_is_chosen_is_accepted_and_the_form_closes() -> None:
    rotations = Rotations()

    said = await sent(rotations, filled("their fault", "m_001", "m_003"))

    assert rotations.asked == [("r7k2abc", ["m_001", "m_003"], "their fault", r.APPROVER, "0123abcd", PRESSED)]
    assert said == {"response_action": "clear"}


@pytest.mark.parametrize(
    ("refusal", "field"),
    [
        (BadInput("Say why.", field="reason"), REASON),
        (BadInput("Choose.", field="models"), MODELS),
        (NotAllowed("Only an approver can do this."), MODELS),
        (TimeoutError(), MODELS),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(refusal: Exception, field: str) -> None:
    said = await sent(Rotations(refusal), filled(""))

    assert said["response_action"] == "errors"
    assert list(said["errors"]) == [field]
    assert str(refusal) in said["errors"][field]


@pytest.mark.parametrize("refusal", [BadInput("Out of date.", field="models"), TimeoutError()])
async def test_a_form_without_models_says_what_is_wrong_at_its_one_field(refusal: Exception) -> None:
    view = filled("tried with curl")
    del view["state"]["values"][MODELS]
    rotations = Rotations(refusal)
    said = await sent(rotations, view)

    assert rotations.asked == [("r7k2abc", [], "tried with curl", r.APPROVER, "0123abcd", PRESSED)]
    assert list(said["errors"]) == [REASON]


async def test_a_form_that_comes_too_late_is_also_answered_directly():
    Told.said.clear()
    said = await sent(Rotations(Late("It came late.")), filled("their fault", "m_001"))

    assert said["errors"] == {MODELS: "It came late."}
    assert Told.said == [(r.APPROVER, "It came late.")]


def test_each_option_is_a_model_with_what_is_known_of_it() -> None:
    rotation = r.unsure(r.running("soak"))
    options = acceptance_form(rotation, rotation.plan.models)["blocks"][1]["element"]["options"]

    assert [option["value"] for option in options] == [model.id for model in rotation.plan.models]
    assert options[2]["text"]["text"] == "chat-large in staging"
    assert options[2]["description"]["text"] == r.RATE_LIMITED.reason
