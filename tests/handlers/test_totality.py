"""Nothing is left without words, without a button, or without somebody who listens."""

import json
from typing import Any

import pytest

from bot.rotation.actions import Action
from bot.rotation.parts import Way
from bot.rotation.policy import BESIDE, IN_STATE, offered
from bot.rotation.receipt import document
from bot.rotation.record import Rotation
from bot.rotation.revoking import is_under_way
from bot.rotation.states import State
from bot.rotation.stops import HELP, Cause, StopKind
from handlers.actions import LISTENERS, MENUS
from handlers.views import alarm, callers, choices, watch, words
from handlers.views.blocks import escaped, visible
from handlers.views.buttons import press
from handlers.views.card import card, title
from handlers.views.links import LINKS
from handlers.views.plainer import NEWER, without
from handlers.views.receipt import receipt
from handlers.views.thread import checklist
from sandbox.slack.reading import spoken
from tests.handlers import records as r
from tests.handlers.cases import CASES, ROTATIONS, STOPS, THREADS
from tests.handlers.test_manifest import registered


def stop_of(kind: StopKind, rotation: Rotation) -> Rotation:
    return r.stopped(rotation, kind, "a headline", "A sentence.")


@pytest.mark.parametrize("kind", StopKind)
@pytest.mark.parametrize("step", ["replace", "verify"])
def test_every_stop_says_what_happened_what_it_means_and_what_to_press(kind: StopKind, step: str) -> None:
    rotation = stop_of(kind, r.running(step))
    happened, means, asks, *todo = alarm.next_move(rotation).split("\n")

    assert happened == "A sentence."
    assert "callers" in means or "keys are" in means
    assert "<@U_REQUESTER> or an approver" in asks
    assert [line.split("*")[1] for line in todo] == [one.value for one in offered(rotation) if one not in BESIDE]


def test_every_kind_of_stop_is_in_every_table() -> None:
    assert set(HELP) == {cause.kind for cause in Cause} == {stopped.stop.kind for stopped in STOPS.values()}


@pytest.mark.parametrize("kind", [StopKind.REFUSED, StopKind.TROUBLE])
def test_every_stop_at_the_creation_without_a_new_key_says_that_the_secret_is_asked_for_again(kind: StopKind) -> None:
    """The other kinds speak of a new key that is there."""
    rotation = stop_of(kind, r.running("replace"))
    made = rotation.but(replacement=r.replacement())

    assert "the secret again, as Keyturn keeps no copy" in choices.first(rotation)
    assert ("keeps no copy" in choices.first(made)) is (kind is StopKind.REFUSED)


def test_a_key_that_was_not_created_after_a_lost_answer_is_asked_for_with_its_secret_again() -> None:
    said = alarm.next_move(ROTATIONS["awaiting-secret-lost-after-delete-was-asked"])

    assert "Keyturn kept no copy of the secret: give it once more." in said


@pytest.mark.parametrize("kind", StopKind)
def test_no_stop_promises_an_old_key_that_is_gone_or_that_aisix_has_been_asked_to_delete(kind: StopKind) -> None:
    gone = alarm.next_move(stop_of(kind, r.running("verify", r.plan().but(old_key_gone=True))))
    asked = alarm.next_move(stop_of(kind, r.running("delete", delete_asked_at=r.at(390))))

    assert "Both keys" not in gone
    assert "on the old key" not in gone + asked


def test_no_model_is_said_to_go_back_to_a_key_that_aisix_has_been_asked_to_delete() -> None:
    asked = {"delete_asked_at": r.at(390), "attempt": 1}
    unheard = {"note": "Nobody gave another secret in time; no model is on a refused one."}

    for rotation in (r.withdrawing(**asked), r.awaiting_secret(**asked), r.cancelled(**asked | unheard)):
        assert "on the old key" not in alarm.next_move(rotation)
        assert "no model is on a refused one" not in alarm.next_move(rotation)


