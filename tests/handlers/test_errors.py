"""What a person is told when something is refused or fails."""

import pytest

from bot.rotation.errors import ApiError, NotFound, Unanswerable, Uncertain
from handlers.errors import explain


@pytest.mark.parametrize("kind", [ApiError, NotFound, Uncertain, Unanswerable])
def test_a_name_from_outside_in_an_error_pings_nobody(kind):
    text, _ = explain(kind("AISIX does not show the budgets of `a\u202e<!channel>`."))

    assert text == "AISIX does not show the budgets of `a &lt;!channel&gt;`."
