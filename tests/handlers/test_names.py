"""Whatever things are called and however many there are, Slack takes the message and nobody is pinged."""

from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.rotation.errors import AmbiguousKey, ApiError, NotFound, Unanswerable, Uncertain, UnknownKey
from bot.rotation.inventory import Environment
from bot.rotation.plan import Plan
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from handlers.errors import explain
from handlers.views.anyway import delete_form
from handlers.views.card import card
from handlers.views.composed import composed
from handlers.views.direct import Shut, direct, settled
from handlers.views.modal import acceptance_form, option, picker, secret_form, take_back_form
from handlers.views.thread import checklist
from sandbox.slack import check_options, check_view
from tests.handlers import records as r
from tests.handlers.limits import complaints, strays

NASTY = (*"`*_~>\u202e\x00\n", "<!channel>", "<!here>", "<@U_MEMBER>", "<!subteam^S1>", "&lt;!here&gt;")
NAMES = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(NASTY), max_size=12).map("".join),
    st.sampled_from(["", " ", "<!channel>" * 1000, "&" * 10_000, "`" * 10_000, "x" * 10_000, "\U0001f600" * 5000]),
)
COUNTS = st.one_of(st.integers(0, 5), st.sampled_from([99, 100, 101, 250]))
SENTENCES = st.one_of(st.text(max_size=200), NAMES)
MANY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = draw(st.lists(NAMES, min_size=1, max_size=4))

    def name(number: int) -> str:
        return names[number % len(names)]

    models = [
        r.model(n, alias=name(n), upstream=name(n + 1), kind=draw(st.just(name(n + 2)))) for n in range(draw(COUNTS))
    ]
    routers = [
        r.model(700 + n, alias=name(n), kind="routing", provider_key=None, refers_to=(("target", m.id),))
        for n, m in enumerate(models[:30])
    ]
    old = r.key(
        display_name=name(0),
        provider=name(1),
        settings={"api_base": name(2), "adapter": name(3)},
        id="7f3a21c0-4c1e-4d0b-9a53-2f8e6d71b604",
    )
    places = tuple(Environment(id=id_, name=name(n)) for n, id_ in enumerate(r.GATEWAYS, start=4))
    return r.plan([*models, *routers], old, draw(st.sampled_from([r.GATEWAYS, ()])), places)


def every_moment(plan: Plan, sentence: str) -> list[Rotation]:
    voids = (r.void(sentence, sentence), r.void(sentence, seconds=400))
    troubles = tuple(r.trouble(seconds=900 + n, about=f"{n}", sentence=sentence, over=n == 1) for n in range(30))
    unsure = r.unsure(r.running("soak", plan, voids=voids, unrehearsed=sentence), reason=sentence)
    heard = r.listening(unsure.but(tally=r.FAILING_CALLERS, replacement=r.replacement(sentence)), (None, 300, None))
    over = {"deleted_at": r.at(303), "approvals": (r.approval(),), "troubles": troubles, "watched": 3}
    tracks = cycle((r.running("verify", plan), r.running("replace", plan), r.going_back(planned=plan), heard))
    return [
        r.awaiting_secret(plan, note=sentence),
        r.running("cut-over", plan, note=sentence, trouble_since=r.at(1)),
        r.nudged(r.awaiting_approval(plan, approvals_required=3, approvals=(r.approval(),)), 50),
        r.going_back(planned=plan, note=sentence),
        r.rolled_back(plan, left_alone=(sentence, sentence)),
        r.cancelled(note=sentence),
        unsure,
        heard.but(state=State.AWAITING_APPROVAL, asked_at=r.at(641)),
        heard.but(**over),
        heard.but(state=State.COMPLETED, ended_at=r.at(3903), left_alone=(sentence,), **over),
        *(r.stopped(track, kind, sentence, sentence) for kind, track in zip(StopKind, tracks, strict=False)),
    ]


def everything_said(rotation: Rotation) -> list[dict[str, Any]]:
    shown = composed(rotation, r.APPROVERS)
    directly = [direct(rotation, Shut.LEFT), settled(rotation, "over")]
    return [shown.card, checklist(rotation), *directly, *(reply.content for reply in shown.replies())]


@settings(MANY, max_examples=12)
@given(plan=plans(), sentence=SENTENCES)
def test_every_message_is_taken_and_pings_nobody(plan: Plan, sentence: str) -> None:
    for rotation in every_moment(plan, sentence):
        for said in everything_said(rotation):
            assert complaints(said) == []
            assert strays(said) == []


@MANY
@given(plan=plans(), name=NAMES)
def test_every_form_is_taken(plan: Plan, name: str) -> None:
    assert check_view(secret_form(r.awaiting_secret(plan), name)) == []
    if plan.models:
        assert check_view(acceptance_form(r.unsure(r.running("soak", plan), reason=name))) == []
    assert check_view(take_back_form(r.running("soak", plan))) == []
    for moment in every_moment(plan, name):
        assert check_view(delete_form(moment)) == []
    assert check_options({"options": [option(plan.old_key)]}) == []
    assert check_view(picker("C_OPS")) == []


@MANY
@given(asked=NAMES, names=st.lists(NAMES, min_size=1, max_size=3))
def test_every_answer_pings_nobody(asked: str, names: list[str]) -> None:
    failed = (kind(f"AISIX does not show `{asked}`.") for kind in (ApiError, NotFound, Uncertain, Unanswerable))
    for error in (UnknownKey(asked, tuple(names)), AmbiguousKey(asked, tuple((n, "pk_1") for n in names)), *failed):
        text, blocks = explain(error)
        said = {"text": text, "blocks": blocks or []}
        assert complaints(said) == []
        assert strays(said) == []


@pytest.mark.parametrize("count", [1, 100, 101, 600])
def test_every_model_is_on_the_card_or_in_the_thread_and_on_the_receipt_whose_last_line_stays(count: int) -> None:
    rotation = r.awaiting_secret(r.plan(r.many(count)))
    replies = composed(r.completed(rotation.plan), "").replies()
    receipt: list[Any] = [reply.content for reply in replies if reply.key.startswith("receipt")]

    for said in (everything_said(rotation), receipt):
        assert all(model.alias in str(said) for model in rotation.plan.models)
    assert "The old API key still works at OpenAI: revoke it there." in receipt[-1]["blocks"][-1]["text"]["text"]


def test_the_model_that_needs_a_look_comes_first_however_many_there_are() -> None:
    rotation = r.failed_before(r.awaiting_approval(r.plan(r.many(600))), 555)

    first = next(block for block in card(rotation).content["blocks"] if block["type"] == "data_table")["rows"][1]

    assert first[1]["text"] == "already failing"


def test_milestones_have_a_key_each() -> None:
    for state in (r.completed(r.plan(r.many(600))), r.nudged(r.awaiting_approval(), 9), r.rolled_back()):
        keys = [reply.key for reply in composed(state, r.APPROVERS).replies()]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", ["x" * 10_000, "<&>" * 3000, "`" * 9999])
def test_however_long_a_sentence_is_a_stop_still_says_what_it_means_and_what_to_press(name: str) -> None:
    blocks = card(r.stopped(r.running("verify"), StopKind.DRIFT, name, f"`{name}` was changed.")).content["blocks"]
    said = [block["text"]["text"] if "text" in block else block["type"] for block in blocks]
    (means,) = (place for place, text in enumerate(said) if "3 of 3 models are on the new key." in text)
    (todo,) = (place for place, text in enumerate(said) if "Next: " in text)

    assert means < todo < said.index("actions") < said.index("data_table")
    assert "*Try again*" in said[todo]
    assert any("ends this rotation" in text for text in said)
