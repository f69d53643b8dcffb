"""The parts of a record that tell of one event each: a new key, an approval, trouble, a stop, a task. Pure."""

from datetime import datetime
from enum import StrEnum

from bot.rotation.counted import Tally
from bot.rotation.credentials import Row, Usage
from bot.rotation.frozen import Frozen
from bot.rotation.states import StepName
from bot.rotation.stops import StopKind


class Way(StrEnum):
    """Which way the new secret came to Keyturn."""

    FORM = "form"
    PAGE = "page"
    COMMAND_LINE = "command line"
    REFERENCE = "reference"
    MINTED = "minted"
    """Keyturn had its provider make it."""


class Replacement(Frozen):
    """The new key. Keyturn records the name before it asks for the key, so that it can find it after a lost answer."""

    name: str
    asked_at: datetime
    key_id: str | None = None
    refusal: str | None = None
    """Why the control plane refused to create it, if it did."""

    fingerprint: str | None = None
    """The secret's fingerprint; it stays here until the key's id is known, then the store keeps it by that id."""

    way: Way = Way.FORM
    source: str = ""
    """The reference that the secret was read from, with its version; empty for other ways."""

    row: Row | None = None
    """The credential at its provider, if that is known; None in records of older versions."""


class Mint(Frozen):
    """A credential that Keyturn has its provider make, recorded before the provider is asked. It holds no secret."""

    name: str
    """What it is called there: no other has this name, so it can be found after a lost answer."""

    attempt: int
    """The number of the secret that it was made for."""

    asked_at: datetime
    sent: str = ""
    """The mark of the only move that may send the request; any other finds out first what came of it."""

    row: Row | None = None
    """The credential as the provider answered; None as long as no answer has told of it."""

    copied: tuple[str, ...] = ()
    uncopied: tuple[str, ...] = ()
    """What it took over from the old credential, and what that one may have and nothing could read or copy."""

    tried_at: datetime | None = None
    """When the provider took it, or Keyturn gave up trying it there."""

    untried: str = ""
    """Why it could not be tried at the provider; empty if it was."""

    given: str = ""
    """The mark of the only move that may have AISIX create the key with it; empty before."""

    given_at: datetime | None = None
    given_to: str = ""
    """When AISIX was asked for the key, and its display name; empty as long as AISIX certainly has none with it."""

    key_id: str = ""
    """The id of that key, once it is known."""

    lost: bool = False
    """Nobody has its secret any more, or it was refused: it must go."""

    gone_at: datetime | None = None
    """When it was certain that the provider has none of this name that works."""

    stays: str = ""
    """Why Keyturn leaves it at the provider: something may still use it."""

    look_at: datetime | None = None
    """When Keyturn looks again for one that has to go and that can't go yet, or that nothing shows yet."""


class Approval(Frozen):
    """Who pressed **Delete old key** or **Start**, when, and the digest of what the card showed then."""

    by: str
    at: datetime
    digest: str = ""
    reason: str = ""
    """Why they delete although something speaks against it; empty if nothing did, and in older records."""

    flags: tuple[str, ...] = ()
    """What spoke against it then, as they were shown; none in older records."""

    tally: Tally | None = None
    """What callers had met then, as it was shown; None in older records."""

    signed_in: str = ""
    """Where they signed in for it, and how; empty without `APPROVAL_LINK`, and in older records."""

    for_a_batch: bool = False
    """Whether one click gave it for all of a batch that was ready, and not on this card."""


class Void(Frozen):
    """An approval that did not lead to the delete, because something differs from what the approver saw."""

    by: tuple[str, ...]
    at: datetime
    changes: tuple[str, ...]
    """One sentence each."""

    over: bool = False
    """An approver has been asked for another reason since."""

    lapsed: bool = False
    """The approval itself no longer counted (the approver left, the settings are stricter): no need to verify again.

    The first changes then give the reason for each person in *by*.
    """


class Exposure(Frozen):
    """Somebody's word that people know the old secret who must not know it. It never holds the secret."""

    by: str
    at: datetime
    revoke_by: datetime
    """By when the old key must be revoked at the provider."""

    what: str = ""
    where: str = ""
    since: str = ""
    """What people wrote; empty if they don't know."""

    at_once: bool = False
    """No model had moved yet, so that all models of an environment move in one wave."""

    waived_by: str = ""
    """The approver whose **Start** did not wait for the window in which models may move."""


class Review(Frozen):
    """What people found out about a leak, given before the rotation counts as done."""

    by: str
    at: datetime
    what: str
    where: str
    since: str
    reach: str
    """What was reachable with the secret, and who used it."""


REFERS = " refers to the deleted key"
"""How the sentence of such a trouble ends, after the name of what refers to it."""


class Trouble(Frozen):
    """Something that went wrong or recovered after the delete; *about* names what it concerns."""

    at: datetime
    about: str
    sentence: str
    over: bool = False


class Nudge(Frozen):
    """The last push about a matter after the message that told of it, and how many there have been."""

    about: str
    at: datetime
    number: int
    is_hushed: bool = False
    """The message that told of it called nobody, as it came when nobody is to be pushed; with number 0, nobody yet."""


