"""When people may be pushed: quiet hours and working days by the channel's own clock, also when it is put forward."""

from datetime import UTC, datetime, time, timedelta

import pytest

from bot.rotation.hours import Calendar, Quiet

NIGHT = Quiet(time(22), time(7))
WEEK = frozenset(range(5))
BERLIN = {"": "Europe/Berlin"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("calendar", "asked", "opens"),
    [
        (Calendar(), "2026-11-22T03:00", "2026-11-22T03:00"),
        (Calendar(NIGHT), "2026-11-23T14:00", "2026-11-23T14:00"),
        (Calendar(NIGHT), "2026-11-23T22:00", "2026-11-24T07:00"),
        (Calendar(NIGHT), "2026-11-23T06:59:59", "2026-11-23T07:00"),
        (Calendar(NIGHT, WEEK), "2026-11-27T21:59", "2026-11-27T21:59"),
        (Calendar(NIGHT, WEEK), "2026-11-27T22:00", "2026-11-30T07:00"),
        (Calendar(None, WEEK), "2026-11-28T12:00", "2026-11-30T00:00"),
        (Calendar(Quiet(time(12), time(13))), "2026-11-23T12:30", "2026-11-23T13:00"),
        (Calendar(Quiet(time(12), time(13))), "2026-11-23T03:00", "2026-11-23T03:00"),
        (Calendar(NIGHT, zones=BERLIN), "2026-11-23T21:30", "2026-11-24T06:00"),
        (Calendar(NIGHT, zones=BERLIN), "2026-07-23T21:30", "2026-07-24T05:00"),
        (Calendar(NIGHT, zones=BERLIN), "2026-03-29T00:30", "2026-03-29T05:00"),  # the clock is put forward
        (Calendar(NIGHT, zones=BERLIN), "2026-10-25T00:30", "2026-10-25T06:00"),  # and back
        (Calendar(Quiet(time(22), time(2, 30)), zones=BERLIN), "2026-03-29T00:30", "2026-03-29T01:30"),  # skipped
        (Calendar(Quiet(time(22), time(2, 30)), zones=BERLIN), "2026-10-25T00:30", "2026-10-25T01:30"),  # twice
    ],
)
def test_what_can_wait_waits_until_people_are_awake_and_at_work(calendar, asked, opens):
    hours = calendar.of("C1", "")

    assert hours.next_open(moment(asked)) == moment(opens)
    assert hours.next_open(moment(opens)) == moment(opens)


@pytest.mark.parametrize(
    ("zones", "requester", "name"),
    [
        ({}, "Asia/Tokyo", "Asia/Tokyo"),
        ({}, "", "UTC"),
        ({}, "Nowhere/Atall", "UTC"),
        ({"": "Europe/Berlin"}, "Asia/Tokyo", "Europe/Berlin"),
        ({"": "Europe/Berlin", "C1": "America/Lima"}, "Asia/Tokyo", "America/Lima"),
        ({"C2": "America/Lima"}, "Asia/Tokyo", "Asia/Tokyo"),
    ],
)
def test_the_clock_is_the_channels_else_everybodys_else_the_requesters(zones, requester, name):
    assert Calendar(zones=zones).of("C1", requester).zone.key == name


def test_no_hour_of_a_year_is_put_off_into_the_night_or_a_weekend():
    hours = Calendar(NIGHT, WEEK, BERLIN).of("C1", "")
    for hour in range(365 * 24):
        local = hours.next_open(moment("2026-01-01T00:30") + timedelta(hours=hour)).astimezone(hours.zone)
        assert time(7) <= local.time() < time(22)
        assert local.weekday() in WEEK
