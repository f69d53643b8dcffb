"""What a guard is: where it stands in the code, how it is taken out, and the test that fails without it."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.support.documents import ROOT


class Moved(Exception):
    """The code of a guard, or its test, is not there exactly once: its entry has to follow it."""


@cache
def texts(tree: Path, folder: str) -> dict[str, str]:
    """Return the text of every module of a folder, by its path in *tree*."""
    return {str(file.relative_to(tree)): file.read_text() for file in sorted((tree / folder).rglob("*.py"))}


class Guard(NamedTuple):
    """Something in the code that stands between a mistake and a wrong delete, a false green or a leaked secret."""

    code: str
    """Text that `bot/` and `handlers/` have exactly once."""

    test_name: str
    """The cheapest test that fails then; of a parametrized one, some case of it."""

    without: str | None = None
    """What stands there when the guard is taken out; if None, a condition never holds, and anything else is gone."""

    prevents: str = ""
    """One sentence: what happens without it."""

    tree: Path = ROOT

    @property
    def file(self) -> str:
        """The file that has the code."""
        modules = {**texts(self.tree, "bot"), **texts(self.tree, "handlers")}
        return self._once(self.code, modules)

    @property
    def test(self) -> str:
        """The test, as pytest wants it."""
        return f"{self._once(f'def {self.test_name}(', texts(self.tree, 'tests'))}::{self.test_name}"

    def _once(self, wanted: str, modules: dict[str, str]) -> str:
        found = [file for file, text in modules.items() for _ in range(text.count(wanted))]
        if len(found) != 1:
            raise Moved(f"{self.prevents} This should be there once, and is {len(found)} times:\n{wanted}\n{found}")
        return found[0]

    def taken_out(self) -> str:
        """Return the text of the file without the guard."""
        after = (self.tree / self.file).read_text().replace(self.code, self._without())
        ast.parse(after)
        return after

    def _without(self) -> str:
        """Return what stands there when the guard is taken out."""
        if self.without is not None:
            return self.without
        never, conditions = re.subn(r"\bif .*:(?=\n|$)", "if False:", self.code)
        return never if conditions else ""