class OnIt(Frozen):
    """Who takes care of the harm that there was then; harm that begins later is nobody's yet."""

    by: str
    at: datetime


class Stop(Frozen):
    """Why a rotation is blocked."""

    kind: StopKind
    headline: str
    sentence: str
    step: StepName
    resume: StepName
    at: datetime


class Which(StrEnum):
    """The credential that a task is about, by the key that had it."""

    OLD = "old"
    NEW = "new"


class Phase(StrEnum):
    """How far a revocation at the provider has come; `PHASES` of `revoking.py` says what is done in each."""

    ASKED = "asked"
    """It is to be disabled, or deleted where the provider can't disable."""

    DISABLED = "disabled"
    """It waits, so that people can notice who fails."""

    ENDING = "ending"
    """It is to be deleted."""

    PROVING = "proving"
    """The provider took the delete, and is asked again."""

    STOPPED = "stopped"
    """Something speaks against it: a person decides."""

    ENABLING = "enabling"
    """It is to be enabled again."""


class Look(Frozen):
    """What the provider said of the use of a credential since the models had left it."""

    at: datetime
    since: datetime
    usage: Usage


class There(Frozen):
    """A revocation at the provider that somebody has asked for."""

    row: Row
    phase: Phase
    since: datetime
    """Since when it is in this phase."""

    approvals: tuple[Approval, ...]
    """Who asked for it; the flags are the doubts that they were shown."""

    due_at: datetime | None = None
    """When the next thing is to be done."""

    look: Look | None = None
    disabled_at: datetime | None = None
    gone: int = 0
    """How often in a row the provider has said since the delete that it is gone."""

    stopped: str = ""
    """What speaks against going on, as one sentence."""

    by_itself: bool = False
    """Because of a leak; what speaks of use did not stop it."""


class Revocation(Frozen):
    """The task to revoke a credential at its provider: AISIX has no use for it any more, and it still works there."""

    which: Which
    owner: str
    since: datetime
    due_at: datetime
    made_at: datetime | None = None
    """When the credential came into use, as far as that is known: it tells people which one it is."""

    ended_at: datetime | None = None
    ended_by: str = ""
    reason: str = ""
    """Why it need not be revoked, says an approver; empty if it was."""

    approvals: tuple[Approval, ...] = ()
    """Who asked for the revocation at the provider while it takes more people."""

    there: There | None = None
    """The revocation at the provider by Keyturn; None while nobody has asked for it, and in older records."""

    enabled_at: datetime | None = None
    enabled_by: str = ""
    """When it was enabled again, and who asked for that; empty for a roll back."""

    @property
    def is_open(self) -> bool:
        """Return whether somebody still has to do it."""
        return self.ended_at is None


class Question(Frozen):
    """What an approver asks the requester, and the answer."""

    by: str
    at: datetime
    text: str
    answer: str = ""
    answered_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Return whether nobody has answered yet."""
        return self.answered_at is None


class PutOff(Frozen):
    """An approver's "not yet", with the reason."""

    by: str
    at: datetime
    reason: str
    over: bool = False
    """The same approver has approved since."""


class Chore(StrEnum):
    """What Keyturn does at a provider beside a rotation's own course; records hold the values."""

    REVOKE = "revoke"
    """Disable, and then delete, a credential that nothing uses any more."""

    CLEAR = "clear"
    """Delete what Keyturn had the provider make, and nothing needs."""


class Setback(Frozen):
    """How a chore failed last; it is gone once the chore succeeds."""

    chore: Chore
    since: datetime
    """When it failed first."""

    at: datetime
    number: int
    """How often it has failed in a row."""

    why: str
    """One sentence."""

    retry_at: datetime


class Asides(Frozen):
    """The part of a record that is beside the rotation's own course: what people say, are told, and have left to do."""

    nudges: tuple[Nudge, ...] = ()
    """The last push about each matter after the message that told of it."""

    on_it: OnIt | None = None
    acted_at: datetime | None = None
    """When somebody last did something about this rotation; None in records of older versions."""

    held_until: datetime | None = None
    """Until when approvers are not reminded, as the old key is on hold."""

    questions: tuple[Question, ...] = ()
    """What approvers have asked the requester, in order."""

    put_off: tuple[PutOff, ...] = ()
    """The approvers who have said "not yet", the last word of each."""

    setbacks: tuple[Setback, ...] = ()
    """The chores at a provider that fail, and when each is tried again."""

    withdrawn: tuple[str, ...] = ()
    """The names in AISIX of new keys whose secrets people gave, and took back: nothing uses these secrets."""

    old_row: Row | None = None
    """The old key's credential at its provider, from the rotation that made the key, or as an approver chose it."""

    old_row_by: str = ""
    """The approver who chose it; empty if Keyturn knew."""

    revocation: Revocation | None = None
    """The task to revoke a credential at its provider; None before there is one, and if an older version ended it."""

    @property
    def is_owed(self) -> bool:
        """Return whether a credential still has to be revoked at its provider."""
        return self.revocation is not None and self.revocation.is_open
