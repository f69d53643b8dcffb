"""The method that validates blocks, messages and views without sending them."""

import re
from typing import Any

from sandbox.slack import limits
from sandbox.slack.methods.table import Args, Method
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site

Json = dict[str, Any]

PROBLEM = re.compile(r"\[ERROR\] (?P<message>.*) \[json-pointer:(?:/view)?(?P<pointer>.*)\]", re.DOTALL)
MISSING = "missing required field: "
KINDS = ("blocks", "message", "view")


def validate(site: Site, args: Args) -> Json:
    """Check each block; whether Slack also checks here what it refuses of a message as a whole is unknown, so no."""
    given = [name for name in KINDS if args.get(name)]
    if len(given) != 1:
        raise Refusal(
            "invalid_arguments", ["[ERROR] must provide exactly one of blocks, message, view [json-pointer:/]"]
        )
    kind = given[0]
    what, missing = args.structure(kind, "invalid_arguments"), site.switches.missing_blocks
    if problems := limits.check_view(what, missing) if kind == "view" else limits.check_blocks(what, missing):
        raise Refusal(f"invalid_{kind}", errors=[_error(each) for each in problems])
    return {}


def _error(problem: str) -> Json:
    found = PROBLEM.fullmatch(problem)
    assert found, problem
    message = found["message"]
    more = {"field": message.removeprefix(MISSING)} if message.startswith(MISSING) else {}
    code = "missing_field" if more else "failed_constraint"
    return {"pointer": found["pointer"], "code": code, "message": message, **more}


VALIDATING = {"blocks.validate": Method(validate, token="any")}
