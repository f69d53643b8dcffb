"""Keyturn's core: rotations, their steps, storage, and the commands that start it."""

__version__ = "0.1.0"