def test_every_model_is_said_to_be_off_the_old_key_only_where_all_are_and_nothing_speaks_against_it() -> None:
    asked = r.running("delete", delete_asked_at=r.at(390))
    first = asked.plan.models[0]
    one_left = asked.learn({first.id: asked.finding(first).but(moved_at=None)})
    off = "Every model is off it."

    assert [kind for kind in StopKind if off in callers.consequence(stop_of(kind, asked))] == [
        StopKind.DIFFERENCE,
        StopKind.PROJECTION,
        StopKind.TROUBLE,
        StopKind.MINTING,
    ]
    for kind in set(StopKind) - {StopKind.REJECTED}:
        assert "1 model is still on it" in callers.consequence(stop_of(kind, one_left))


def test_a_watch_that_could_not_read_everything_says_so() -> None:
    """Its looks are 11."""
    said = {blind: watch.summary(r.completed_after_watch(blind=blind)) for blind in (0, 4, 11)}

    assert said[0] == "Watched for 1 h: no problems."
    assert "no problems seen; 4 of 11 looks could not see every list, counter and answer." in said[4]
    assert said[11] == "Watched for 1 h: can't tell: no look could see every list, counter and answer."


@pytest.mark.parametrize("watched", [r.watched, r.completed_after_watch])
def test_a_watch_in_which_no_look_could_read_everything_is_neither_green_nor_done(watched: Any) -> None:
    """One that saw everything once is."""
    rotation = watched(watched=3, blind=3)

    assert title(rotation).startswith("🟡 ")
    assert "▲ Can't tell whether all is well" in alarm.next_move(rotation)
    assert "Done." not in alarm.next_move(rotation)
    assert title(rotation.but(blind=2)).startswith("🟢 ")


def test_models_that_may_be_failing_are_named_the_first_three_and_the_rest_counted() -> None:
    many = r.stopped_by(Cause.NOT_TAKEN, r.running("project", r.plan(r.many(12))), why="`chat-001` in production")
    proved = r.proved(many, but=(4,))

    assert "callers of `chat-001`, `chat-002`, `chat-004` and 9 more may be failing" in callers.consequence(many)
    assert "callers of `chat-007` may be failing" in callers.consequence(proved)


def test_only_models_whose_verdict_is_enough_are_called_verified() -> None:
    """The others of the second wave have an answer from the wait for the gateways."""
    second = r.in_waves("project", 1, 3, 1)
    seen = r.seeing(r.seeing(second, r.NO_PROJECTION, 1), r.CACHED, 2)

    assert "◔ Verified   1 proved\n" in str(without(checklist(seen), NEWER)["blocks"][0]["text"]["text"])  # type: ignore[index]


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ((), "No model has been moved; callers notice nothing."),
        ((1,), "Test requests for `support-embed` failed on the old key already."),
        ((0, 1), "Test requests for `chat-large`, `support-embed` failed on the old key already."),
    ],
)
def test_callers_are_said_to_notice_nothing_only_where_the_old_key_serves_them(failing: Any, said: str) -> None:
    rotation = r.stopped_by(
        Cause.NOT_REHEARSED, r.seeing(r.running("rehearse"), r.SKIPPED, baseline=r.SKIPPED), why="x"
    )
    for number in failing:
        rotation = r.seeing(rotation, r.NOT_THERE_404, number, baseline=r.NOT_THERE_404)

    assert callers.consequence(rotation).endswith(said)
    assert ("notice nothing" in callers.consequence(rotation)) is (not failing)


def test_a_reason_for_an_acceptance_that_the_table_cuts_is_whole_below_it_and_many_are_counted() -> None:
    reason = " ".join(f"word-{n}" for n in range(30))
    rotation = r.awaiting_approval(r.plan(r.many(5)))
    same = r.accepted(rotation, 0, 1, reason=reason)
    for number in range(1, 5):
        rotation = r.accepted(rotation, number, reason=f"{reason} {number}")

    assert f"2 models accepted unproved by <@{r.APPROVER}>: `{reason}`." in str(card(same).content["blocks"])
    assert "And for 1 more reason: see the receipt." in str(card(rotation).content["blocks"])


