"""What a person can press. Pure."""

from enum import StrEnum


class Action(StrEnum):
    """What a person can press; the value is what the button says."""

    ENTER_SECRET = "Enter new secret"  # noqa: S105 - a label
    CANCEL = "Cancel"
    TRY_AGAIN = "Try again"
    ANOTHER_SECRET = "Another secret"  # noqa: S105 - a label
    ROLL_BACK = "Roll back"
    ACCEPT_UNPROVED = "Accept unproved"
    DELETE_OLD_KEY = "Delete old key"
