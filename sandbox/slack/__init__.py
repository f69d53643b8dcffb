"""A local Slack: a server on a real socket that refuses what Slack refuses."""

from sandbox.slack.limits import check_message, check_options, check_view
from sandbox.slack.person import Person
from sandbox.slack.results import Answer, Press, Submission
from sandbox.slack.server import Slack
from sandbox.slack.switches import NEWER
from sandbox.slack.web_api import Call
from sandbox.slack.world import Channel, File, Group, Message, User

__all__ = [
    "NEWER",
    "Answer",
    "Call",
    "Channel",
    "File",
    "Group",
    "Message",
    "Person",
    "Press",
    "Slack",
    "Submission",
    "User",
    "check_message",
    "check_options",
    "check_view",
]
