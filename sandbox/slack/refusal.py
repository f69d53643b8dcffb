"""Slack's refusals."""

from typing import Any


class Refusal(Exception):
    """A call that Slack refuses; *error* is Slack's code, *messages* name the places."""

    def __init__(self, error: str, messages: list[str] | None = None, **more: Any) -> None:
        super().__init__(f"{error}: {'; '.join(messages or [])}".removesuffix(": "))
        self.error = error
        self.messages = messages or []
        self.more = more

    def answer(self) -> dict[str, Any]:
        """Return the body that Slack sends."""
        body: dict[str, Any] = {"ok": False, "error": self.error, **self.more}
        if self.messages:
            body["response_metadata"] = {"messages": self.messages}
        if self.messages and self.error == "invalid_blocks":
            body["errors"] = [each.removeprefix("[ERROR] ") for each in self.messages]
        return body