def test_the_checklist_says_how_many_models_are_moved_and_how_long_the_others_take() -> None:
    rotation = r.running("cut-over", r.plan(r.many(500)), note="251 of 500")
    models = rotation.plan.models[:251]
    moving = rotation.learn({m.id: rotation.finding(m).but(moved_at=r.at(34 + n / 31)) for n, m in enumerate(models)})

    assert "◔ Moving models   251 of 500, about 8 s left" in str(without(checklist(moving), NEWER)["blocks"])


@pytest.mark.parametrize(("count", "said"), [(3, "allowed in `e0`, `e1`, `e2`"), (40, "allowed in 40 environments")])
def test_a_card_names_few_environments_in_which_the_key_is_allowed_and_counts_many(count: int, said: str) -> None:
    names = tuple(f"e{n}" for n in range(count))

    assert said in str(card(r.awaiting_secret(r.plan().but(allowed_in=names))).content)


def test_where_no_model_can_prove_a_secret_an_acceptance_comes_first_but_is_not_advised() -> None:
    why = "No model uses this key, so nothing proves the new secret."
    rotation = r.stopped_by(Cause.NOTHING_PROVED, r.running("verify", r.plan(())), why=why)

    assert offered(rotation)[0] is Action.ACCEPT_UNPROVED
    assert [press(action, rotation).get("style") for action in offered(rotation)] == [None] * len(offered(rotation))


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (r.completed(), "🟢 OpenAI production: old key deleted"),
        (r.completed(left_alone=("Key `k` stays: it is used.",)), "🟡 OpenAI production: old key deleted"),
        (r.completed_after_watch(cached=("`chat-large`",)), "🟡 OpenAI production: old key deleted"),
        (r.watched(cached=("`chat-large`",)), "🟡 OpenAI production: old key deleted, watching"),
        (r.completed_after_watch(troubles=(r.trouble(),)), "🔴 OpenAI production: old key deleted: 1 problem"),
        (r.completed_after_watch(troubles=(r.trouble(), r.over())), "🟢 OpenAI production: old key deleted"),
    ],
)
def test_an_end_is_green_only_where_nothing_fails_and_nothing_is_left(rotation: Rotation, expected: str) -> None:
    assert title(rotation) == expected


def test_a_model_that_a_cache_answered_for_is_in_doubt_and_needs_no_other_secret() -> None:
    said = alarm.next_move(r.watched(cached=("`chat-large` in production", "`mini` in production")))

    assert "Can't tell whether `chat-large` in production, `mini` in production answer: answered from a cache." in said
    assert "Done." not in said
    assert "another secret" not in said


@pytest.mark.parametrize(
    ("provider", "address", "where"),
    [
        ("openai", "https://api.openai.com/v1", "OpenAI"),
        ("openai", "", "OpenAI"),
        ("openai", "https://llm.example.com/v1", "`llm.example.com`"),
        ("openai", "https://api.openai.com.example.com/v1", "`api.openai.com.example.com`"),
        ("openai", "https://ours.openai.azure.com", "`ours.openai.azure.com`"),
        ("openai", "openai.example.com/v1", "`openai.example.com`"),
        ("mistral", "", "`mistral`"),
        ("", "", "the provider"),
    ],
)
def test_the_last_step_names_where_the_old_key_still_works(provider: str, address: str, where: str) -> None:
    key = r.key(provider=provider, settings={"api_base": address})

    assert f"still works at {where}. Next:" in words.then(r.completed(r.plan(old_key=key)))


def test_a_leak_is_not_green_before_its_review_and_its_revocation() -> None:
    done = r.completed_after_watch()
    due = {"revocation": r.revocation()}

    assert words.mark(r.reviewed(done)) == "🟢"
    assert [words.mark(one) for one in (r.exposed(done), r.reviewed(done).but(**due))] == ["🟡", "🟡"]
    assert words.mark(r.exposed(r.rolled_back())) == words.mark(r.reviewed(r.rolled_back()).but(**due)) == "🔴"


