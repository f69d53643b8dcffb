"""Why a sign-in came to nothing: one sentence each, which holds nothing of a token."""

from bot.rotation.errors import NotAllowed, Unanswerable


class NotSignedIn(NotAllowed):
    """The provider's answer does not prove who signed in; *why* is one of our own clauses."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Your sign-in could not be verified: {why}. Nothing was done.")
        self.why = why


class ProviderAway(Unanswerable):
    """The provider gives no usable answer; *why* is one of our own clauses."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Your company's sign-in (OIDC_ISSUER) {why}. Nothing was done. Try again in a minute.")
        self.why = why
