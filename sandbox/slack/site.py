"""What the parts of one running workspace share."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.slack import limits
from sandbox.slack.changes import Changes
from sandbox.slack.refusal import Refusal
from sandbox.slack.switches import Switches
from sandbox.slack.tickets import (
    LINK_WORDS,
    RESPONSE_URL_SECONDS,
    RESPONSE_URL_USES,
    RESPONSE_URL_WORDS,
    TRIGGER_SECONDS,
    TRIGGER_WORDS,
    UPLOAD_SECONDS,
    UPLOAD_WORDS,
    Tickets,
)
from sandbox.slack.views import Views
from sandbox.slack.world import BOT_USER, Channel, File, Message, World

Json = dict[str, Any]


@dataclass
class Site:
    """A workspace with its tickets and its watchers."""

    world: World
    changes: Changes
    switches: Switches
    base_url: str = ""
    complaints: list[str] = field(default_factory=list)
    """What Slack would have refused without a Web API answer to report it."""

    def __post_init__(self) -> None:
        now = self.world.now
        self.views = Views(self.world, self.switches)
        self.triggers = Tickets(TRIGGER_WORDS, TRIGGER_SECONDS, 1, now, prefix="13345224609.738474920.")
        self.response_urls = Tickets(RESPONSE_URL_WORDS, RESPONSE_URL_SECONDS, RESPONSE_URL_USES, now)
        self.uploads = Tickets(UPLOAD_WORDS, UPLOAD_SECONDS, 1, now)
        self.files: dict[str, File] = {}
        self.links = Tickets(LINK_WORDS, 30.0, 1, now)
        self.ephemerals: dict[str, list[Json]] = {}
        self.selections: dict[tuple[str, str], Json] = {}
        self.offered: dict[tuple[str, str, str], list[Json]] = {}

    def speak(self, channel: Channel, user: str, text: str, blocks: list[Json], **more: Any) -> Message:
        """Post a message in a channel."""
        ts = self.world.next_ts()
        message = Message(channel.id, ts, user, text, self.world.named(blocks), names=self.world.names, **more)
        self.world.say(message)
        self.changes.announce("message", message)
        return message

    def rewrite(self, message: Message, text: str, blocks: list[Json]) -> None:
        """Change the content of a message."""
        message.edit(text, self.world.named(blocks))
        self.changes.announce("edit", message)

    def remove(self, message: Message) -> None:
        """Delete a message."""
        self.world.unsay(message)
        self.changes.announce("delete", message)

    def whisper(self, person: str, text: str, blocks: list[Json] | None = None, **where: str | None) -> Json:
        """Show a message to one person only."""
        shown = {
            "text": text,
            "blocks": self.world.named(blocks or []),
            "channel": where.get("channel"),
            "thread_ts": where.get("thread_ts"),
            "ts": self.world.next_ts(),
            "user": person,
        }
        self.ephemerals.setdefault(person, []).append(shown)
        self.changes.announce("ephemeral", shown)
        return shown

    def complain(self, what: str) -> None:
        """Note something that an app should not have sent."""
        self.complaints.append(what)
        self.changes.wake()

    def checked(self, content: Json) -> tuple[str, list[Json]]:
        """Return the text and blocks of a message, or raise a refusal."""
        text, blocks = content.get("text") or "", content.get("blocks") or []
        if not text and not blocks:
            raise Refusal("no_text")
        limits.refuse(blocks, self.switches.missing_blocks, self.switches.blocks_text)
        if len(text) > limits.MESSAGE_TEXT:
            raise Refusal("msg_too_long")
        return text, blocks

    def upload(self, ticket_name: str, content: bytes) -> None:
        """Take the bytes of a file that was announced."""
        file = self.files[self.uploads.take(ticket_name).person]
        if len(content) != file.length:
            raise Refusal("length_mismatch")
        file.content = content

    def respond(self, ticket_name: str, answer: Json) -> None:
        """Carry out a post to a response_url."""
        ticket = self.response_urls.take(ticket_name)
        text, blocks = self.checked(answer)
        if answer.get("response_type") == "in_channel" and ticket.channel:
            channel = self.world.channels[ticket.channel]
            self.speak(channel, BOT_USER, text, blocks, thread_ts=answer.get("thread_ts"))
        else:
            self.whisper(ticket.person, text, blocks, channel=ticket.channel, thread_ts=answer.get("thread_ts"))
