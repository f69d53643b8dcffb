"""Rotations: what a provider-key rotation is, how it moves, and what it knows. Nothing here knows Slack."""
