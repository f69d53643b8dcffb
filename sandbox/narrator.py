"""Show events of the sandbox's Slack and of the provider in the terminal; nothing here knows the bot."""

from typing import Any

from sandbox import drawing
from sandbox.people import AT_WORK
from sandbox.providers import Credential, ProviderServer
from sandbox.slack import Message, Slack
from sandbox.terminal import Terminal

Json = dict[str, Any]

SAID = (drawing.TASKS["complete"], drawing.TASKS["error"])
"""The marks of steps that get a line here; the card shows the current step itself."""

SAID_OF = {"active": "enabled", "disabled": "disabled", "gone": "deleted"}
"""What a provider has done with a credential."""

LONG = 7
"""A reply with this many line breaks or more is drawn in a frame."""


class Narrator:
    """Narrates a Slack: the whole card when someone new must act, and only new lines of the checklist."""

    def __init__(self, slack: Slack, terminal: Terminal, secrets: tuple[str, ...]) -> None:
        self._slack, self._terminal, self._secrets = slack, terminal, secrets
        self._told: dict[str, set[str]] = {}
        """By message: what was shown already."""

        self._headlines: dict[str, str] = {}
        """By card: its last first line."""

        slack.on_change(self._hear)

    def _hear(self, kind: str, what: Any) -> None:
        tell = getattr(self, f"_{kind}", None)
        if tell is not None:
            tell(what)

    @property
    def _names(self) -> dict[str, str]:
        return self._slack.site.world.names()

    def _who(self, user: str) -> str:
        return f"@{self._names.get(user, user)}"

    # --- what people do ---

    def _command(self, what: Json) -> None:
        typed = f"{what['command']} {what['text']}".strip()
        self._terminal.line(self._who(what["user"]), drawing.masked(typed, self._secrets))

    def _click(self, what: Json) -> None:
        pressed = drawing.words("presses ", {}) + drawing.button(what["button"])
        self._terminal.line(self._who(what["user"]), pressed)
        if asked := what["confirm"]:
            answers = drawing.button(asked["deny"]) + "  " + drawing.button(asked["confirm"], "danger")
            text = drawing.words(f"{asked['text']}\n\n", {}) + answers
            self._terminal.panel(text, asked["title"], drawing.TASKS["error"], small=True)

    def _submit(self, what: Json) -> None:
        view = what["view"]
        form = drawing.form(view, self._secrets, self._names)
        title = f"{view['title']['text']} (a form that only {self._who(what['user'])} sees)"
        self._terminal.panel(form, title, small=True)

    def _ephemeral(self, what: Json) -> None:
        text = drawing.words(what["text"], self._names)
        self._terminal.line("keyturn", drawing.words(f"to {self._who(what['user'])} only: ", {}, "dim") + text, "dim")

    # --- what the app says ---

    def _message(self, message: Message) -> None:
        if message.thread_ts is None:
            return self._card(message)
        if _is_checklist(message):
            self._checklist(message)
        elif message.plain.count("\n") >= LONG:
            self._terminal.panel(drawing.drawn(message.blocks, self._names), "in the thread", "🟢")
        else:
            self._terminal.line("thread", drawing.words(_source(message), self._names), "dim")
        return None

    def _edit(self, message: Message) -> None:
        if message.thread_ts is None:
            self._card(message)
        elif _is_checklist(message):
            self._checklist(message)
        else:
            for line in _news(message):
                self._terminal.line("thread", drawing.words(f"now says: {line}", self._names), "dim")

    def _card(self, card: Message) -> None:
        """Show the whole card when it first asks someone to act, two lines later on, and one while the bot works."""
        mark, headline = _headline(card)
        if self._new(card, mark) and mark != AT_WORK:
            self._terminal.panel(drawing.drawn(card.blocks, self._names), f"#{self._channel(card)}", mark)
        elif headline != self._headlines.get(card.ts):
            self._terminal.line("card", f"{mark} {headline}", "dim")
            self._next_move(card, mark)
        self._headlines[card.ts] = headline

    def _next_move(self, card: Message, mark: str) -> None:
        said = _above(card)[-1]
        if mark != AT_WORK and self._new(card, said):
            self._terminal.line("", drawing.words(said, self._names, "dim"))
            if card.buttons:
                self._terminal.line("", drawing.buttons(_elements(card)))

    def _checklist(self, message: Message) -> None:
        for line in _news(message):
            if line.startswith(SAID):
                self._terminal.line("checklist", drawing.words(line, self._names), "dim")

    def _new(self, message: Message, what: str) -> bool:
        told = self._told.setdefault(message.ts, set())
        fresh = what not in told
        told.add(what)
        return fresh

    def _channel(self, message: Message) -> str:
        return self._slack.channels[message.channel].name


class Ledger:
    """Narrates what becomes of each credential at a provider."""

    def __init__(self, provider: ProviderServer, terminal: Terminal) -> None:
        self._provider, self._terminal = provider, terminal
        self._told = self._standing()
        provider.on_change(self._hear)

    def _standing(self) -> dict[str, str]:
        return {each.id: each.status for each in self._provider.credentials.values()}

    def _hear(self) -> None:
        before, self._told = self._told, self._standing()
        for key, status in self._told.items():
            if status != before.get(key):
                self._tell(self._provider.credentials[key], "made" if key not in before else SAID_OF[status])

    def _tell(self, credential: Credential, done: str) -> None:
        name, hint = credential.owner_name or credential.name, self._provider.hint(credential)
        self._terminal.line(self._provider.title, f"{name} ({hint}): {done}")


def _is_checklist(message: Message) -> bool:
    return [block["type"] for block in message.blocks] == ["plan"]


def _news(message: Message) -> list[str]:
    """Return the lines that the message did not have before its last edit."""
    before = _source_of(message.edits[-1]).splitlines() if message.edits else []
    return [line for line in _source(message).splitlines() if line not in before]


def _source(message: Message) -> str:
    return _source_of((message.text, message.blocks))


def _source_of(version: tuple[str, list[Json]]) -> str:
    text, blocks = version
    lines = [*(block["text"]["text"] for block in blocks if block["type"] == "section"), *map(_step, _steps(blocks))]
    return "\n".join(lines) or text


def _steps(blocks: list[Json]) -> list[Json]:
    return [task for block in blocks if block["type"] == "plan" for task in block["tasks"]]


def _step(task: Json) -> str:
    """Write a step of the checklist as a line of text."""
    details = "".join(each.get("text", "") for part in task.get("details", {}).get("elements", ())
                      for each in part["elements"])  # fmt: skip
    return f"{drawing.TASKS[task['status']]} *{task['title']}*{f'   {details}' if details else ''}"


def _above(card: Message) -> list[str]:
    """Return the paragraphs above the buttons; the last one says the next move."""
    kinds = [block["type"] for block in card.blocks]
    end = kinds.index("actions") if "actions" in kinds else len(kinds)
    return [block["text"]["text"] for block in card.blocks[:end] if block["type"] == "section"] or [""]


def _elements(message: Message) -> list[Json]:
    return [element for block in message.blocks if block["type"] == "actions" for element in block["elements"]]


def _headline(card: Message) -> tuple[str, str]:
    """Return the mark and the state in the header of a card."""
    mark, _, said = card.plain.split("\n")[0].partition(" ")
    return mark, said
