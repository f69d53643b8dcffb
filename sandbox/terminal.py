"""Show a Slack channel in the terminal: who did what and when, cards as panels, threads as lines."""

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

NARROWEST, WIDEST, UNKNOWN = 80, 120, 100
"""The limits of the width in columns, and the width if this is no terminal."""

WHO, SMALL = 11, 76
"""The width in columns of the actor, and of forms and dialogs."""

FRAMES: Mapping[str, str] = {"🔴": "red", "✘": "red", "🟢": "green"}
"""The colour of a card's frame, by its state mark."""


class Terminal:
    """Prints each event once, with the seconds since the start."""

    def __init__(self, *, plain: bool = False) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a narrow encoding must not end a demo
        self.console = Console(no_color=plain or None, force_terminal=False if plain else None, highlight=False)
        width = self.console.width if self.console.is_terminal else UNKNOWN
        self.console.width = min(max(width, NARROWEST), WIDEST)
        self._began = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether a person watches, who needs time to read."""
        return self.console.is_terminal

    def scene(self, title: str) -> None:
        """Print the title of a scene."""
        self.console.print()
        self.console.print(Rule(Text(f" {title} ", "bold"), align="left", style="dim"))

    def line(self, who: str, what: Text | str, style: str = "") -> None:
        """Print one event."""
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=5, justify="right")
        row.add_column(width=WHO, no_wrap=True)
        row.add_column(ratio=1, overflow="fold")
        shown = Text(what) if isinstance(what, str) else what
        row.add_row(Text(f"{time.monotonic() - self._began:.1f}", "dim"), Text(who, style or "bold"), shown)
        self.console.print(row)

    def panel(self, content: RenderableType, title: str, mark: str = "", *, small: bool = False) -> None:
        """Print something in a frame; a form or a dialog is *small*."""
        width = SMALL if small else None
        frame = FRAMES.get(mark, "dim")
        self.console.print(
            Panel(content, title=Text(title, "dim"), title_align="left", border_style=frame, width=width)
        )

    def say(self, sentence: Text | str = "", style: str = "") -> None:
        """Print a sentence."""
        self.console.print(Text(sentence, style) if isinstance(sentence, str) else sentence)

    def verbatim(self, text: str) -> None:
        """Print text to copy: never wrapped, never coloured."""
        print(text, flush=True)

    @contextmanager
    def footer(self, figures: Callable[[], str]) -> Iterator[None]:
        """Keep a line of figures at the bottom, if this is a terminal."""
        if not self.alive:
            yield
            return
        with Live(get_renderable=lambda: Text(figures(), "dim"), console=self.console, transient=True):
            yield
