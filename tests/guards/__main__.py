"""`python -m tests.guards [WORD…]`: takes guards out, one at a time, and shows that a test notices."""

import argparse
import sys
import time

from tests.guards.guard import Moved
from tests.guards.guide import GUIDE, page
from tests.guards.table import GUARDS
from tests.guards.taking_out import tried
from tests.support.documents import ROOT


def main(words: list[str]) -> int:
    """Try the guards whose sentence or test has one of these *words*; return 1 if one is not noticed."""
    began = time.monotonic()
    chosen = [one for one in GUARDS if not words or any(word in f"{one.test} {one.prevents}" for word in words)]
    noticed = sum(outcome.is_noticed for outcome in tried(chosen, lambda outcome: print(outcome, flush=True)))
    print(f"{noticed} of {len(chosen)} guards noticed in {time.monotonic() - began:.0f} s")
    return 0 if noticed == len(chosen) > 0 else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.guards", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="a part of a guard's test or sentence; all if none")
    parser.add_argument("--guide", action="store_true", help="only write the list of guards into the guide again")
    given = parser.parse_args()
    if given.guide:
        (ROOT / GUIDE).write_text(page())
        sys.exit(0)
    try:
        sys.exit(main(given.words))
    except Moved as moved:
        sys.exit(str(moved))
