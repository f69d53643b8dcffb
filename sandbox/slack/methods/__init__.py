"""The methods of the Web API."""

from sandbox.slack.methods.basics import BASICS
from sandbox.slack.methods.chat import CHAT
from sandbox.slack.methods.people import PEOPLE
from sandbox.slack.methods.screens import SCREENS
from sandbox.slack.methods.table import Args, Method

METHODS: dict[str, Method] = {**BASICS, **CHAT, **PEOPLE, **SCREENS}

__all__ = ["METHODS", "Args", "Method"]
