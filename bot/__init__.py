"""Keyturn: what a rotation is, how it moves, what it asks, and how it is started."""

__version__ = "0.1.0"
