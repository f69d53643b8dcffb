"""What each delete that is sent leaves open: an earlier one may come true after a later one is refused."""

from collections.abc import Callable

import httpx
import pytest

from bot.rotation.actions import Action
from bot.rotation.policy import is_way_back_closed, offered
from bot.rotation.progress import undone_from
from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.support.in_memory import Tenancy

pytestmark = pytest.mark.whole

Answer = Callable[[httpx.Request], httpx.Response]


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("late", request=request)


def status(code: int) -> Answer:
    return lambda _: httpx.Response(code, json={"error": "not now"})


def granted(_: httpx.Request) -> httpx.Response:
    """Say that it is deleted; the lists go on to show it."""
    return httpx.Response(204)


def answer_deletes(tenancy: Tenancy, *answers: Answer) -> list[httpx.Request]:
    """Answer the deletes of the old key one by one, the last answer for good; return those that came."""
    came = list[httpx.Request]()

    async def answer(request, carry):
        if request.method != "DELETE" or tenancy.old.id not in request.url.path:
            return await carry(request)
        came.append(request)
        return answers[min(len(came), len(answers)) - 1](request)

    tenancy.intercept(answer)
    return came


def tried_again(tenancy: Tenancy, record: Rotation) -> Rotation:
    """Press **Try again**, and approve."""
    return tenancy.approved(undone_from(record, record.stop.resume))


def is_way_back_offered(record: Rotation) -> bool:
    assert record.stop.headline == "the old key could not be deleted"
    return Action.ROLL_BACK in offered(record)


@pytest.mark.once("no")
@pytest.mark.parametrize("no", [403, 409])
@pytest.mark.parametrize("first", [lost, status(500), status(429), granted], ids=["lost", "500", "429", "granted"])
async def test_a_refusal_says_nothing_of_an_earlier_delete(tenancy, first, no):
    here, record = await tenancy.about_to_delete()
    came = answer_deletes(tenancy, first, status(no))
    for tries in (2, 3):
        stopped = await here.stopped(record)
        assert len(came) == tries
        assert not is_way_back_offered(stopped)
        assert stopped.stop.sentence.endswith("Keyturn asked before, and that earlier delete may still happen.")
        record = tried_again(tenancy, stopped)


@pytest.mark.parametrize("no", [400, 403])
async def test_a_refusal_of_the_only_delete_leaves_the_way_back_open_as_often_as_it_comes(tenancy, no):
    here, record = await tenancy.about_to_delete()
    came = answer_deletes(tenancy, status(no))
    for tries in (1, 2):
        stopped = await here.ended(record)
        assert (len(came), stopped.delete_asked_at) == (tries, None)
        assert is_way_back_offered(stopped)
        record = tried_again(tenancy, stopped)


async def test_an_earlier_delete_that_takes_effect_late_ends_the_rotation(tenancy):
    here, record = await tenancy.about_to_delete()
    carry = tenancy.wire.handle
    came = answer_deletes(tenancy, lost, status(409))
    stopped = await here.ended(record)
    await carry(came[0])
    ended = await here.ended(tried_again(tenancy, stopped))

    assert (ended.state, len(came)) == (State.COMPLETED, 2)


async def test_a_clock_that_is_set_back_while_the_delete_is_read_back_stops_the_waiting(tenancy):
    here, record = await tenancy.about_to_delete()
    came = answer_deletes(tenancy, granted)
    record = await here.until(record, lambda r: r.delete_sent_at)
    tenancy.clock.seconds -= 660
    again = await here.voided(record)

    assert "The last look was more than 10 minutes ago" in again.voids[0].changes[0]
    assert len(came) == 1


async def test_while_a_delete_is_read_back_no_other_is_sent(tenancy):
    here, record = await tenancy.about_to_delete()
    answer_deletes(tenancy, granted)
    sent = await here.until(record, lambda r: r.delete_sent_at)
    again = await here.until(sent, lambda r: r.delete_sent_at != sent.delete_sent_at)

    assert again.delete_sent_at - sent.delete_sent_at > here.world.limits.read_back


async def test_a_token_that_sees_no_key_any_more_shows_no_delete(tenancy):
    here, record = await tenancy.about_to_delete()
    answer_deletes(tenancy, status(500))
    sent = await here.notch(record)

    async def blind(request, carry):
        if "/provider_keys" not in request.url.path:
            return await carry(request)
        is_list = request.url.path.endswith("/provider_keys")
        return httpx.Response(200, json={"data": [], "total": 0}) if is_list else httpx.Response(404, json={})

    tenancy.intercept(blind)
    ended = await here.until(sent, lambda r: r.deleted_at or not r.waits_for_bot)

    assert ended.deleted_at is None
    assert ended.stop
    assert ended.stop.headline == "someone else changed AISIX"


