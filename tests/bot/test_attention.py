"""What somebody has to see at once or act on, and what is only progress."""

import pytest

from bot.rotation.attention import gist, is_watched, may_be_deleted, occasion, open_troubles, open_void
from bot.rotation.counted import Tally
from bot.rotation.parts import Nudge, OnIt
from bot.rotation.record import Trouble, Void
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from tests.bot.values import NOW, approval, later, rotation, running, stopped


def trouble(about: str, seconds: float = 0, *, over: bool = False) -> Trouble:
    return Trouble(at=later(seconds), about=about, sentence=f"{about} fails", over=over)


def void(seconds: float, *, over: bool = False) -> Void:
    return Void(by=("U_APPROVER",), at=later(seconds), changes=("A model was changed.",), over=over)


def test_a_trouble_is_open_until_it_is_over_and_may_come_again():
    told = running(troubles=(trouble("a"), trouble("b"), trouble("a", 1, over=True), trouble("b", 2, over=True)))

    assert open_troubles(told) == []
    assert open_troubles(told.but(troubles=(*told.troubles, trouble("a", 3)))) == [trouble("a", 3)]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (rotation(), ""),
        (stopped(StopKind.TROUBLE), "stopped:"),
        (running(asked_at=NOW).but(state=State.AWAITING_APPROVAL), f"approval:{NOW.isoformat()}"),
        (rotation(secret_asked_at=NOW), f"secret:{NOW.isoformat()}"),
        (running(deleted_at=NOW), "deleted"),
        (running(deleted_at=NOW, troubles=(trouble("a", 9),)), f"trouble:{later(9).isoformat()}"),
    ],
)
def test_each_thing_to_act_on_has_a_name_of_its_own(record, said):
    assert occasion(record).startswith(said)
    assert bool(occasion(record)) is bool(said)


def test_an_approval_a_void_a_new_state_and_harm_to_callers_are_news_and_progress_is_not():
    before = gist(running())

    assert gist(running(note="2 of 3", done=("replace",), version=7)) == before
    harmed = running(tally=Tally(since=NOW, failed=1))
    for news in (
        running(approvals=(approval(),)), running(voids=(void(1),)), rotation(), harmed,
        running(nudges=(Nudge(about="a", at=NOW, number=1),)), running(on_it=OnIt(by="U", at=NOW)),
        running(stale_at=NOW), running(parked_at=NOW),
    ):  # fmt: skip
        assert gist(news) != before
    assert gist(harmed) == gist(running(tally=Tally(since=NOW, failed=2)))


@pytest.mark.parametrize(
    ("voids", "asked", "found"),
    [
        ((), None, None),
        ((void(1), void(2)), None, void(2)),
        ((void(1), void(2, over=True)), None, void(1)),
        ((void(1),), 5, None),
        ((void(9),), 5, void(9)),
    ],
)
def test_a_void_is_told_until_it_is_asked_again_or_another_secret_is_given(voids, asked, found):
    assert open_void(running(voids=voids, secret_asked_at=None if asked is None else later(asked))) == found


def test_a_rotation_is_watched_after_the_delete_and_a_delete_that_was_asked_for_before_a_void_may_have_happened():
    asked = running(delete_asked_at=later(5))

    assert [is_watched(record) for record in (running(), running(deleted_at=NOW))] == [False, True]
    assert not is_watched(running(deleted_at=NOW).but(state=State.COMPLETED))
    assert [may_be_deleted(record, void(5)) for record in (running(), asked)] == [False, True]
    assert not may_be_deleted(asked, void(4))
