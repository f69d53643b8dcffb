"""The demo's search for secrets finds a piece in any place, and says if there was nothing to search."""

import json

import pytest

from sandbox import searching
from sandbox.company import company

SAID = {"Slack": '"chat.update"', "the bot's log": '"ready"', "its Redis": "keyturn:rotation:rabc"}


@pytest.mark.parametrize("place", SAID)
@pytest.mark.parametrize("whose", ["the bot's admin key", "a new secret"])
async def test_a_piece_of_a_secret_is_found_in_any_place_that_could_be_read(monkeypatch, tmp_path, place, whose):
    async with company() as there:
        made = there.provider.make("Secret Key", owner_name="keyturn-rabc-1")
        secret = made.secret if whose == "a new secret" else there.provider.admin_key
        held = {**SAID, place: SAID[place] + json.dumps({"said": f"hint {there.provider.hint(made)}, {secret[20:40]}"})}
        for text, expected in ((SAID, []), (held, [place]), ({**SAID, place: ""}, [f"{place}, which can't be read"])):
            monkeypatch.setattr(searching, "places", lambda *_, text=text: text)
            assert searching.found(there, tmp_path, tmp_path / "bot.log") == expected