# --- a delete that is noted and never sent ---


def use_the_old_key(tenancy: Tenancy) -> None:
    tenancy.aisix.edit(tenancy.chat, key=tenancy.old, settled=True)


def answer_everything(answer: Answer) -> Callable[[Tenancy], None]:
    async def answered(request, _):
        return answer(request)

    return lambda tenancy: tenancy.intercept(answered)


def gone(request: httpx.Request) -> httpx.Response:
    """Refuse the connection: nothing arrives."""
    raise httpx.ConnectError("refused", request=request)


@pytest.mark.parametrize(
    ("what", "headline"),
    [
        (use_the_old_key, "something uses the old key"),
        (answer_everything(gone), "no usable answer"),
        (answer_everything(status(403)), "AISIX refused a step"),
    ],
)
async def test_what_is_found_between_the_note_and_the_delete_leaves_the_way_back_open(tenancy, what, headline):
    here, record = await tenancy.about_to_delete()
    what(tenancy)
    stopped = await here.stopped(record)

    assert (stopped.stop.headline, tenancy.deletes()) == (headline, 0)
    assert (stopped.delete_asked_at, stopped.delete_try, stopped.delete_repeated) == (None, "", False)
    assert Action.ROLL_BACK in offered(stopped)


async def test_a_key_that_somebody_else_deletes_meanwhile_leaves_no_way_back(tenancy):
    here, record = await tenancy.about_to_delete(watch=3600)
    tenancy.aisix.remove(tenancy.old)
    record = await here.until(record, lambda r: r.deleted_at or not r.waits_for_bot)

    assert (tenancy.deletes(), record.delete_asked_at) == (0, None)
    assert is_way_back_closed(record)


# --- workers that die or stand still ---


@pytest.mark.parametrize("is_second", [False, True], ids=["of a worker that died", "before a second delete"])
async def test_the_note_of_a_delete_that_may_have_been_sent_stays(tenancy, is_second):
    here, record = await tenancy.about_to_delete()
    if is_second:
        answer_deletes(tenancy, lost)
        record = await here.until(record, lambda r: r.delete_repeated)
    else:
        tenancy.hands.mark = "there"
    use_the_old_key(tenancy)
    stopped = await here.ended(record)

    assert stopped.delete_asked_at == record.delete_asked_at
    assert Action.ROLL_BACK not in offered(stopped)


@pytest.mark.parametrize("is_older", [False, True], ids=["a worker that died", "an older version"])
async def test_a_delete_may_have_been_sent_though_this_worker_did_not_record_it(tenancy, is_older):
    here, record = await tenancy.about_to_delete()
    answer_deletes(tenancy, status(403)) if is_older else answer_deletes(tenancy, lost, status(403))
    if not is_older:
        await here.notch(record)  # it is sent, and nothing is recorded
        tenancy.hands.mark = "there"
    stopped = await here.ended(record.but(delete_try="") if is_older else record)

    assert not is_way_back_offered(stopped)


async def test_the_worker_that_deletes_notes_it_so_that_no_other_overwrites_the_record(tenancy):
    """A worker that stood still with the first refusal would else open the way back while the second is under way."""
    here, record = await tenancy.about_to_delete()
    came = answer_deletes(tenancy, status(403))
    tenancy.hands.mark = "there"
    noted = await here.notch(record)

    assert (came, noted.version) == ([], record.version + 1)
    assert noted.delete_asked_at == record.delete_asked_at
    await here.notch(noted)
    assert len(came) == 1


@pytest.mark.parametrize("is_new", [False, True], ids=["one lease", "each time another"])
async def test_deletes_without_an_answer_end_after_the_patience_of_the_settings(tenancy, is_new):
    here, record = await tenancy.about_to_delete(patience=60)
    came, began = answer_deletes(tenancy, lost), tenancy.clock.seconds
    while record.waits_for_bot:
        record = await here.notch(record)
        if is_new and record.trouble_since:
            tenancy.hands.mark = f"lease {len(came)}"

    assert record.stop.headline == "no usable answer"
    assert 60 < tenancy.clock.seconds - began < 120
    assert Action.ROLL_BACK not in offered(record)
