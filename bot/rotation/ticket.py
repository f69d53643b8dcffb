r"""What a ticket looks like, and where it opens.

People type tickets, so matching one has to end soon. Python's `re` tries every way to share the letters out, which
takes years for a pattern like `(\w+)+`. So a pattern may repeat little, and no group: then 80 letters take a moment
at worst.
"""

import re
from urllib.parse import quote

from bot.rotation.errors import BadInput
from bot.rotation.frozen import Frozen

TICKET_MOST = 80
"""Letters of a ticket."""

PATTERN_MOST = 200
REPEATS_MOST = 3
CHOICES_MOST = 8

LINK_MOST = 300
"""Letters of an address in a message, whose small print takes 1,000 in all."""

TICKET = "{ticket}"
"""What stands for the ticket in a template."""

ATOMS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""What is one letter of a ticket, whatever stands in it."""

REPEAT = re.compile(r"[*+?]|\{\d*,\d*\}")


class TicketPattern(Frozen):
    """A regular expression for the whole ticket, and perhaps the address that it opens."""

    pattern: str
    template: str = ""

    def fits(self, ticket: str) -> bool:
        """Tell whether *ticket* is one."""
        return len(ticket) <= TICKET_MOST and re.fullmatch(self.pattern, ticket, re.ASCII) is not None

    def link(self, ticket: str) -> str:
        """Return the address of *ticket*; empty where it has none, as one of an older pattern."""
        if not self.template or not self.fits(ticket):
            return ""
        link = self.template.replace(TICKET, quote(ticket, safe=""))
        return link if len(link) <= LINK_MOST else ""


def check_ticket(ticket: str, pattern: TicketPattern | None) -> None:
    """Refuse a ticket that is none; without one, a rotation needs none."""
    if ticket and pattern and not pattern.fits(ticket):
        raise BadInput(f"A ticket has to fit {pattern.pattern}, and this one does not.", field="ticket")


def wrong_with(pattern: str) -> str:
    """Say what is wrong with a pattern; empty if nothing is."""
    if not pattern or len(pattern) > PATTERN_MOST:
        return f"the pattern should have 1 to {PATTERN_MOST} letters"
    try:
        re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the pattern is no regular expression ({error})"
    bare = ATOMS.sub("x", pattern)
    if re.search(r"\\[1-9]", pattern) or re.search(r"\(\?(?!:)", bare):
        return "the pattern should have no lookaround, flag, name or back reference"
    if re.search(r"\)(?:[*+?]|\{)", bare):
        return "the pattern should repeat no group: matching could take years"
    if len(REPEAT.findall(bare.replace("(?:", "("))) > REPEATS_MOST or bare.count("|") > CHOICES_MOST:
        return f"the pattern should have at most {REPEATS_MOST} of * + ? and {{m,n}}, and {CHOICES_MOST} of |"
    return "" if not re.fullmatch(pattern, "", re.ASCII) else "the pattern should not fit an empty ticket"
