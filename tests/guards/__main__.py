"""`python -m tests.guards [GUARD…]`: takes every guard out, or those that are named, and shows that a test notices."""

import argparse
import sys
import time

from tests.guards.guard import Moved
from tests.guards.guide import GUIDE, page, replaced
from tests.guards.table import GUARDS
from tests.guards.taking_out import tried


def main(names: list[str]) -> int:
    """Try the guards of these *names*; return 1 if one is not noticed."""
    began = time.monotonic()
    chosen = [guard for guard in GUARDS if not names or guard.name in names]
    noticed = sum(outcome.is_noticed for outcome in tried(chosen, lambda outcome: print(outcome, flush=True)))
    print(f"{noticed} of {len(chosen)} guards noticed in {time.monotonic() - began:.0f} s")
    return 0 if noticed == len(chosen) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.guards", description=__doc__)
    parser.add_argument("guards", nargs="*", metavar="GUARD", help="the name of a guard; all of them if none")
    parser.add_argument("--guide", action="store_true", help="only write the list of guards into the guide again")
    given = parser.parse_args()
    if unknown := set(given.guards) - {guard.name for guard in GUARDS}:
        parser.error(f"there is no guard {', '.join(sorted(unknown))}")
    if given.guide:
        GUIDE.write_text(replaced(GUIDE.read_text(), page()))
        sys.exit(0)
    try:
        sys.exit(main(given.guards))
    except Moved as moved:
        sys.exit(str(moved))
