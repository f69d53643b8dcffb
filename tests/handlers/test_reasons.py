"""The reason for a verdict fits into a table: what it is about is never cut, however long the names are."""

import ast
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from bot.aisix import answers, probes, status
from bot.rotation import blame, replica, weighing
from bot.steps import verdicts
from handlers.views.blocks import CELL_MOST
from handlers.views.evidence import UNKNOWN_KEY, WORDS_MOST, short
from tests.handlers import records as r

NAME = "gateway-2.production.svc.cluster.local:33091"
FRAMES = ("{}", UNKNOWN_KEY[0] + "{}", "not proved: {}; answered 3 times in a row; every gateway is synced")


def spoken() -> Iterator[str]:
    """Yield every phrase of the modules that give reasons, with a long name in it and a number for all else."""
    for module in (answers, blame, probes, replica, status, verdicts, weighing):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        whole = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        told |= {id(part) for node in whole for part in node.values}
        for node in whole:
            names = chain([NAME], repeat("12"))
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else next(names) for p in node.values)
        yield from (
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
        )


WHOLE = "not proved:"
"""Begins a reason that holds another one."""

PHRASES = sorted({" ".join(s.split()) for s in spoken() if len(s.split()) > 4 and not s.startswith(WHOLE)})


@pytest.mark.parametrize("frame", FRAMES)
def test_every_reason_is_whole_in_a_table(frame: str) -> None:
    cells = {said: short(frame.format(said)) for said in PHRASES}

    assert len(cells) > 50
    assert {said: cell for said, cell in cells.items() if said.replace(*UNKNOWN_KEY) not in cell} == {}
    assert [cell for cell in cells.values() if len(cell.removesuffix(" …").split()) > WORDS_MOST] == []
    assert [cell for cell in cells.values() if len(cell) > CELL_MOST] == []


LONG = "x" * 160


@pytest.mark.parametrize(
    ("reason", "cell"),
    [
        (f"{LONG} does not tell its state, and may not be synced", f"{LONG} does not tell its state, and may not …"),
        (f"{LONG} {LONG}", f"{LONG} …"),
        ("a b; " * 15, "a b; " * 9 + "a b …"),
        (f"{r.HOSTILE} " * 4, f"{' '.join((r.HOSTILE * 4).split()[:20])} …"),
    ],
)
def test_what_does_not_fit_is_cut_between_words(reason: str, cell: str) -> None:
    assert short(reason) == cell
    assert len(cell) <= CELL_MOST
