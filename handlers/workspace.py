"""Check where a payload comes from: Keyturn serves only its own app, in its own workspace or organization."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.payload import text

FOREIGN = "Keyturn serves the workspace that it is installed in, and this came from another one. Nothing was done."

TEAM = (("team_id",), ("team", "id"), ("user", "team_id"))
ENTERPRISE = (("enterprise_id",), ("enterprise", "id"))


class Workspace(NamedTuple):
    """The ids of our workspace and its organization, and of our app if Slack says it."""

    ids: frozenset[str] = frozenset()
    app: str = ""

    @classmethod
    def of(cls, team: Mapping[str, Any]) -> "Workspace":
        """Read the ids from what Slack says about the bot."""
        ids = {text(team, "team_id"), text(team, "enterprise_id")}
        return cls(frozenset(ids - {""}), text(team, "app_id"))

    def is_foreign(self, body: Any) -> bool:
        """Tell whether a payload names only other workspaces, or another app. Slack is asked about the person later."""
        claimed = {text(body, *path) for path in (*TEAM, *ENTERPRISE)} - {""}
        app = text(body, "api_app_id")
        elsewhere = bool(claimed and self.ids) and not claimed & self.ids
        return elsewhere or bool(app and self.app and app != self.app)