def test_what_is_left_alone_is_not_said_to_be_back() -> None:
    left = {"attempt": 1, "left_alone": ("Key `pk_1` of this rotation stays: `x` in production uses it.",)}

    for rotation in (r.awaiting_secret(**left), r.cancelled(**left)):
        said = alarm.next_move(rotation)
        assert "very model is on the old key" not in said
        assert "hat this rotation moved is back on the old key." in said


def test_every_action_has_a_state_that_offers_it_a_listener_and_a_button() -> None:
    offering = {*IN_STATE.values(), *(known.offers for known in HELP.values()), BESIDE}
    buttons = {
        element["action_id"]
        for name in set(CASES) - set(THREADS)
        for block in CASES[name]().get("blocks", [])
        for element in [*block.get("elements", []), block.get("accessory", {})]
        if "action_id" in element
    }

    at_times = {Action.MINT, Action.ON_IT, Action.EXPOSED, Action.REVIEW}
    assert {action for actions in offering for action in actions} | at_times == set(Action) == set(LISTENERS)
    assert buttons == {action.name.lower() for action in Action} | {*MENUS, *LINKS}
    assert {name for kind, name in registered() if kind == "action"} == buttons


@pytest.mark.parametrize("name", sorted(ROTATIONS))
def test_a_card_says_its_state_first_and_who_has_to_move_and_offers_what_the_policy_offers(name: str) -> None:
    rotation = ROTATIONS[name]
    shown = card(rotation).content
    elements = [e for block in shown["blocks"] if block["type"] == "actions" for e in block["elements"]]
    buttons = [element for element in elements if "url" not in element]
    name = f"{spoken(escaped(visible(rotation.plan.old_key.display_name)))}: "
    text = spoken(shown["text"])
    said = alarm.next_move(rotation)

    assert text.startswith(f"{name}{words.state_label(rotation)}")
    labels = {Action.REVOKE_THERE: "Disable at OpenRouter…"}
    assert [button["text"]["text"] for button in buttons] == [labels.get(a, a.value) for a in offered(rotation)]
    assert {button["value"] for button in buttons} <= {rotation.id}, "a button carries the id alone"
    match rotation.state:
        case State.COMPLETED if rotation.revocation and not rotation.is_owed:
            assert "revoked at" in said
        case State.COMPLETED if is_under_way(rotation):
            assert "Keyturn" in said
        case State.AWAITING_SECRET | State.AWAITING_START | State.BLOCKED | State.AWAITING_APPROVAL | State.COMPLETED:
            assert "Next" in said
            assert "<@" in said
        case State.RUNNING if rotation.deleted_at:
            assert "Next: <@" in said
        case State.RUNNING | State.ROLLING_BACK:
            assert any(part in said for part in ("othing to do for you", "Approved by", "finds out why", "*I'm on it*"))
        case _:
            assert said


ASKED: dict[str, Any] = {"delete_asked_at": r.at(390), "attempt": 1}
LOST = r.plan().but(old_key_gone=True)
HARMED = {
    "a problem that is open at the end of the watch": r.completed_after_watch(troubles=(r.trouble(),)),
    "cancelled while the new secret is refused": STOPS["rejected"].but(state=State.CANCELLED),
    "cancelled with models on a key that is gone": r.awaiting_secret(LOST, state=State.CANCELLED),
    "cancelled after the delete was asked for": r.cancelled(**ASKED),
    "another secret is wanted, and no model can go back": r.awaiting_secret(**ASKED),
    "the old key goes before any model has moved": stop_of(StopKind.DRIFT, r.running("cut-over", LOST)),
    "another secret after the old key is gone": r.running("replace", LOST),
    "another secret after the delete was asked for": r.running("replace", **ASKED | {"attempt": 2}),
    "half of the models are on a key that is gone": r.in_waves("cut-over", 1, 6, 6).but(
        plan=r.plan(r.many(12)).but(old_key_gone=True)
    ),
}


