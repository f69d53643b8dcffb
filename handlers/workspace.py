"""Where a payload says that it comes from: only our own app, in our own workspace or organization, is served."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handlers.payload import text

FOREIGN = "Keyturn serves the workspace that it is installed in, and this came from another one. Nothing was done."

TEAM = (("team_id",), ("team", "id"), ("user", "team_id"))
ENTERPRISE = (("enterprise_id",), ("enterprise", "id"))


class Workspace(NamedTuple):
    """The ids of our workspace and its organization, and that of our app where Slack tells it."""

    ids: frozenset[str] = frozenset()
    app: str = ""

    @classmethod
    def of(cls, team: Mapping[str, Any]) -> "Workspace":
        """Read it from what Slack says of the bot."""
        ids = {text(team, "team_id"), text(team, "enterprise_id")}
        return cls(frozenset(ids - {""}), text(team, "app_id"))

    def is_foreign(self, body: Any) -> bool:
        """Tell whether a payload names other workspaces only, or another app. Who it is of is asked of Slack later."""
        claimed = {text(body, *path) for path in (*TEAM, *ENTERPRISE)} - {""}
        app = text(body, "api_app_id")
        elsewhere = bool(claimed and self.ids) and not claimed & self.ids
        return elsewhere or bool(app and self.app and app != self.app)
