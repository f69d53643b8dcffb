"""Every stop: what happened, what that means for callers, and what helps. Cards and guide read these tables. Pure."""

from collections.abc import Mapping
from enum import Enum, StrEnum, unique
from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.states import StepName

GUIDE = "docs/stops.md"
"""The page with a section for each stop, under the stop's headline."""


class StopKind(StrEnum):
    """The kind of a stop: decides what it means for callers, and which buttons the card offers."""

    REJECTED = "rejected"
    REFUSED = "refused"
    DIFFERENCE = "difference"
    PROJECTION = "projection"
    UNVERIFIED = "unverified"
    DRIFT = "drift"
    TROUBLE = "trouble"
    MINTING = "minting"


class Help(NamedTuple):
    """What a kind of stop means once models have moved, and what helps."""

    callers: str
    """Completes "3 of 3 models are …"; `{failing}` says how many callers fail, `{behind}` names models that may."""

    offers: tuple[Action, ...]
    """The buttons, in their order on the card."""

    try_again: str = "once that is fixed"
    """When **Try again** helps."""


_NOTHING_LOST = "on the new key. Both keys are still there, so nothing is lost."
_AGAIN_OR_BACK = (Action.TRY_AGAIN, Action.ROLL_BACK)

HELP: Mapping[StopKind, Help] = {
    StopKind.REJECTED: Help(
        "{failing} Both keys are still there.",
        (Action.ANOTHER_SECRET, Action.TRY_AGAIN, Action.ROLL_BACK),
        "if this secret works by now",
    ),
    StopKind.REFUSED: Help(
        "on the new key, which is gone: *their callers are failing now*.",
        (Action.ANOTHER_SECRET, Action.ROLL_BACK),
    ),
    StopKind.DIFFERENCE: Help(_NOTHING_LOST, _AGAIN_OR_BACK, "once they are alike"),
    StopKind.PROJECTION: Help(
        "on the new key; callers of {behind} may be failing. Both keys are there.",
        _AGAIN_OR_BACK,
        "once the gateway has it",
    ),
    StopKind.UNVERIFIED: Help(
        "on the new key; Keyturn can't tell whether all callers are served. Both keys are there.",
        (Action.TRY_AGAIN, Action.ACCEPT_UNPROVED, Action.ANOTHER_SECRET, Action.ROLL_BACK),
    ),
    StopKind.DRIFT: Help(
        _NOTHING_LOST,
        _AGAIN_OR_BACK,
        "to go on with what this card shows now; models that still use the old key are moved too",
    ),
    StopKind.TROUBLE: Help(_NOTHING_LOST, _AGAIN_OR_BACK),
    StopKind.MINTING: Help(_NOTHING_LOST, (Action.TRY_AGAIN, Action.ANOTHER_SECRET, Action.ROLL_BACK)),
}
"""The help for each kind of stop; a test checks that none is missing."""


