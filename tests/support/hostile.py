"""What somebody who means ill could send: text, JSON of any shape, and bytes that are none."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SOAK = int(os.environ.get("SOAK_EXAMPLES", "2000"))
"""Examples of each fuzzer under `make soak`."""

NASTY = (
    "<!channel>", "<!here>", "<@U_MEMBER>", "<!subteam^S_APPROVERS>", "<#C_OPS>", "<http://evil.example|here>",
    "<mailto:a@b.c|x>", "http://evil.example", "`", "```", "*", "_", "~", ">", "&lt;!here&gt;", "&amp;lt;",
    "\u202e", "\u2066", "\u200b", "\x00", "\x1b[2J", "\r\n", "\t", "\U0001f600", "e\u0301", "\ud800", "{{7*7}}", "%s%n",
    "../..", "?a=b#c", "'; DROP TABLE", "\\", '"', ":wave:",
)  # fmt: skip
LONG = ("x" * 10_000, "<!channel>" * 1_000, "&" * 10_000, "`" * 10_000, "\U0001f600" * 5_000, "a b " * 2_500)

WORDS = st.one_of(
    st.text(st.characters(), max_size=60),  # orphans of characters among them
    st.lists(st.sampled_from(NASTY), min_size=1, max_size=8).map("".join),
    st.sampled_from(LONG),
)
NAMES_OF_FIELDS = """
    id uuid name display_name alias provider provider_key provider_key_id model_name kind allowed_environments api_base
    adapter request routing targets semantic embedding error type code message data items next next_cursor total page
    has_more links choices state applied apply_seq rejected source connected value values selected_option user team
    channel scope scope_id model target tls default_headers
"""
FIELDS = st.sampled_from(NAMES_OF_FIELDS.split())
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), WORDS,
    st.sampled_from(["pk_old", "m1", "env_p", ""]),
)  # fmt: skip
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(FIELDS, WORDS), inner, max_size=5)),
    max_leaves=12,
)

RAW = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"", b"null", b"nonsense", b"<html>", b"\xff\xfe{", b'{"a": NaN}', b'[{"id": Infinity}]', b"[1e999]",
            b'[{"id": "a", "id": "b"}]', b"[" * 5_000, b'{"a":' * 5_000, b"[" * 90 + b"]" * 90, b"[" * 300 + b"]" * 300,
            b"9" * 6_000, b'"\\ud800"', '[{"id": "\u00e9"}]'.encode("latin-1"), '[{"id": "x"}]'.encode("utf-16"),
            b"\xef\xbb\xbf[]", b"[]" + b" " * 300_000, b'["' + b"x" * 300_000 + b'"]', b'{"data": null}',
        ]
    ),
)  # fmt: skip


def encoded(value: Any) -> bytes:
    """Encode JSON as a careless server would: with what is no number, and with orphans of characters."""
    return json.dumps(value).encode()


BODIES = st.one_of(RAW, JSON.map(encoded))


def amounts(usual: int) -> Any:
    """Have a test run with its *usual* number of inputs, and with many under `make soak`."""
    long = pytest.param(SOAK, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])
    return pytest.mark.parametrize("many", [usual, long])


def fuzz(tried: Callable[..., None], many: int, **inputs: Any) -> Callable[[Callable[..., None]], None]:
    """Call what is decorated with *many* inputs, the same in every run but under `make soak`, and count them."""

    def run(hold: Callable[..., None]) -> None:
        count = 0

        @settings(
            max_examples=many,
            deadline=None,
            derandomize=many < SOAK,
            database=None,
            phases=[Phase.explicit, Phase.generate],  # what failed is small enough to be read as it is
            suppress_health_check=list(HealthCheck),
        )
        @given(**inputs)
        def counting(**given_now: Any) -> None:
            nonlocal count
            count += 1
            hold(**given_now)

        counting()
        tried("hostile input", inputs=count)

    return run
