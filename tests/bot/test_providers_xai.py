"""xAI, by made-up answers in the shapes of its documentation."""

from typing import Any

import httpx
from pydantic import SecretStr

from bot.rotation.credentials import Row, Status, Usage, matching
from tests.bot.test_providers_faults import NOW, SECRET, account
from tests.support.calls import Answer, Served

SHOWN = {
    "apiKeyId": "id-1",
    "name": "old",
    "redactedApiKey": "sk-proj-...abcd",
    "disabled": "false",
    "teamId": "team-1",
}
OLD = SHOWN | {"acl_strings": ["api-key:model:grok-4"], "qps": 5, "tpm": "1000", "createTime": "2026-11-01T00:00:00Z"}


class Team:
    """One team; its list has a key on each page."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [OLD, SHOWN | {"apiKeyId": "id-2", "redactedApiKey": "xai-...wxyz"}]
        self.bodies: list[bytes] = []
        self.itself: dict[str, bool] = {}

    def __call__(self, request: httpx.Request) -> Answer:
        self.bodies.append(request.content)
        match request.method, request.url.path:
            case "GET", "/auth/management-keys/validation":
                return 200, {"scope": "team", "teamId": "team-1"}
            case "GET", "/auth/teams/team-1/api-keys":
                at = int(request.url.params.get("paginationToken", "0"))
                after = str(at + 1) if at + 1 < len(self.keys) else ""
                return 200, {"apiKeys": self.keys[at : at + 1], "paginationToken": after}
            case "POST", _:
                return 200, SHOWN | {"apiKeyId": "id-3", "apiKey": SECRET}
            case "PUT", "/auth/api-keys/id-1":
                self.keys[0] = OLD | {"disabled": "true"}
            case "DELETE", "/auth/api-keys/id-1" if self.keys[0]["apiKeyId"] == "id-1":
                self.keys.pop(0)
            case "GET", "/v1/api-key":
                return 200, self.itself
            case _:
                return 404, {}
        return 200, {}


async def test_the_life_of_a_key_at_xai():
    team = Team()
    served = Served(team)
    one = account("xai", served)
    rows = await one.rows()
    minted = await one.mint("keyturn-abc-1", rows[0])

    assert [row.id for row in rows] == ["id-1", "id-2"]
    assert matching(rows, SecretStr(SECRET)) == rows[0]
    assert minted.secret.get_secret_value() == SECRET
    assert minted.copied == ("permissions", "requests a second", "tokens a minute")
    assert team.bodies[-1] == b'{"acls":["api-key:model:grok-4"],"qps":5,"tpm":"1000","name":"keyturn-abc-1"}'
    assert await one.usage(rows[0], NOW) == Usage(), "no figure is not unused"
    await one.disable("id-1")
    assert (await one.read("id-1")).status is Status.DISABLED
    for _ in "again":
        await one.delete("id-1")
    assert await one.read("id-1") == Row(id="id-1", status=Status.GONE)


async def test_a_key_that_says_it_is_blocked_does_not_work_and_is_asked_elsewhere():
    team = Team()
    served = Served(team)
    for blocked in (False, True):
        team.itself = {"api_key_blocked": blocked}
        assert await account("xai", served).works(SecretStr(SECRET)) is not blocked
    assert served.lines == ["GET https://api.x.ai/v1/api-key"] * 2