@unique
class Cause(Enum):
    """Why a rotation stops: its kind, the end of "stopped: …", the sentence, and the step where **Try again** begins.

    If no step is given, it begins at the `resume` of the step that stopped, or at that step itself.
    """

    SECRET_REFUSED = (StopKind.REJECTED, "the new secret was refused", "{why}.", StepName.PROJECT)
    ACCOUNT_LACKS_MODEL = (
        StopKind.REJECTED,
        "the new account lacks a model",
        "{why}.",
        StepName.PROJECT,
    )
    MODEL_UNFIT = (
        StopKind.REJECTED,
        "a model does not work with the new key",
        "{why}.",
        StepName.PROJECT,
    )
    NOT_REHEARSED = (StopKind.UNVERIFIED, "the rehearsal came to no result", "{why}.", StepName.REHEARSE)
    NOT_CREATED = (StopKind.REFUSED, "the new key was not created", "{refusal}")
    NO_PROVIDER = (
        StopKind.MINTING,
        "the provider is not in the settings",
        "The settings (PROVIDERS) name no `{account}` any more that can make a credential.",
        StepName.REPLACE,
    )
    NOT_MINTED = (
        StopKind.MINTING,
        "the provider made no credential",
        "{provider} refused to make one. {error}",
        StepName.REPLACE,
    )
    MINT_UNKNOWN = (
        StopKind.MINTING,
        "nobody can tell whether a credential was made",
        (
            "The answer of {provider} was lost, and it does not let Keyturn look for `{name}` there. {error} "
            "Nothing more is made until it can be looked for."
        ),
        StepName.REPLACE,
    )
    MINTS_LOST = (
        StopKind.MINTING,
        "credentials are made and lost",
        (
            "{number} credentials in a row were made, or may have been, and their secrets were lost on the way. "
            "Keyturn deletes them at {provider}. Look at the connection to it first."
        ),
        StepName.REPLACE,
    )
    NOT_TAKEN_AT_PROVIDER = (
        StopKind.MINTING,
        "the provider refuses its own new credential",
        "{provider} has not taken the credential that it made for {time}. Keyturn deletes it there.",
        StepName.REPLACE,
    )
    NO_REPLACEMENT = (StopKind.REFUSED, "there is no new key", "AISIX answered with the old key itself.")
    REPLACEMENT_GONE = (
        StopKind.REFUSED,
        "the new key is gone",
        "The new key no longer exists: someone deleted it.",
    )
    KEY_GONE = (StopKind.REFUSED, "a key is gone", "The new key no longer exists: someone deleted it.")
    NO_WAY_BACK = (
        StopKind.REFUSED,
        "the old key is gone",
        "There is no way back: someone deleted the old key.",
    )
    DIFFERENT = (
        StopKind.DIFFERENCE,
        "the new key is not like the old key",
        "The new key differs from the old key in `{field}`. Make them alike in AISIX.",
    )
    NOT_TAKEN = (
        StopKind.PROJECTION,
        "the gateway has not taken the change",
        "{why}. This says nothing against the new secret: look at Resource Projection in AISIX first.",
        StepName.CUT_OVER,
    )
    UNLISTED_REPLICA = (
        StopKind.PROJECTION,
        "a replica is not in the settings",
        (
            "In {where} a replica answers that is not in `status_urls`: {how}. What it does with the old key "
            "cannot be seen. Add its status address to AISIX_GATEWAYS (each replica has its own; a balancer's shows "
            "one of several), then try again."
        ),
        StepName.CUT_OVER,
    )
    NOT_PROVED = (StopKind.UNVERIFIED, "the new secret is not proved", "{why}.", StepName.PROJECT)
    NOTHING_PROVED = (StopKind.UNVERIFIED, "the new secret is not proved", "{why}", StepName.PROJECT)
    NOT_PROVABLE = (
        StopKind.UNVERIFIED,
        "the new secret cannot be proved",
        (
            "REQUIRE_PROOF is set, and {environments} has no status addresses in AISIX_GATEWAYS (`status_urls`): "
            "nothing there can be proved."
        ),
    )
    NO_GATEWAY = (
        StopKind.UNVERIFIED,
        "some models cannot be verified",
        "{environments} has no gateway in the settings (AISIX_GATEWAYS).",
    )
    NAMELESS = (
        StopKind.UNVERIFIED,
        "some models cannot be verified",
        "{models} has a wildcard alias: name a concrete model for it in `probes`.",
    )
    PROBED_ELSEWHERE = (
        StopKind.UNVERIFIED,
        "some models cannot be verified",
        (
            "`probes` in AISIX_GATEWAYS sends the test requests for {models}, so their answers say nothing about the "
            "new key. Name only an endpoint there, or a name that no other model has, and restart Keyturn."
        ),
        StepName.CUT_OVER,
    )
    UNWELL = (StopKind.UNVERIFIED, "a model does not stay well", "{why}.", StepName.PROJECT)
    UNKNOWN_ENVIRONMENT = (
        StopKind.UNVERIFIED,
        "an environment cannot be seen",
        (
            "The old key or AISIX_GATEWAYS names {environments}, and AISIX lists no such environment: a model "
            "there may use the old key."
        ),
    )
    VANISHED_ENVIRONMENT = (
        StopKind.UNVERIFIED,
        "an environment cannot be seen",
        (
            "Not deleted: AISIX listed {environments} to this rotation and does not now. A model there may use "
            "the old key. Show it to the admin token again, then try again; if it was removed for good, roll back"
            " and start again."
        ),
    )
    VANISHED_LIST = (
        StopKind.UNVERIFIED,
        "a list cannot be read",
        (
            "Not deleted: AISIX showed {lists} to this rotation and does not now. Something there may use the old"
            " key. Try again once AISIX shows them."
        ),
    )
    UNHEARD = (
        StopKind.UNVERIFIED,
        "something unseen may use the old key",
        (
            "AISIX does not list {lists}, and not every gateway replica of {environments} shows that the old key "
            "is silent: something unseen may use it. Name the status address of every replica there "
            "(`status_urls` in AISIX_GATEWAYS), or let the admin token list them."
        ),
    )
    CHANGED = (StopKind.DRIFT, "someone else changed AISIX", "{changes}", StepName.REPLACE)
    ASTRAY = (
        StopKind.DRIFT,
        "someone else changed AISIX",
        "Not deleted: {models} is not on the new key.",
        StepName.REPLACE,
    )
    MOVED_BACK = (
        StopKind.DRIFT,
        "someone changed a model meanwhile",
        "{models} went back to the old key after Keyturn had moved it.",
    )
    STILL_USED = (
        StopKind.DRIFT,
        "something uses the old key",
        "{users} refers to the old key.",
        StepName.REPLACE,
    )
    ROUTE_LEFT = (
        StopKind.DRIFT,
        "a route still uses the old key",
        (
            "The passthrough route {routes} still holds the old key. Keyturn doesn't move routes: point it at the "
            "replacement, then try again."
        ),
        StepName.REPLACE,
    )
    NOT_MOVED = (StopKind.TROUBLE, "a model could not be moved", "AISIX refused to move {model}. {error}{why}")
    NOT_DELETED = (
        StopKind.TROUBLE,
        "the old key could not be deleted",
        "Not deleted. {error} Something that Keyturn can't see may refer to the old key.",
        StepName.RECHECK,
    )
    NOT_DELETED_YET = (
        StopKind.TROUBLE,
        "the old key could not be deleted",
        "AISIX refuses to delete it now. {error} Keyturn asked before, and that earlier delete may still happen.",
        StepName.RECHECK,
    )
    TOO_SLOW = (
        StopKind.TROUBLE,
        "AISIX answers too slowly for a safe delete",
        "Not deleted. Reading {took}, and Keyturn deletes only on lists that are at most {most:g} s old.",
        StepName.RECHECK,
    )
    UNWELL_ON_OLD_KEY = (
        StopKind.TROUBLE,
        "a model does not answer on the old key",
        "Pointed back at the old key, but {models} does not answer: {reason}.",
    )
    STAYS_DISABLED = (
        StopKind.TROUBLE,
        "the old key is disabled at its provider",
        "No model was pointed back: the old key is disabled at its provider, and can't be enabled. {error}",
    )
    STEP_REFUSED = (StopKind.TROUBLE, "AISIX refused a step", "{error}")
    NO_ANSWER = (StopKind.TROUBLE, "no usable answer", "{trouble} Keyturn has tried for {time}.")
    NO_PROGRESS = (StopKind.TROUBLE, "a step does not get on", "Nothing has changed for {time}: {note}")
    OUR_FAULT = (
        StopKind.TROUBLE,
        "a fault in Keyturn",
        "Keyturn itself made a mistake here; the log has it under `{reference}`.",
    )

    def __init__(self, kind: StopKind, headline: str, sentence: str, resume: StepName | None = None) -> None:
        self.kind = kind
        self.headline = headline
        self.sentence = sentence
        self.resume = resume

    @property
    def anchor(self) -> str:
        """Return the address of its section in the guide."""
        return guide_to(self.headline)


def guide_to(headline: str) -> str:
    """Return the address of the section on a stop in the guide."""
    return f"{GUIDE}#{headline.lower().replace(' ', '-')}"
