"""When models may move: wall clocks of time zones, also on the days when they are set."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.rotation.windows import Windows, is_open, longest_open, next_open, read_freeze, read_opening

BERLIN = "Europe/Berlin"
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def windows(*openings: str, freezes: tuple[str, ...] = (), zone: str = "UTC") -> Windows:
    return Windows(
        openings=tuple(read_opening(each, zone) for each in openings),
        freezes=tuple(read_freeze(each, zone) for each in freezes),
    )


OFFICE = windows("mon-thu 09:00-17:00", zone=BERLIN)
NIGHT = windows("fri 22:00-04:00", zone=BERLIN)
FROZEN = windows(freezes=("2026-12-20/2027-01-04",), zone=BERLIN)


@pytest.mark.parametrize(
    ("window", "moment", "expected"),
    [
        (OFFICE, "2026-11-30 08:00", True),  # Monday, 09:00 in Berlin
        (OFFICE, "2026-11-30 07:59", False),
        (OFFICE, "2026-11-30 15:59", True),
        (OFFICE, "2026-11-30 16:00", False),
        (OFFICE, "2026-12-04 10:00", False),  # Friday
        (OFFICE, "2026-07-06 07:00", True),  # in summer an hour earlier by UTC
        (OFFICE, "2026-07-06 15:00", False),
        (NIGHT, "2026-12-04 21:00", True),
        (NIGHT, "2026-12-05 02:59", True),  # on Saturday morning, by Friday's window
        (NIGHT, "2026-12-05 03:00", False),
        (NIGHT, "2026-12-05 21:00", False),
        (FROZEN, "2026-12-19 22:59", True),
        (FROZEN, "2026-12-19 23:00", False),  # 20 December in Berlin
        (FROZEN, "2027-01-04 22:59", False),
        (FROZEN, "2027-01-04 23:00", True),
        (windows("mon 00:00-24:00"), "2026-11-30 23:59", True),
        (windows("mon 00:00-24:00"), "2026-12-01 00:00", False),
        (windows("sat-mon,wed 10:00-12:00"), "2026-12-06 10:30", True),
        (windows("sat-mon,wed 10:00-12:00"), "2026-12-08 10:30", False),
        (Windows(), "2026-11-30 03:00", True),
    ],
)
def test_a_window_is_open_by_the_wall_clock_of_its_zone(window, moment, expected):
    assert window.is_open(at(moment)) is expected


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("sun 02:30-04:00", "2026-03-29 01:15", False),  # no clock shows 02:30 that day: the later meaning counts
        ("sun 02:30-04:00", "2026-03-29 01:30", True),
        ("sun 01:00-02:30", "2026-03-29 00:29", True),  # and the earlier one for the end
        ("sun 01:00-02:30", "2026-03-29 00:30", False),
        ("sun 02:15-02:45", "2026-03-29 01:20", False),  # a window that this day does not have
        ("sun 02:30-04:00", "2026-10-25 00:45", False),  # 02:30 comes twice: the second counts
        ("sun 02:30-04:00", "2026-10-25 01:30", True),
        ("sun 01:00-02:30", "2026-10-25 00:30", False),  # and the first for the end
    ],
)
def test_on_the_day_when_clocks_are_set_a_window_is_the_shorter_of_what_it_may_mean(text, moment, expected):
    assert windows(text, zone=BERLIN).is_open(at(moment)) is expected


@pytest.mark.parametrize(
    ("given", "moment", "opens"),
    [
        ((OFFICE,), "2026-11-30 09:00", "2026-11-30 09:00"),
        ((OFFICE,), "2026-12-03 16:00", "2026-12-07 08:00"),
        ((OFFICE, FROZEN), "2026-12-18 12:00", "2027-01-05 08:00"),
        ((FROZEN,), "2026-12-25 12:00", "2027-01-04 23:00"),
        ((OFFICE, windows("wed 10:00-18:00")), "2026-11-30 09:00", "2026-12-02 10:00"),
        ((OFFICE,), "2027-03-26 12:00", "2027-03-29 07:00"),  # over the day when clocks go forward
        ((OFFICE, NIGHT), "2026-11-30 09:00", None),
        ((windows("mon 09:00-10:00"), windows("mon 10:00-11:00")), "2026-11-30 09:00", None),
    ],
)
def test_the_next_opening_is_when_all_windows_are_open(given, moment, opens):
    found = next_open(given, at(moment))

    assert found == (at(opens) if opens else None)
    assert found is None or is_open(given, found)


def test_how_long_all_windows_are_open_in_a_row():
    overlap = (windows("mon 09:00-10:00"), windows("mon 09:50-11:00"))

    assert longest_open(overlap, at("2026-12-01 00:00"), HOUR) == timedelta(minutes=10)
    assert longest_open((OFFICE,), at("2026-12-01 00:00"), HOUR) == HOUR
    assert longest_open((OFFICE, NIGHT), at("2026-12-01 00:00"), HOUR) == timedelta(0)
    assert longest_open((), at("2026-12-01 00:00"), HOUR) == HOUR


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mon-thu 9-17", "should look like mon-thu 09:00-17:00 Europe/Berlin"),
        ("mon 09:00-25:00", "a time that no day has"),
        ("moon 09:00-17:00", "a day that no week has"),
        ("mon-wed-fri 09:00-17:00", "a day that no week has"),
        ("mon 09:00-17:00 Mars/Olympus", "no time zone"),
        ("mon 09:00-17:00 ../etc", "no time zone"),
    ],
)
def test_what_is_no_window_is_refused_in_words(text, said):
    with pytest.raises(ValueError, match=said):
        read_opening(text, "UTC")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Christmas", "should look like 2026-12-20/2027-01-04"),
        ("2026-02-30/2026-03-01", "a day that no month has"),
        ("2027-01-04/2026-12-20", "ends before it begins"),
    ],
)
def test_what_is_no_freeze_is_refused_in_words(text, said):
    with pytest.raises(ValueError, match=said):
        read_freeze(text, "UTC")


def test_windows_are_written_as_people_write_them():
    both = windows("thu,mon 09:00-17:00", "sat-mon 22:00-04:00", freezes=("2026-12-20/2027-01-04",), zone=BERLIN)

    assert str(both) == (
        "mon,thu 09:00-17:00 Europe/Berlin, mon,sat,sun 22:00-04:00 Europe/Berlin, "
        "not 2026-12-20/2027-01-04 Europe/Berlin"
    )
    assert str(OFFICE) == "mon-thu 09:00-17:00 Europe/Berlin"
    assert str(Windows()) == "always"
