"""The methods of the Web API."""

from sandbox.slack.methods.basics import BASICS
from sandbox.slack.methods.chat import CHAT
from sandbox.slack.methods.files import FILES
from sandbox.slack.methods.people import PEOPLE
from sandbox.slack.methods.screens import SCREENS
from sandbox.slack.methods.table import Args, Method
from sandbox.slack.methods.validating import VALIDATING

METHODS: dict[str, Method] = {**BASICS, **CHAT, **PEOPLE, **SCREENS, **FILES, **VALIDATING}

__all__ = ["METHODS", "Args", "Method"]
