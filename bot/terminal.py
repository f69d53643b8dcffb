"""Print lines for the person at the terminal."""

import os
import sys

import click


def say(line: str) -> None:
    """Print a line that may hold names from outside, without control characters for the terminal.

    If nobody reads on, as with `keyturn check | head -1`, the work goes on and the rest is dropped.
    """
    try:
        click.echo("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
