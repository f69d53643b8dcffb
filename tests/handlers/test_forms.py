"""What is sent from a form reaches the service, and what is wrong with it is said at its field."""

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from slack_sdk.errors import SlackApiError

from bot.rotation.actions import Action
from bot.rotation.errors import BadInput, Late, NotAllowed
from bot.rotation.flags import shown_of
from bot.rotation.policy import Chosen, Pressed, mark_of, picked
from bot.rotation.record import Rotation
from handlers.actions import accept_unproved as press
from handlers.actions import another_secret, delete_old_key
from handlers.background import Background
from handlers.forms import Forms
from handlers.modals import accept_unproved as submit
from handlers.modals import delete_anyway, take_back
from handlers.refusals import REMEMBERED, Refusals
from handlers.slack import SlackAway
from handlers.views.anyway import delete_form
from handlers.views.buttons import SHOWN
from handlers.views.buttons import press as press_of
from handlers.views.evidence import against
from handlers.views.modal import (
    CAUSES,
    MODELS,
    REASON,
    SECRET_FORM,
    VALUE,
    acceptance_form,
    secret_form,
    take_back_form,
)
from sandbox.slack import check_view
from tests.handlers import records as r
from tests.handlers.cases import STOPS

PRESSED = Pressed(away=timedelta(0))
BODY = {"user": {"id": r.APPROVER}, "trigger_id": "t1"}


class Remembered(dict[str, str]):
    """The store's memory of what the workspace refused."""

    async def messages(self, _: str) -> dict[str, str]:
        return dict(self)

    async def remember_message(self, _: str, fields: dict[str, str]) -> None:
        self.update(fields)


def forms_of(client: AsyncMock, store: Remembered | None = None, now: datetime = r.ASKED) -> Forms:
    refusals = Refusals(Remembered() if store is None else store, lambda: now)  # type: ignore[arg-type] - a stand-in
    return Forms(client, refusals)


