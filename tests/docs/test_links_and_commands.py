"""Whatever the documents point at is there, and whatever they say to type is understood."""

import re
import shlex
from pathlib import Path

import click
import pytest

from bot.cli import main
from handlers.commands import COMMAND, FOR_A_TOKEN, WORDS
from handlers.holding import VERBS
from handlers.several import SEVERAL
from tests.support.documents import DOCUMENTS, ROOT, anchors, commands, links, read

MAKEFILE = read("Makefile")
TARGETS = {*re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE), ".venv/.ready"}
OURS = ("make", "python", ".venv/bin/python", "keyturn")
OTHERS = {
    *["chmod", "cp", "curl", "docker", "echo", "git", "install", "journalctl", "kubectl", "openssl", "pip", "sudo"]
}
"""Programs of others that the documents use."""

TYPED = [(name, line) for name in DOCUMENTS for line in commands(name)]
assert ("docs/install.md", "make run") in TYPED


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(name: str) -> None:
    for link in links(name):
        if link.startswith(("https://", "http://")):
            continue
        path, _, place = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), link
        if place:
            assert place in anchors(str(target.relative_to(ROOT))), link


NAMED = re.compile(r"`((?:bot|handlers|sandbox|tests|docs)/[\w./-]*)`")


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_every_file_and_folder_of_ours_that_a_page_names_is_there(name: str) -> None:
    """A changelog speaks of what was; every other page of what is."""
    assert [path for path in NAMED.findall(read(name)) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("name", "line"), TYPED, ids=[f"{name}: {line}"[:70] for name, line in TYPED])
def test_every_command_line_is_understood_by_its_program(name: str, line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])

    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS
    elif words[0] in OURS:
        understood(words[1:] if words[0] != "keyturn" else ["-m", "bot", *words[1:]])
    else:
        assert words[0] in OTHERS


def understood(words: list[str]) -> None:
    """Have the program that is called say what it would do, without doing it."""
    assert words[0] == "-m"
    if words[1] != "bot":
        assert (ROOT / Path(*words[1].split(".")).with_suffix(".py")).exists()
        return
    parse(main, [word for word in words[2:] if not word.endswith(".jsonl")])


def parse(command: click.Command, words: list[str]) -> None:
    """Go down the tree of commands as click would; an unknown word or option is an error."""
    with click.Context(command, **main.context_settings) as context:
        if isinstance(command, click.Group) and words:
            _, found, rest = command.resolve_command(context, words)
            assert found is not None
            parse(found, rest)
        else:
            command.make_parser(context).parse_args(words)


@pytest.mark.parametrize("words", ["chekc", "audit verify --haed x"])
def test_a_command_that_is_not_there_is_noticed(words: str) -> None:
    with pytest.raises(click.UsageError):
        understood(["-m", "bot", *words.split()])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_in_a_sentence_is_understood_too(name: str) -> None:
    text = read(name)
    for words in re.findall(r"`(?:python -m bot|keyturn)((?: [a-z][\w-]*)*)`", text):
        understood(["-m", "bot", *words.split()])
    for target in re.findall(r"`make ([a-z-]+)`", text):
        assert target in TARGETS
    for word in re.findall(rf"`{COMMAND} ([a-z]+)`", text):
        assert word in {*WORDS, *VERBS, SEVERAL, FOR_A_TOKEN}
