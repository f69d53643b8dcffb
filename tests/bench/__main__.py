"""`python -m tests.bench [ITEM…]`: measures all items, or those that are named."""

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable

from tests.bench import acknowledgement, approval, cut_over, open_records, size, slack_calls, waiting, workers
from tests.support.documents import ROOT, filled

PAGE = "docs/benchmarks.md"

ITEMS: dict[str, Callable[[], Awaitable[str]]] = {
    "cut-over": cut_over.measured,
    "approval": approval.measured,
    "acknowledgement": acknowledgement.measured,
    "waiting": waiting.measured,
    "open-records": open_records.measured,
    "workers": workers.measured,
    "slack-calls": slack_calls.measured,
    "size": size.measured,
}


async def main(names: list[str], *, into_page: bool) -> None:
    tables = []
    for name in names:
        began = time.monotonic()
        tables.append(await ITEMS[name]())
        print(f"\n{tables[-1]}\n\n({name}: {time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    print("\n\n".join(tables))
    if into_page:
        (ROOT / PAGE).write_text(filled(PAGE, "bench", "\n\n".join(tables)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("items", nargs="*", metavar="ITEM", help=f"one of {', '.join(ITEMS)}; all of them if none")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md, all of them")
    given = parser.parse_args()
    chosen = given.items or list(ITEMS)
    if given.write and given.items:
        parser.error("docs/benchmarks.md has all items or none")
    if unknown := set(chosen) - ITEMS.keys():
        parser.error(f"there is no item {', '.join(sorted(unknown))}")
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        os.environ.pop(proxy, None)  # everything is on loopback
    logging.disable()  # what a server says of a bot that was killed is no news
    asyncio.run(main(chosen, into_page=given.write))
