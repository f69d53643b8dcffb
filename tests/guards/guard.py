"""What a guard is: where it stands in the code, how it is taken out, and the test that fails without it."""

import ast
from pathlib import Path
from typing import NamedTuple

from tests.support.forked import ROOT


class Moved(Exception):
    """The code of a guard is not where the table says: its entry has to follow it."""


class Guard(NamedTuple):
    """Something in the code that stands between a mistake and a wrong delete, a false green or a leaked secret."""

    name: str
    prevents: str
    """One sentence: what happens without it."""

    file: str
    code: str
    """Text that the file has exactly once."""

    without: str
    """What stands there when the guard is taken out."""

    test: str
    """The cheapest test that fails then; of a parametrized one, some case of it."""

    def taken_out(self, folder: Path = ROOT) -> str:
        """Return the text of the file without the guard; raise `Moved` unless its code is there exactly once."""
        text = (folder / self.file).read_text()
        found = text.count(self.code)
        if found != 1:
            raise Moved(f"{self.name}: {self.file} has this {found} times, and not once:\n{self.code}")
        after = text.replace(self.code, self.without)
        ast.parse(after)
        return after
