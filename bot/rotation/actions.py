"""The buttons of a rotation. Pure."""

from enum import StrEnum


class Action(StrEnum):
    """A button that a person can press; the value is its label."""

    ENTER_SECRET = "Enter new secret"  # noqa: S105 - a label
    MINT = "Create it for me"
    CANCEL = "Cancel"
    START = "Start"
    TRY_AGAIN = "Try again"
    ANOTHER_SECRET = "Another secret"  # noqa: S105 - a label
    VERIFY_AGAIN = "Verify again"
    ROLL_BACK = "Roll back"
    ACCEPT_UNPROVED = "Accept unproved"
    DELETE_OLD_KEY = "Delete old key"
    NOT_YET = "Not yet"
    ASK = "Ask the requester"
    ANSWER = "Answer"
    REVOKED = "I've revoked it"
    NOT_NEEDED = "Not needed"
    REVOKE_THERE = "Revoke at the provider…"
    CHOOSE_ROW = "Choose which one…"
    ENABLE_AGAIN = "Enable again"
    ON_IT = "I'm on it"
    EXPOSED = "This secret is exposed"
    REVIEW = "Give the review"
