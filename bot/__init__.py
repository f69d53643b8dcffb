"""Keyturn's core: rotations, their steps, storage, and the commands that start it."""

import os

__version__ = "0.1.0"

os.environ.setdefault("HOME", "/")
"""slack_sdk asks for the home when it is imported, and a container's user may have none; nothing is kept there."""
