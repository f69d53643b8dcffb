"""What a guard is: where it stands in the code, how it is taken out, and the test that fails without it."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

from tests.support.forked import ROOT


class Moved(Exception):
    """The code of a guard is not where the table says: its entry has to follow it."""


class Guard(NamedTuple):
    """Something in the code that stands between a mistake and a wrong delete, a false green or a leaked secret."""

    prevents: str
    """One sentence: what happens without it."""

    file: str
    code: str
    """Text that the file has exactly once."""

    test: str
    """The cheapest test that fails then; of a parametrized one, some case of it."""

    without: str | None = None
    """What stands there when the guard is taken out; if None, a condition never holds, and anything else is gone."""

    name: str = ""

    def taken_out(self, folder: Path = ROOT) -> str:
        """Return the text of the file without the guard; raise `Moved` unless its code is there exactly once."""
        text = (folder / self.file).read_text()
        found = text.count(self.code)
        if found != 1:
            raise Moved(f"{self.name}: {self.file} has this {found} times, and not once:\n{self.code}")
        after = text.replace(self.code, self._without())
        ast.parse(after)
        return after

    def _without(self) -> str:
        """Return what stands there when the guard is taken out."""
        if self.without is not None:
            return self.without
        never, conditions = re.subn(r"\bif .*:(?=\n|$)", "if False:", self.code)
        return never if conditions else ""