@pytest.mark.parametrize("name", HARMED)
def test_no_card_is_green_white_or_calm_while_callers_may_fail(name: str) -> None:
    rotation = HARMED[name]
    shown = card(rotation).content

    assert words.mark(rotation) == words.HARM
    assert "fail" in words.headline(rotation) or "problem" in words.headline(rotation)
    assert "notice nothing" not in shown["text"]
    assert "both keys still exist" not in shown["text"]


def test_both_keys_are_said_to_exist_only_until_the_delete_is_asked_for() -> None:
    said = [callers.whereabouts(r.running("delete", **asked)) for asked in ({}, {"delete_asked_at": r.at(390)})]

    assert ["both keys still exist" in one for one in said] == [True, False]


@pytest.mark.parametrize("ended", [r.watched, r.completed_after_watch])
def test_a_model_that_fails_after_the_delete_is_not_said_to_be_proved_and_is_in_the_table(ended: Any) -> None:
    shown = card(r.in_trouble(r.proved(ended()))).content
    rows = [block["rows"] for block in shown["blocks"] if block["type"] == "data_table"]

    assert "1 proved · 2 refused" in shown["text"]
    assert "chat-large in production: refused" in shown["text"]
    assert [(row[0]["text"], row[1]["text"]) for row in rows[0][1:]] == [
        ("chat-large", "refused"),
        ("support-embed", "refused"),
    ]


@pytest.mark.parametrize("kind", [None, *sorted(set(StopKind) - {StopKind.REFUSED})])
def test_while_callers_fail_the_first_button_is_the_way_back_and_the_card_says_how_many_failed(kind: Any) -> None:
    running = r.running("soak", tally=r.FAILING_CALLERS)
    rotation = stop_of(kind, running) if kind else running
    shown = card(rotation).content
    row = next(block for block in shown["blocks"] if block["type"] == "actions")

    assert words.mark(rotation) == words.HARM
    assert (row["elements"][0]["text"]["text"], row["elements"][0]["style"]) == ("Roll back", "primary")
    assert "▲ 37 caller requests failed since the change" in shown["blocks"][1]["text"]["text"]
    assert "Nothing to do" not in shown["text"]


def test_another_secret_is_advised_after_the_delete_only_where_a_model_on_the_new_key_fails() -> None:
    orphan = r.trouble(about="`late` in production", sentence="`late` in production refers to the deleted key.")
    styles = [
        press(Action.ANOTHER_SECRET, r.watched(troubles=(trouble,))).get("style") for trouble in (r.trouble(), orphan)
    ]

    assert styles == ["primary", None]


def test_a_rotation_given_up_while_something_uses_a_key_that_may_be_gone_is_marked_as_harm() -> None:
    given_up = ROTATIONS["cancelled-after-a-stop"]

    assert title(given_up) == "🔴 OpenAI production: cancelled, callers may be failing"


SAID = {
    Way.FORM: "Slack's form",
    Way.PAGE: "Keyturn's page",
    Way.COMMAND_LINE: "the command line",
    Way.REFERENCE: "`vault:kv/openai#key`",
    Way.MINTED: "the API of OpenAI",
}


@pytest.mark.parametrize("way", Way)
def test_card_receipt_and_document_say_which_way_the_new_secret_came(way: Way) -> None:
    new = r.replacement().but(way=way, source="vault:kv/openai#key" if way is Way.REFERENCE else "")
    rotation = r.completed().but(replacement=new)

    assert f" · new secret by {SAID[way]} · " in json.dumps(card(rotation).content, ensure_ascii=False)
    assert f"\nThe new secret came by {SAID[way]}.\n" in str(next(receipt(rotation)).content).replace("\\n", "\n")
    told = document(rotation, "", json.dumps({"number": 1, "hash": ""}))["new_key"]
    assert told.get("secret_by", Way.FORM) == way
    assert told.get("secret_from", "") == new.source
