"""What looks at one address tell of it: a replica only grows, a restart is one fall, and a balancer falls again."""

from datetime import timedelta

import pytest

from bot.aisix.sameness import Glimpse, Row, Watched, glimpse, is_cached, mark, twins
from tests.bot.values import NOW, later

SAMPLE = b"""# TYPE aisix_llm_requests_total counter
aisix_llm_requests_total{endpoint="/v1/chat/completions",model="chat {x} 9",status="200"} 40
aisix_proxy_requests_total{model="chat",outcome="success"} 2.0
aisix_proxy_requests_total{model="chat",outcome="failed"} 1e+1
aisix_deployment_requests_total{model="chat"} 1000
aisix_request_duration_seconds_sum{model="chat",status="200"} 0.02604057
"""
CONFIG = {"state": "synced", "applied": {"apply_seq": 4, "applied_revision": 19}}


def test_what_only_grows_is_read_from_the_two_pages():
    assert glimpse(CONFIG, SAMPLE) == Glimpse(apply_seq=4, revision=19, requests=52)


@pytest.mark.parametrize("config", [None, [], "x", {"applied": None}, {"applied": {"apply_seq": "4"}}])
def test_a_configuration_without_usable_values_says_nothing_of_the_replica(config):
    assert glimpse(config, "has no /metrics (404)") == Glimpse()


def watched(*looks: tuple[Glimpse, ...], apart: float = 1.0) -> Watched:
    seen = Watched()
    for number, row in enumerate(looks):
        seen = seen.after(Row(row, number * apart, number * apart + 0.1), later(number * apart))
    return seen


ONE, TWO = Glimpse(3, 19, 120), Glimpse(7, 19, 40)
GROWN, ANEW = Glimpse(4, 20, 150), Glimpse(1, 20, 2)


@pytest.mark.parametrize(
    ("looks", "balanced"),
    [
        (((ONE,), (ONE, ONE), (GROWN,)), False),
        (((GROWN,), (ANEW,), (Glimpse(2, 21, 9),)), False),
        (((GROWN,), (ANEW,), (GROWN,), (ANEW,)), True),
        (((ONE, TWO),), True),
        (((TWO, ONE),), True),
        (((ONE,), (TWO,), (ONE,)), True),
        (((Glimpse(requests=5), Glimpse(requests=9)),), False),
        (((Glimpse(), Glimpse(3, 1, 2), Glimpse()),), False),
    ],
)
def test_looks_that_contradict_each_other_are_of_more_than_one_replica(looks, balanced):
    assert watched(*looks).is_balanced is balanced


def test_two_restarts_that_are_far_apart_are_two_restarts():
    looks = ((GROWN,), (ANEW,), (GROWN,), (ANEW,))

    assert not watched(*looks, apart=timedelta(minutes=11).total_seconds()).is_balanced


def test_looks_that_overlap_are_not_compared():
    seen = Watched().after(Row((GROWN,), 0.0, 5.0), NOW)
    for _ in range(3):
        seen = seen.after(Row((ONE,), 1.0, 2.0), NOW)

    assert not seen.is_balanced
    assert seen.last == GROWN


def test_two_pages_with_the_same_seconds_spent_are_of_one_process():
    other = SAMPLE.replace(b"0.02604057", b"0.02604058")

    assert twins({"a": mark(SAMPLE), "b": mark(other), "c": mark(SAMPLE)}) == {"c": "a"}


@pytest.mark.parametrize("page", ["does not answer", b"", b"aisix_x_seconds_sum 0\n", b"aisix_x_seconds_sum 1.5\n"])
def test_pages_that_may_be_alike_by_chance_are_not_of_one_process(page):
    assert twins({"a": mark(page), "b": mark(page)}) == {}


@pytest.mark.parametrize(
    ("headers", "cached"),
    [
        ({}, False),
        ({"age": "0"}, False),
        ({"age": "12"}, True),
        ({"x-cache": "HIT from proxy"}, True),
        ({"x-cache": "Miss from proxy"}, False),
        ({"x-cache-status": "HIT"}, True),
        ({"cf-cache-status": "hit"}, True),
    ],
)
def test_a_page_from_a_cache_is_known_by_its_headers(headers, cached):
    assert is_cached(headers) is cached
