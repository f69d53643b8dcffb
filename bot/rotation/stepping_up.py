"""What takes a sign-in at the company's provider, and whose. Pure."""

from bot.rotation.errors import NotAllowed, WrongState
from bot.rotation.parts import Way
from bot.rotation.policy import Person


def check_stepped_up(signed_in: str, *, step_up: bool) -> None:
    """Refuse an approver's word that was not given on the page, after a sign-in, where the settings ask for that."""
    if step_up and not signed_in:
        raise WrongState("This takes a sign-in (APPROVAL_LINK): press on the card, and follow the link that you get.")


def check_way(way: Way, *, on_a_page: bool) -> None:
    """Refuse a secret that was typed into Slack, where the settings ask for Keyturn's page."""
    if on_a_page and way is Way.FORM:
        raise WrongState(
            "The settings (SECRET_FORM) ask for new secrets on Keyturn's page by now, so nothing was created. Slack "
            "has seen this secret: make another one, press the button again, and follow the link."
        )


def check_can_sign_in(person: Person) -> None:
    """Refuse a person whose e-mail address Slack does not tell: nobody's sign-in could be compared with it."""
    if not person.email:
        raise NotAllowed(
            "Slack does not tell Keyturn your e-mail address, so your sign-in could not be compared with it. "
            "The app needs the scope users:read.email, and your profile an address."
        )


def check_same_person(person: Person, email: str, *, is_verified: bool) -> None:
    """Refuse a sign-in of anybody but *person*."""
    check_can_sign_in(person)
    if not email or not is_verified:
        raise NotAllowed("Your company's sign-in does not say that your e-mail address is verified. Nothing was done.")
    if email.encode().lower() != person.email.encode().lower():  # of ASCII alone: ß is not ss
        raise NotAllowed(
            "Someone else signed in than the person who pressed in Slack, so this link has ended. Nothing was done."
        )
