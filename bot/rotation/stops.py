"""Why a rotation stops and waits for a person. Pure."""

from enum import StrEnum


class StopKind(StrEnum):
    """Why a rotation stopped: decides which buttons the card offers."""

    REJECTED = "rejected"
    REFUSED = "refused"
    DIFFERENCE = "difference"
    PROJECTION = "projection"
    UNVERIFIED = "unverified"
    DRIFT = "drift"
    TROUBLE = "trouble"