def filled(reason: str, *causes: str, models: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what Slack sends of a form; one that lists no model has no field for them."""
    chosen = {
        field: {VALUE: {"selected_options": [{"value": value} for value in values]}}
        for field, values in ((CAUSES, causes), (MODELS, models))
        if values
    }
    return {"private_metadata": "r7k2abc 0123abcd", "state": {"values": {**chosen, REASON: {VALUE: {"value": reason}}}}}


async def sent(view: dict[str, Any], refusal: Exception | None = None) -> tuple[dict[str, Any], AsyncMock, AsyncMock]:
    """Send a form; return how it was answered, the service that took or refused it, and what else was said."""
    ack, rotations, answers, background = AsyncMock(), AsyncMock(), AsyncMock(), Background()
    rotations.accept_unproved.side_effect = refusal
    await submit(ack, view, BODY, rotations, answers, background, PRESSED)
    await background.finish(5)
    return ack.await_args.kwargs, rotations.accept_unproved, answers.tell


async def test_the_button_opens_a_form_with_what_may_be_accepted_and_what_is_known_of_it() -> None:
    rotation, rotations, client = r.unsure(r.running("soak")), AsyncMock(), AsyncMock()
    rotations.offer_acceptance.return_value = rotation
    view = acceptance_form(rotation)

    await press(
        ack=AsyncMock(),
        action={"value": "r7k2abc"},
        body=BODY,
        rotations=rotations,
        forms=forms_of(client),
        answers=None,
        pressed=PRESSED,
        step_up=None,
    )

    rotations.offer_acceptance.assert_awaited_once_with("r7k2abc", by=r.APPROVER)
    client.views_open.assert_awaited_once_with(trigger_id="t1", view=view)


def options(view: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return what may be chosen in each field of a form, and what it says beside that."""
    return {
        block["block_id"]: [(one["text"]["text"], one["description"]["text"]) for one in block["element"]["options"]]
        for block in view["blocks"]
        if "options" in block.get("element", {})
    }


def test_models_of_one_cause_are_one_box_and_each_of_them_can_be_chosen_alone() -> None:
    rotation, limited = r.unsure(r.running("soak")), r.RATE_LIMITED.reason

    assert options(acceptance_form(rotation)) == {
        CAUSES: [(f"All 3: {limited}", "chat-large, support-embed, chat-large")],
        MODELS: [
            ("chat-large in production", limited),
            ("support-embed in production", limited),
            ("chat-large in staging", limited),
        ],
    }
    assert options(acceptance_form(r.unsure_because(rotation, "a", "b", "c"))) == {
        CAUSES: [
            ("chat-large in production", "a"),
            ("support-embed in production", "b"),
            ("chat-large in staging", "c"),
        ]
    }


@pytest.mark.parametrize(("number", "kind"), [(10, "checkboxes"), (11, "multi_static_select")])
def test_up_to_ten_causes_are_boxes_and_more_are_a_menu(number: int, kind: str) -> None:
    many = r.running("soak", r.plan(r.many(number)))
    blocks = acceptance_form(r.unsure_because(many, *map(str, range(number))))["blocks"]

    assert [block["element"]["type"] for block in blocks if block.get("block_id") == CAUSES] == [kind]


def test_a_cause_that_does_not_fit_into_its_box_is_said_in_full_before() -> None:
    form = acceptance_form(r.unsure_because(r.running("soak"), r.LIKELY))

    assert f"• All 3: {r.LIKELY}" in form["blocks"][1]["text"]["text"]


def test_a_cause_stands_for_all_its_models_and_what_the_form_did_not_have_for_none() -> None:
    rotation = r.unsure_because(r.running("soak"), "a", "b", "a")
    first, second, third = (model.id for model in rotation.plan.models)

    def of(*names: str, causes: tuple[str, ...] = ()) -> list[str]:
        return [model.id for model in picked(rotation, Chosen(frozenset(names), frozenset(map(mark_of, causes))))]

    assert of(causes=("a",)) == [first, third]
    assert of(second, causes=("a",)) == [first, second, third]
    assert of(second) == [second]
    assert of(second, "m_unknown") == of(second, causes=("c",)) == of() == []


@pytest.mark.parametrize("causes", [("c1", "c2"), ()], ids=["some causes", "a form without models"])
async def test_what_is_chosen_is_accepted_and_the_form_closes(causes: tuple[str, ...]) -> None:
    said, accept, _ = await sent(filled("their fault", *causes, models=("m_001",) if causes else ()))

    chosen = Chosen(frozenset({"m_001"}), frozenset(causes)) if causes else Chosen()
    accept.assert_called_once_with("r7k2abc", chosen, "their fault", by=r.APPROVER, shown="0123abcd", pressed=PRESSED)
    assert said == {"response_action": "clear"}


@pytest.mark.parametrize(
    ("refusal", "causes", "field"),
    [
        (BadInput("Say why.", field="reason"), ["m_001"], REASON),
        (BadInput("Choose.", field="models"), ["c1"], CAUSES),
        (BadInput("Out of date.", field="models"), [], REASON),
        (NotAllowed("Only an approver can do this."), ["c1"], CAUSES),
        (TimeoutError(), ["c1"], CAUSES),
        (TimeoutError(), [], REASON),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(refusal: Exception, causes: list[str], field: str) -> None:
    said, _, _ = await sent(filled("", *causes), refusal)

    assert said["response_action"] == "errors"
    assert list(said["errors"]) == [field]
    assert str(refusal) in said["errors"][field]


async def test_a_form_that_comes_too_late_is_also_answered_directly() -> None:
    said, _, tell = await sent(filled("their fault", "c1"), Late("It came late."))

    assert said["errors"] == {CAUSES: "It came late."}
    assert [(told.args[0].person, told.args[1]) for told in tell.await_args_list] == [(r.APPROVER, "It came late.")]


# --- Delete old key, although something speaks against it ---

FLAGGED = r.listening(r.awaiting_approval(tally=r.FAILING_CALLERS))
CARD = {"value": FLAGGED.id, "block_id": f"{SHOWN}{shown_of(FLAGGED)}", "action_ts": "1.5"}
GIVEN = {"by": r.APPROVER, "pressed": PRESSED, "shown": shown_of(FLAGGED)}


@pytest.mark.parametrize("offered", [FLAGGED, None], ids=["a flag", "none"])
async def test_a_click_on_delete_approves_only_where_nothing_speaks_against_it(offered: Rotation | None) -> None:
    rotations, client = AsyncMock(), AsyncMock()
    rotations.offer_delete.return_value = offered
    more = {"rotations": rotations, "forms": forms_of(client), "answers": None, "pressed": PRESSED, "step_up": None}
    await delete_old_key(ack=AsyncMock(), action=CARD, body=BODY, **more)

    rotations.offer_delete.assert_awaited_once_with(FLAGGED.id, **GIVEN)
    if offered:
        client.views_open.assert_awaited_once_with(trigger_id="t1", view=delete_form(FLAGGED))
        rotations.approve.assert_not_awaited()
    else:
        rotations.approve.assert_awaited_once_with(FLAGGED.id, **GIVEN, click="t1/1.5")
        client.views_open.assert_not_awaited()


def test_the_form_says_all_that_speaks_against_the_delete_and_no_dialog_asks_before_it() -> None:
    said = delete_form(FLAGGED)["blocks"][0]["text"]["text"]

    assert all(sentence in said for sentence in against(FLAGGED))
    assert "confirm" not in press_of(Action.DELETE_OLD_KEY, FLAGGED)
    assert "confirm" in press_of(Action.DELETE_OLD_KEY, r.awaiting_approval())


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (None, ""),
        (BadInput("What speaks against the delete has changed.", field="reason"), "has changed"),
        (NotAllowed("Only an approver can do this."), "Only an approver"),
        (Late("It came late."), "It came late."),
        (TimeoutError(), "see the card for whether it was taken"),
    ],
)
async def test_the_form_approves_with_its_reason_and_says_at_its_field_what_is_wrong(
    refusal: Exception | None, words: str
) -> None:
    ack, rotations, answers, background = AsyncMock(), AsyncMock(), AsyncMock(), Background()
    rotations.approve.side_effect = refusal
    view = delete_form(FLAGGED) | {"id": "V1", "state": {"values": {REASON: {VALUE: {"value": "by hand"}}}}}
    await delete_anyway(ack, view, BODY, rotations, answers, background, PRESSED)
    await background.finish(5)

    rotations.approve.assert_called_once_with(FLAGGED.id, **GIVEN, click="form/V1", reason="by hand")
    said = ack.await_args.kwargs
    assert said["response_action"] == ("errors" if refusal else "clear")
    assert words in said.get("errors", {REASON: ""})[REASON]
    assert answers.tell.await_count == isinstance(refusal, Late)


# --- Another secret ---


async def clicked(found: Rotation) -> dict[str, Any]:
    """Press **Another secret** and return the form that opens, if the service answers with what it *found*."""
    rotations, client = (
        AsyncMock(needs_reason=Mock(return_value=False), reference_hint=Mock(return_value="")),
        AsyncMock(),
    )
    rotations.proposed_name = lambda _: "new"
    rotations.another_secret.return_value = found
    opened = {
        "rotations": rotations,
        "forms": forms_of(client),
        "announcer": None,
        "answers": None,
        "secret_pages": None,
    }
    await another_secret(ack=AsyncMock(), action={"value": "r7k2abc"}, body=BODY, **opened)
    rotations.another_secret.assert_awaited_once_with("r7k2abc", by=r.APPROVER)
    return client.views_open.await_args.kwargs["view"]


async def test_another_secret_asks_before_models_move_back_and_opens_the_secrets_form_where_none_does() -> None:
    assert (await clicked(STOPS["rejected"]))["submit"]["text"] == "Move 3 models back"
    assert (await clicked(r.withdrawing()))["callback_id"] == SECRET_FORM


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (r.withdrawing(), "Slack doesn't hide what you type"),
        (STOPS["rejected"], "When you send this, 3 models go back"),
        (NotAllowed("Only the requester can."), "Only the requester can."),
        (TimeoutError(), "see the card for whether it was taken"),
    ],
    ids=["agreed", "others have moved since", "refused", "slow"],
)
async def test_what_follows_comes_in_the_place_of_the_question(answer: Rotation | Exception, shown: str) -> None:
    ack, rotations = AsyncMock(), AsyncMock(needs_reason=Mock(return_value=False), reference_hint=Mock(return_value=""))
    rotations.proposed_name = lambda _: "new"
    rotations.another_secret.side_effect = [answer]

    await take_back(ack, take_back_form(STOPS["rejected"]), BODY, rotations, forms_of(AsyncMock()), None)

    rotations.another_secret.assert_awaited_once_with("r7k2abc", by=r.APPROVER, agreed=3)
    assert ack.await_args.kwargs["response_action"] == "update"
    view = ack.await_args.kwargs["view"]
    assert shown in str(view)
    assert check_view(view) == []
    assert "alert" not in [block["type"] for block in view["blocks"]], "nobody would hear that Slack refused it"


