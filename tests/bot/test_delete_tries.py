"""What each delete that is sent leaves open: an earlier one may come true after a later one is refused."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from bot.rotation.actions import Action
from bot.rotation.policy import is_way_back_closed, offered
from bot.rotation.progress import undone_from
from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.support.in_memory import Machine, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

HEADLINE = "the old key could not be deleted"
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
async def tenancy() -> AsyncIterator[Tenancy]:
    async with tenancy_of() as made:
        yield made


def has_ended(record: Rotation) -> bool:
    return not record.waits_for_bot


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("late", request=request)


def status(code: int) -> Answer:
    return lambda _: httpx.Response(code, json={"error": "not now"})


def granted(_: httpx.Request) -> httpx.Response:
    """Say that it is deleted; the lists go on to show it."""
    return httpx.Response(204)


def answer_deletes(tenancy: Tenancy, *answers: Answer) -> list[httpx.Request]:
    """Answer the deletes of the old key one by one, the last answer for good; return those that came."""
    carry, came = tenancy.wire.handle, list[httpx.Request]()

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.method != "DELETE" or tenancy.old.id not in request.url.path:
            return await carry(request)
        came.append(request)
        return answers[min(len(came), len(answers)) - 1](request)

    tenancy.wire.handle = handle
    return came


async def about_to_delete(tenancy: Tenancy, **settings: float) -> tuple[Machine, Rotation]:
    """A rotation that has noted its delete, and has not sent it."""
    here = await tenancy.machine(**settings)
    record = tenancy.approved(await tenancy.asked(here))
    return here, await here.until(record, lambda r: r.delete_asked_at)


def tried_again(tenancy: Tenancy, record: Rotation) -> Rotation:
    """Press **Try again**, and approve."""
    assert record.stop
    return tenancy.approved(undone_from(record, record.stop.resume))


def is_way_back_offered(record: Rotation) -> bool:
    assert record.stop
    assert record.stop.headline == HEADLINE
    return Action.ROLL_BACK in offered(record)


@pytest.mark.parametrize("no", [403, 409])
@pytest.mark.parametrize("first", [lost, status(500), status(429), granted], ids=["lost", "500", "429", "granted"])
async def test_a_refusal_says_nothing_of_an_earlier_delete(tenancy, first, no):
    here, record = await about_to_delete(tenancy)
    came = answer_deletes(tenancy, first, status(no))
    stopped = await here.until(record, has_ended)

    assert len(came) == 2
    assert not is_way_back_offered(stopped)
    assert stopped.stop.sentence.endswith("I have asked before, and that earlier delete may still happen.")


@pytest.mark.parametrize("no", [400, 403, 409, 422])
async def test_a_refusal_of_the_only_delete_leaves_the_way_back_open_as_often_as_it_comes(tenancy, no):
    here, record = await about_to_delete(tenancy)
    came = answer_deletes(tenancy, status(no))
    for tries in (1, 2, 3):
        stopped = await here.until(record, has_ended)
        assert (len(came), stopped.delete_asked_at) == (tries, None)
        assert is_way_back_offered(stopped)
        record = tried_again(tenancy, stopped)


async def test_a_way_back_that_is_closed_stays_closed_however_often_the_delete_is_refused(tenancy):
    here, record = await about_to_delete(tenancy)
    answer_deletes(tenancy, lost, status(403))
    for _ in range(3):
        stopped = await here.until(record, has_ended)
        assert not is_way_back_offered(stopped)
        record = tried_again(tenancy, stopped)


async def test_an_earlier_delete_that_comes_true_after_all_ends_the_rotation(tenancy):
    here, record = await about_to_delete(tenancy)
    carry = tenancy.wire.handle
    came = answer_deletes(tenancy, lost, status(409))
    stopped = await here.until(record, has_ended)
    await carry(came[0])
    ended = await here.until(tried_again(tenancy, stopped), has_ended)

    assert (ended.state, len(came)) == (State.COMPLETED, 2)


async def test_a_clock_that_is_set_back_while_the_delete_is_read_back_stops_the_waiting(tenancy):
    here, record = await about_to_delete(tenancy)
    came = answer_deletes(tenancy, granted)
    record = await here.until(record, lambda r: r.delete_sent_at)
    tenancy.clock.seconds -= 660
    again = await here.until(record, lambda r: r.voids or has_ended(r))

    assert "The last look was more than 10 minutes ago" in again.voids[0].changes[0]
    assert len(came) == 1


def gone(request: httpx.Request) -> httpx.Response:
    """Refuse the connection: nothing arrives."""
    raise httpx.ConnectError("refused", request=request)


def complained(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"success": False, "error": "still referenced"})


async def test_an_answer_that_complains_in_its_body_grants_nothing(tenancy):
    here, record = await about_to_delete(tenancy)
    answer_deletes(tenancy, complained)
    record = await here.notch(record)
    tenancy.lack(tenancy.old, 1)
    ended = await here.until(record, has_ended)

    assert not record.delete_granted
    assert (ended.deleted_at, tenancy.old_is_there) == (None, True)


async def test_a_token_that_sees_no_key_any_more_shows_no_delete(tenancy):
    here, record = await about_to_delete(tenancy)
    answer_deletes(tenancy, status(500))
    sent = await here.notch(record)
    carry = tenancy.wire.handle

    async def blind(request: httpx.Request) -> httpx.Response:
        if "/provider_keys" not in request.url.path:
            return await carry(request)
        is_list = request.url.path.endswith("/provider_keys")
        return httpx.Response(200, json={"data": [], "total": 0}) if is_list else httpx.Response(404, json={})

    tenancy.wire.handle = blind
    ended = await here.until(sent, lambda r: r.deleted_at or has_ended(r))

    assert ended.deleted_at is None
    assert ended.stop.headline == "someone else changed AISIX"


# --- a delete that is noted and never sent ---


def is_as_before_the_note(record: Rotation) -> bool:
    return (record.delete_asked_at, record.delete_try, record.delete_repeated) == (None, "", False)


async def test_a_use_that_is_found_between_the_note_and_the_delete_leaves_the_way_back_open(tenancy):
    here, record = await about_to_delete(tenancy)
    tenancy.aisix.edit(tenancy.chat, key=tenancy.old, settled=True)
    stopped = await here.until(record, has_ended)

    assert (stopped.stop.headline, tenancy.deletes()) == ("something uses the old key", 0)
    assert is_as_before_the_note(stopped)
    assert Action.ROLL_BACK in offered(stopped)


async def test_so_do_lists_that_are_too_slow_from_the_note_on(tenancy):
    here, record = await about_to_delete(tenancy)

    async def before(asked: str) -> None:
        tenancy.clock.seconds += 1.5 * asked.endswith("/models")

    tenancy.before = before
    stopped = await here.until(record, has_ended)

    assert (stopped.stop.headline, tenancy.deletes()) == ("AISIX answers too slowly for a safe delete", 0)
    assert is_as_before_the_note(stopped)


@pytest.mark.parametrize(("answer", "headline"), [(gone, "no usable answer"), (status(403), "AISIX refused a step")])
async def test_so_does_an_aisix_that_shows_no_list_any_more(tenancy, answer, headline):
    here, record = await about_to_delete(tenancy)

    async def handle(request: httpx.Request) -> httpx.Response:
        return answer(request)

    tenancy.wire.handle = handle
    stopped = await here.until(record, has_ended)

    assert stopped.stop.headline == headline
    assert is_as_before_the_note(stopped)


async def test_a_key_that_somebody_else_deletes_meanwhile_leaves_no_way_back(tenancy):
    here, record = await about_to_delete(tenancy, watch=3600)
    tenancy.aisix.remove(tenancy.old)
    record = await here.until(record, lambda r: r.deleted_at or has_ended(r))

    assert (tenancy.deletes(), record.delete_asked_at) == (0, None)
    assert is_way_back_closed(record)


async def test_the_note_of_a_worker_that_died_stays(tenancy):
    here, record = await about_to_delete(tenancy)
    tenancy.hands.mark = "there"
    tenancy.aisix.edit(tenancy.chat, key=tenancy.old, settled=True)
    stopped = await here.until(record, has_ended)

    assert stopped.delete_asked_at == record.delete_asked_at
    assert Action.ROLL_BACK not in offered(stopped)


# --- workers that die or stand still ---


async def test_a_worker_that_dies_in_its_delete_may_have_sent_it(tenancy):
    here, record = await about_to_delete(tenancy)
    answer_deletes(tenancy, lost, status(403))
    await here.notch(record)  # it is sent, and nothing is recorded
    tenancy.hands.mark = "there"
    stopped = await here.until(record, has_ended)

    assert not is_way_back_offered(stopped)


async def test_a_delete_is_noted_by_whoever_sends_it_so_that_nobody_records_over_it(tenancy):
    """A worker that stood still with the first refusal would else open the way back while the second is under way."""
    here, record = await about_to_delete(tenancy)
    came = answer_deletes(tenancy, status(403))
    tenancy.hands.mark = "there"
    noted = await here.notch(record)

    assert (came, noted.version) == ([], record.version + 1)
    assert noted.delete_asked_at == record.delete_asked_at
    await here.notch(noted)
    assert len(came) == 1


async def test_a_record_of_an_older_version_may_have_a_delete_under_way(tenancy):
    here, record = await about_to_delete(tenancy)
    came = answer_deletes(tenancy, status(403))
    stopped = await here.until(record.but(delete_try=""), has_ended)

    assert len(came) == 1
    assert not is_way_back_offered(stopped)


async def test_lists_that_are_slow_once_are_no_delete(tenancy):
    here, record = await about_to_delete(tenancy)
    came = answer_deletes(tenancy, status(403))
    slow = [2.1]

    async def before(asked: str) -> None:
        if "/models" in asked and slow:
            tenancy.clock.seconds += slow.pop()

    tenancy.before = before
    stopped = await here.until(record, has_ended)

    assert (slow, len(came)) == ([], 1)
    assert is_way_back_offered(stopped)


@pytest.mark.parametrize("is_new", [False, True], ids=["one lease", "each time another"])
async def test_deletes_without_an_answer_end_after_the_patience_of_the_settings(tenancy, is_new):
    here, record = await about_to_delete(tenancy, patience=60)
    came = answer_deletes(tenancy, lost)
    began = tenancy.clock.seconds
    while record.waits_for_bot:
        record = await here.notch(record)
        if is_new and record.trouble_since:
            tenancy.hands.mark = f"lease {len(came)}"

    assert record.stop.headline == "no usable answer"
    assert 60 < tenancy.clock.seconds - began < 120
    assert Action.ROLL_BACK not in offered(record)


@pytest.mark.parametrize("dark", ["AISIX", "status pages"])
async def test_a_look_after_the_delete_that_could_not_read_everything_is_counted_as_blind(tenancy, dark):
    here = await tenancy.machine(watch=3600)
    record = await here.until(tenancy.approved(await tenancy.asked(here)), lambda r: r.watched == 1)
    assert record.blind == 0
    carry = tenancy.wire.handle

    async def handle(request: httpx.Request) -> httpx.Response:
        is_dark = request.method == "GET" and ("/api/" in str(request.url)) is (dark == "AISIX")
        return httpx.Response(500, json={}) if is_dark else await carry(request)

    tenancy.wire.handle = handle
    ended = await here.until(record, lambda r: r.is_over)

    assert ended.blind == ended.watched - 1
