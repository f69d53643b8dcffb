"""What a command prints."""

import os
import sys
from pathlib import Path

import pytest

from bot.terminal import say


def test_a_closed_pipe_fails_no_command(monkeypatch):
    read, write = os.pipe()
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        os.close(read)

        say("this goes nowhere")
        say("and this")


def test_output_that_cannot_be_written_ends_the_command_with_a_sentence(monkeypatch):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit, match=r"^The output can't be written \(No space left on device\)\.$"):
            say("this goes nowhere")


def test_names_from_outside_carry_no_terminal_escapes(capsys):
    say("`\x1b[2J\x1b]0;owned\x07key\u202e` is fine \u2013 \u2264 5.")

    said = capsys.readouterr().out
    assert said.removesuffix("\n").isprintable()
    assert said.endswith("is fine \u2013 \u2264 5.\n")