# --- a workspace without the newest blocks ---

OPENED = ""


@pytest.mark.parametrize(
    ("answers", "tried", "later"),
    [
        ([OPENED], ["alert"], "alert"),
        (["invalid_blocks", OPENED], ["alert", "section"], "section"),
        (["invalid_arguments", OPENED], ["alert", "section"], "section"),
        (["invalid_arguments", "exchanged_trigger_id"], ["alert", "section"], "section"),
        (["expired_trigger_id"], ["alert"], "alert"),
    ],
)
async def test_a_form_that_slack_refuses_comes_again_without_alerts_and_so_does_every_later_one(
    answers: list[str], tried: list[str], later: str
) -> None:
    client, store = AsyncMock(), Remembered()
    forms, form = forms_of(client, store), secret_form(r.awaiting_secret(), "new")
    await forms.open("t0", acceptance_form(r.unsure(r.running("soak"))), "")
    client.views_open.side_effect = [
        SlackApiError(error, {"ok": False, "error": error}) if error else None for error in answers
    ]

    if answers[-1] == OPENED:
        await forms.open("t1", form, "")
    else:
        with pytest.raises(SlackAway, match="Slack did not open the form"):
            await forms.open("t1", form, "")
    client.views_open.side_effect = None
    await forms.open("t2", form, "")
    await forms_of(client, store).open("another process", form, "")
    await forms_of(client, store, now=r.ASKED + REMEMBERED).open("a day later", form, "")

    _without_alerts, *opened = client.views_open.await_args_list
    warnings = [call.kwargs["view"]["blocks"][1] for call in opened]
    assert [block["type"] for block in warnings] == [*tried, later, later, "alert"]
    assert forms.certain(form)["blocks"][1]["type"] == later
    assert all("Slack doesn't hide what you type" in block["text"]["text"] for block in warnings)


async def test_a_form_that_slack_does_not_put_in_the_place_of_another_says_what_helps() -> None:
    client = AsyncMock()
    await forms_of(client).replace("V1", {"type": "modal", "blocks": []}, "Type it.")
    assert client.views_update.await_args.kwargs["view_id"] == "V1"

    client.views_update.side_effect = SlackApiError("", {"error": "not_found"})
    with pytest.raises(SlackAway, match=r"did not open the form\. Type it\."):
        await forms_of(client).replace("V1", {"type": "modal", "blocks": []}, "Type it.")
