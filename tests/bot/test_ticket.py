"""What a ticket looks like: a pattern that ends soon, and an address that no ticket leaves."""

import pytest

from bot.rotation.ticket import LINK_MOST, TicketPattern, wrong_with

OPS = TicketPattern(pattern=r"OPS-\d+", template="https://tracker.example.com/browse/{ticket}?from=keyturn")


@pytest.mark.parametrize(
    ("ticket", "fits"),
    [
        ("OPS-4412", True),
        ("ops-4412", False),
        ("OPS-4412 and more", False),
        ("OPS-4412\n", False),
        ("OPS-٤٤", False),
        ("OPS-" + "1" * 77, False),
        ("", False),
    ],
)
def test_the_whole_ticket_has_to_fit(ticket, fits):
    assert OPS.fits(ticket) is fits
    assert OPS.link(ticket) == ("https://tracker.example.com/browse/OPS-4412?from=keyturn" if fits else "")


def test_a_ticket_stays_within_its_part_of_the_address_and_a_long_address_is_none():
    anything = TicketPattern(pattern=".+", template="https://tracker.example.com/{ticket}/")

    assert anything.link("../a?b#<c|d>") == "https://tracker.example.com/..%2Fa%3Fb%23%3Cc%7Cd%3E/"
    assert len(anything.link("é" * 40)) < LINK_MOST
    assert anything.link("é" * 80) == ""
    assert TicketPattern(pattern=".+").link("OPS-1") == ""


@pytest.mark.parametrize(
    "pattern",
    [
        r"OPS-\d+",
        r"(?:OPS|NET)-\d{1,6}",
        r"[A-Z][A-Z0-9]*-\d+",
        r"[(+*?|]\)+",
        r"[^]]+",
        r"INC\d{7}|CHG\d{7}",
        "#?[0-9]+",
    ],
)
def test_a_pattern_that_ends_soon_is_taken(pattern):
    assert wrong_with(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "1 to 200 letters"),
        ("a" * 201, "1 to 200 letters"),
        ("OPS-(", "no regular expression"),
        ("a**", "no regular expression"),
        (r"(\w+)+", "repeat no group"),
        (r"(a|b){2,}", "repeat no group"),
        (r"(a)\1", "back reference"),
        ("(?=a)a", "lookaround"),
        ("(?i)ops", "flag"),
        ("(?P<n>a)", "name"),
        (r"\w+\w*\w?\w{1,9}", "at most 3 of"),
        ("|".join("abcdefghij"), "8 of |"),
        (r"\d*", "fit an empty ticket"),
    ],
)
def test_a_pattern_that_could_take_years_or_fits_nothing_is_refused(pattern, why):
    assert why in wrong_with(pattern)
