"""Records for the cards: real values of `bot.rotation.record` at fixed times, one function a moment of a rotation."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.rotation.counted import OldKeyUsage, Tally
from bot.rotation.credentials import Ability, Row, Usage
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.inventory import Environment, Inventory, Model, PassthroughRoute, ProviderKey
from bot.rotation.minting import minted
from bot.rotation.nudges import WATCH_ENDED, matters
from bot.rotation.parts import (
    Chore,
    Exposure,
    Look,
    Mint,
    Nudge,
    Phase,
    PutOff,
    Question,
    Review,
    Revocation,
    Setback,
    There,
    Which,
)
from bot.rotation.plan import Plan, make_plan
from bot.rotation.policies import Policy
from bot.rotation.proof import unproved
from bot.rotation.record import Approval, Replacement, Rotation, Stop, Trouble, Void
from bot.rotation.replica import Replica
from bot.rotation.series import MOST, Interval, Series
from bot.rotation.states import BACK, FORWARD, State, Track
from bot.rotation.stops import Cause, StopKind
from bot.rotation.windows import Windows, read_opening

ASKED = datetime(2026, 11, 23, 14, 2, tzinfo=UTC)
REQUESTER, APPROVER, SECOND_APPROVER = "U_REQUESTER", "U_APPROVER", "U_MEMBER"
APPROVERS = "<!subteam^S_APPROVERS>"
NAME = "OpenAI production"
PRODUCTION, STAGING = Environment(id="env_p", name="production"), Environment(id="env_s", name="staging")
GATEWAYS = (PRODUCTION.id, STAGING.id)

REHEARSED = "the new secret worked in production and staging before any caller used it"
LIKELY = (
    "not proved: replica-2:9090 was not reached by a test request; answered 3 times in a row; every gateway is synced"
)
PROOF = "new key served 3 + 3 + 4 test requests on 3 replicas; old key 0 since 14:02 UTC"
HEAD = "9f86d081884c7d659a2f"
HOSTILE = "<!channel> <@U_MEMBER> *bold* `tick` & <http://x|y>\u202e\x00\n"
"""What a name from outside may hold."""


def at(seconds: float) -> datetime:
    """Return the moment that many seconds after the card was asked for."""
    return ASKED + timedelta(seconds=seconds)


# --- the plan ---


def key(**changes: Any) -> ProviderKey:
    return ProviderKey(
        id="7f3a21c0-4c1e-4d0b-9a53-2f8e6d71b604",
        display_name=NAME,
        provider="openai",
        allowed_environments=GATEWAYS,
        settings={"api_base": "https://api.openai.com/v1"},
    ).but(**changes)


def model(number: int, **changes: Any) -> Model:
    return Model(
        id=f"m_{number:03}",
        environment=(PRODUCTION if number % 3 else STAGING).id,
        alias=f"chat-{number:03}",
        upstream="gpt-4o",
        provider_key="7f3a21c0-4c1e-4d0b-9a53-2f8e6d71b604",
    ).but(**changes)


FEW = (
    model(1, alias="chat-large"),
    model(2, alias="support-embed", kind="embedding", upstream="text-embedding-3-small"),
    model(3, alias="chat-large"),
)
ROUTER: dict[str, Any] = {"upstream": "", "provider_key": None}
ROUTERS = (
    model(7, alias="chat-any", kind="routing", refers_to=(("target", "m_001"),), **ROUTER),
    model(8, alias="support", kind="semantic", refers_to=(("embedding model", "m_002"),), **ROUTER),
)


def many(count: int) -> tuple[Model, ...]:
    return tuple(model(number) for number in range(1, count + 1))


def plan(
    models: Iterable[Model] = (*FEW, *ROUTERS),
    old_key: ProviderKey | None = None,
    gateways: Iterable[str] = GATEWAYS,
    environments: tuple[Environment, ...] = (PRODUCTION, STAGING),
    **inventory: Any,
) -> Plan:
    """Return what the bot itself would plan for these *models*."""
    old = old_key or key()
    seen = Inventory(environments=environments, keys=(old,), models=tuple(models), **inventory)
    return make_plan(seen, old, gateways)


PLAN = plan()


def route() -> PassthroughRoute:
    return PassthroughRoute(
        id="rt_1", environment=PRODUCTION.id, name="raw", provider_key="7f3a21c0-4c1e-4d0b-9a53-2f8e6d71b604"
    )


# --- moments on the way ---


def awaiting_secret(planned: Plan | None = None, **changes: Any) -> Rotation:
    return Rotation(
        id="r7k2abc",
        version=1,
        team="T_HOME",
        channel="C_OPS",
        requested_by=REQUESTER,
        requested_at=ASKED,
        plan=planned or PLAN,
    ).but(**changes)


def running(step: str, planned: Plan | None = None, **changes: Any) -> Rotation:
    """Return a rotation at *step* on the way forward, with what the steps before it have learned."""
    done = _before(step)
    rotation = awaiting_secret(planned).but(
        state=State.RUNNING,
        attempt=1,
        started_at=at(30),
        done=done,
        replacement=replacement().but(key_id="91bc44d2-8f07-4b6e-a1c9-5e3d20f7a8b1" if "replace" in done else None),
        made=("91bc44d2-8f07-4b6e-a1c9-5e3d20f7a8b1",) if "replace" in done else (),
        rehearsal=REHEARSED if "rehearse" in done else None,
        verified_at=at(40) if "verify" in done else None,
        well_since=at(40) if "verify" in done else None,
    )
    return rotation.learn({m.id: _learnt(done, n) for n, m in enumerate(rotation.plan.models)}).but(**changes)


def _before(step: str) -> tuple[str, ...]:
    names: list[str] = [s.name for s in FORWARD]
    return tuple(names[: names.index(step)] if step in names else names)


def _learnt(done: tuple[str, ...], number: int) -> Finding:
    learnt = Finding(
        baseline=good(32) if "baseline" in done else None,
        moved_at=at(34 + number / 100) if "cut-over" in done else None,
    )
    if "verify" not in done:
        return learnt
    latest = good(39, "answered 3 times in a row since the change")
    return learnt.but(latest=latest, verdict=good(39, LIKELY), passes=3)


def replacement(name: str = f"{NAME} (2026-11-23 r7k2abc)") -> Replacement:
    return Replacement(name=name, asked_at=at(30), key_id="91bc44d2-8f07-4b6e-a1c9-5e3d20f7a8b1")


def good(seconds: float, reason: str = "answered") -> Evidence:
    return Evidence(verdict=Verdict.LIKELY, reason=reason, at=at(seconds), signature="200")


def bad(verdict: Verdict, reason: str, signature: str, seconds: float = 39) -> Evidence:
    blames = verdict is Verdict.REJECTED and signature.startswith("401")
    return Evidence(verdict=verdict, reason=reason, at=at(seconds), signature=signature, blames_credential=blames)


REFUSED_401 = bad(
    Verdict.REJECTED,
    "the upstream refused the credential (401 upstream_error invalid_api_key)",
    "401 upstream_error invalid_api_key",
)
NOT_THERE_404 = bad(Verdict.REJECTED, "the upstream does not offer this model to the credential (404)", "404").but(
    of_upstream=True
)
NO_PROJECTION = bad(Verdict.PROJECTION, "the gateway does not have the provider key (400)", "400")
RATE_LIMITED = bad(Verdict.INCONCLUSIVE, "the upstream limits the rate (429 upstream_error)", "429 upstream_error")
CACHED = bad(Verdict.INVALID, "answered from a cache, so the credential was not used (200)", "200")
SKIPPED = bad(Verdict.SKIPPED, "not probed: the settings say skip", "")


def seeing(rotation: Rotation, evidence: Evidence, number: int = 0, **changes: Any) -> Rotation:
    """Return *rotation* with *evidence* on one of its models, and a verdict where there was one."""
    seen = rotation.plan.models[number]
    judged = rotation.finding(seen).verdict is not None
    finding = rotation.finding(seen).but(latest=evidence, verdict=evidence if judged else None, passes=0)
    return rotation.learn({seen.id: finding.but(**changes)})


def failed_before(rotation: Rotation, number: int = 0) -> Rotation:
    return seeing(rotation, NOT_THERE_404, number, baseline=NOT_THERE_404)


BY_OPENAI: dict[str, Any] = {"account": "openai-prod", "abilities": tuple(sorted(Ability))}


def minting(**changes: Any) -> Rotation:
    """Return a rotation whose secret the provider makes."""
    made = minted(awaiting_secret(**BY_OPENAI), f"{NAME} (2026-11-23 r7k2abc)", at(5))
    return made.but(state=State.RUNNING, started_at=at(5), **changes)


MINTED = Row(id="key_1", name="keyturn-r7k2abc-1", hint="sk-...abcd")
MINTS = (
    Mint(name=MINTED.name, attempt=0, asked_at=at(5), sent="x", row=MINTED, gone_at=at(60)),
    Mint(name="keyturn-r7k2abc-2", attempt=0, asked_at=at(6), sent="x", gone_at=at(60)),
    Mint(name="keyturn-r7k2abc-3", attempt=0, asked_at=at(7), sent="x", row=MINTED),
    Mint(
        name="keyturn-r7k2abc-4", attempt=0, asked_at=at(8), sent="x", row=MINTED, stays="AISIX still has the key `x`"
    ),
)


def stopped(rotation: Rotation, kind: StopKind, headline: str, sentence: str, **changes: Any) -> Rotation:
    step = next(s.name for s in (*FORWARD, *BACK) if s.name not in rotation.done)
    stop = Stop(kind=kind, headline=headline, sentence=sentence, step=step, resume=step, at=at(60))
    return rotation.but(state=State.BLOCKED, stop=stop, **changes)


def stopped_by(cause: Cause, rotation: Rotation, **words: str) -> Rotation:
    return stopped(rotation, cause.kind, cause.headline, cause.sentence.format(**words))


def awaiting_start(planned: Plan | None = None, **changes: Any) -> Rotation:
    """Return a rotation that is rehearsed, and whose policy wants an approver to start it."""
    asks = {"policy": Policy(names=("production",), start=True), "start_asked_at": at(33)}
    rehearsed = running("cut-over", planned, rehearsal="the new secret worked in production before any caller used it")
    return rehearsed.but(state=State.AWAITING_START, **asks | changes)


OFFICE_HOURS = Windows(openings=(read_opening("mon-thu 09:00-17:00", "Europe/Berlin"),))
STRICT = Policy(
    names=("production", "openai"),
    approvers=(("S_APPROVERS",),),
    approvals=2,
    start=True,
    soak=timedelta(minutes=30),
    require_proof=True,
    require_reason=True,
    move=(OFFICE_HOURS,),
    delete=(OFFICE_HOURS,),
)


def awaiting_approval(planned: Plan | None = None, **changes: Any) -> Rotation:
    return running("recheck", planned).but(state=State.AWAITING_APPROVAL, asked_at=at(41)).but(**changes)


def nudged(rotation: Rotation, seconds: float, number: int = 1) -> Rotation:
    """Return *rotation* after another push about the first thing that waits for people."""
    matter = matters(rotation)[0]
    return rotation.but(nudges=(Nudge(about=matter.about, at=at(seconds), number=number),))


def hushed(rotation: Rotation, number: int = 0, seconds: float = 41) -> Rotation:
    """Return *rotation*, where the first thing that waits began at night; with a *number*, people were called since."""
    matter = matters(rotation)[0]
    return rotation.but(nudges=(Nudge(about=matter.about, at=at(seconds), number=number, is_hushed=True),))


def watch_told(rotation: Rotation, number: int = 1) -> Rotation:
    """Return *rotation* at the good end of its watch; with *number* 0, its requester is to be told by day."""
    return rotation.but(nudges=(Nudge(about=WATCH_ENDED, at=at(3903), number=number, is_hushed=True),))


def revocation(which: Which = Which.OLD, **fields: Any) -> Revocation:
    """Return the task to revoke a credential within a day."""
    return Revocation(
        which=which, owner=REQUESTER, since=at(400), due_at=at(86_800), made_at=ASKED - timedelta(days=90)
    ).but(**fields)


ROW = Row(id="h1", name="gateway", hint="sk-or-v1-abc...1f2", created_at=ASKED - timedelta(days=90), last_used_at=ASKED)
LOOK = Look(at=at(700), since=at(30), usage=Usage(is_known=True, last_at=at(650), until=at(700)))
SETBACK = Setback(
    chore=Chore.REVOKE, since=at(700), at=at(800), number=3, why="OpenRouter can't be reached.", retry_at=at(840)
)


def at_openrouter(rotation: Rotation, **fields: Any) -> Rotation:
    """Return *rotation* of a key of OpenRouter, whose API can do everything."""
    made = {"account": "openrouter", "abilities": tuple(sorted(Ability)), "old_row": ROW}
    return rotation.but(
        plan=rotation.plan.but(
            old_key=key(provider="openrouter", settings={"api_base": "https://openrouter.ai/api/v1"})
        )
    ).but(**made | fields)


def there(phase: Phase, **fields: Any) -> Rotation:
    """Return a rotation that is over, and whose old credential is being revoked at OpenRouter."""
    known = {name: fields.pop(name) for name in ("ended_at", "ended_by") if name in fields}
    times = {"since": at(700), "disabled_at": at(700), "due_at": at(87_100)}
    began = There(row=ROW, phase=phase, approvals=(approval(),), **times | fields)
    return at_openrouter(completed(revocation=revocation(there=began, **known)))


def exposed_there() -> Rotation:
    """Return a rotation because of a leak that waits for its approver, after the exposed key was disabled."""
    rotation = exposed(proved(awaiting_approval()))
    assert rotation.revocation is not None
    began = There(
        row=ROW, phase=Phase.DISABLED, since=at(40), approvals=(), disabled_at=at(40), by_itself=True, look=LOOK
    )
    return at_openrouter(rotation.but(revocation=rotation.revocation.but(there=began)))


REVOKED: dict[str, Any] = {"ended_at": at(900), "ended_by": REQUESTER}
NOT_NEEDED: dict[str, Any] = {"ended_at": at(900), "ended_by": APPROVER, "reason": "it expires today"}


QUESTION = Question(by=APPROVER, at=at(60), text="is the nightly job on it? <!channel>")
ANSWERED = QUESTION.but(answer="no, since March", answered_at=at(90))
PUT_OFF = PutOff(by=SECOND_APPROVER, at=at(70), reason="the vendor looks into it, <!channel>")


def approval(by: str = APPROVER, seconds: float = 300, reason: str = "") -> Approval:
    return Approval(by=by, at=at(seconds), reason=reason)


def watched(planned: Plan | None = None, **changes: Any) -> Rotation:
    """Return a rotation whose old key is gone, in its watch of an hour."""
    rotation = running("watch", planned, approvals=(approval(),), asked_at=at(41))
    gone = rotation.but(delete_asked_at=at(302), delete_sent_at=at(302), deleted_at=at(303), audit_head=HEAD)
    return gone.but(watch_until=at(303 + 3600), watched=4).but(**changes)


def completed(planned: Plan | None = None, **changes: Any) -> Rotation:
    rotation = running("the end", planned, approvals=(approval(),), asked_at=at(41))
    return rotation.but(state=State.COMPLETED, deleted_at=at(303), audit_head=HEAD, ended_at=at(304)).but(**changes)


def completed_after_watch(planned: Plan | None = None, **changes: Any) -> Rotation:
    rotation = watched(planned, watched=11)
    done = (*rotation.done, "watch")
    return rotation.but(state=State.COMPLETED, done=done, ended_at=at(303 + 3601)).but(**changes)


# --- what the gateways' counters tell ---

REPLICAS = ((PRODUCTION.id, "http://replica-1:9090"), (PRODUCTION.id, "http://replica-2:9090"),
            (STAGING.id, "http://replica-3:9090"))  # fmt: skip
CALLERS = Tally(since=at(34), answered=1204, limited=83)
MOST_FAIL = Tally(since=at(10), answered=12, failed=40)
FAILING_CALLERS = Tally(since=at(34), answered=1167, failed=37)


def proved(rotation: Rotation, but: Iterable[int] = ()) -> Rotation:
    """Return *rotation* with a proof of every model *but* some."""
    left = set(but)
    proof = Evidence(verdict=Verdict.PROVED, reason=PROOF, at=at(39), signature="200")
    models = [model for number, model in enumerate(rotation.plan.models) if number not in left]
    return rotation.learn({m.id: rotation.finding(m).but(verdict=proof) for m in models})


def listening(rotation: Rotation, heard: Iterable[float | None] = (None, None, None)) -> Rotation:
    """Return *rotation* with silences on the replicas, each *heard* so many seconds on; the others show no counters."""
    looks = {
        environment: {url: Replica(url=url, at=at(38)) for there, url in REPLICAS if there == environment}
        for environment in GATEWAYS
    }
    silences = tuple(
        OldKeyUsage(url=url, environment=there, looked_at=at(640), heard_at=None if moment is None else at(moment))
        for (there, url), moment in zip(REPLICAS, heard, strict=False)
    )
    return rotation.but(looks=looks, silences=silences)


def charted(rotation: Rotation, failed: int = 0, seconds: float = 640) -> Rotation:
    """Return *rotation* with the requests of 20 intervals, as its tally sums them up; the *failed* ones came last."""
    step, answered = (seconds - 6) / MOST, rotation.tally.answered if rotation.tally else 1204
    new = [0, *(round(answered / MOST * (0.85 + n % 5 / 10)) for n in range(MOST - 2))]
    intervals = tuple(
        Interval(begin=at(6 + step * n), end=at(6 + step * (n + 1)), old=0 if n else 58, new=counted)
        for n, counted in enumerate((*new, answered - sum(new)))
    )
    last = intervals[-1].but(failed=failed)
    counters = {e: {url: Replica(url=url, at=last.end) for there, url in REPLICAS if there == e} for e in GATEWAYS}
    return rotation.but(series=Series(intervals=(*intervals[:-1], last), read=counters))


def uncharted(rotation: Rotation) -> Rotation:
    """Return *rotation* with all that a series can lack: a gap, a day, an environment, and what is read no more."""
    first, *others = charted(rotation, 37).series.intervals
    early = first.but(begin=at(-90_000), end=at(-80_000), has_tests=True)
    counters = {STAGING.id: {"http://replica-3:9090": Replica(url="http://replica-3:9090", at=others[-1].end)}}
    return rotation.but(series=Series(intervals=(early, *others), read=counters, unread_at=at(700)))


def accepted(rotation: Rotation, *numbers: int, reason: str = "the vendor limits us until Monday") -> Rotation:
    """Return *rotation* with models that an approver has accepted unproved."""
    word = Acceptance(by=APPROVER, at=at(70), reason=reason, of=RATE_LIMITED.signature)
    for number in numbers:
        rotation = seeing(rotation, RATE_LIMITED, number, accepted=word)
    return rotation


def unsure(rotation: Rotation, reason: str | None = None) -> Rotation:
    """Return *rotation* with nothing that proves any of its models; with a *reason*, every second is accepted."""
    rotation = rotation.learn(
        {m.id: rotation.finding(m).but(latest=RATE_LIMITED, verdict=RATE_LIMITED) for m in rotation.plan.models}
    )
    return accepted(rotation, *range(1, len(rotation.plan.models), 2), reason=reason) if reason else rotation


def unsure_because(rotation: Rotation, *reasons: str) -> Rotation:
    """Return *rotation* with its models unproved for these *reasons*, in turn."""
    answers = [RATE_LIMITED.but(reason=reason) for reason in reasons]
    known = {m.id: answers[n % len(answers)] for n, m in enumerate(rotation.plan.models)}
    return rotation.learn(
        {m.id: rotation.finding(m).but(latest=known[m.id], verdict=known[m.id]) for m in rotation.plan.models}
    )


def unused(rotation: Rotation, reason: str) -> Rotation:
    """Return *rotation* of a key that no model uses, of which an approver accepts that nothing proves its secret."""
    return rotation.but(accepted=Acceptance(by=APPROVER, at=at(70), reason=reason, of=unproved(rotation)))


def exposed(rotation: Rotation, seconds: float = 20, **told: str) -> Rotation:
    """Return *rotation* with a leak that the requester reported so many seconds after the card."""
    known = {"what": "the key stood in a build log", "where": "the wiki, page Deploy", "since": "last Thursday"}
    report = Exposure(by=REQUESTER, at=at(seconds), revoke_by=at(seconds + 7200), at_once=True)
    task = revocation(due_at=report.revoke_by, since=report.at)
    return rotation.but(exposed=report.but(**known | told), revocation=task)


def attacked(rotation: Rotation) -> Rotation:
    """Return *rotation* with 12 requests on the exposed key in production after every model had left it."""
    first, *others = listening(rotation).silences
    used = first.but(heard_at=at(620), total=12, first_at=at(410))
    return exposed(listening(rotation)).but(silences=(used, *others))


def reviewed(rotation: Rotation, **told: str) -> Rotation:
    """Return *rotation* with its leak reviewed by an approver."""
    review = Review(
        by=APPROVER, at=at(5000), what="the key stood in a build log", where="the wiki, page Deploy",
        since="2026-11-19", reach="every model of the account; nobody else used it, by the provider's own figures",
    )  # fmt: skip
    return exposed(rotation).but(review=review.but(**told), revocation=revocation(**REVOKED))


def void(*changes: str, seconds: float = 300, by: tuple[str, ...] = (APPROVER,)) -> Void:
    return Void(by=by, at=at(seconds), changes=changes or ("Someone bound `late` in staging to the old key.",))


def lapsed(*changes: str, by: tuple[str, ...] = (SECOND_APPROVER,)) -> Void:
    """Return what is recorded when approvals no longer count."""
    return Void(by=by, at=at(400), changes=changes or ("This account is deactivated.",), lapsed=True)


def in_waves(step: str, wave: int, moved: int, verified: int, count: int = 12) -> Rotation:
    """Return a rotation at *step* of a wave, with so many of its models moved and so many verified."""
    rotation = proved(running("tidy", plan(many(count))))
    models = rotation.plan.models
    rotation = rotation.learn({m.id: rotation.finding(m).unproved for m in models[verified:]})
    rotation = rotation.learn({m.id: Finding(baseline=good(32)) for m in models[moved:]})
    return rotation.but(done=_before(step), wave=wave, verified_at=None, well_since=None)


def trouble(number: int = 0, seconds: float = 900, about: str = "", **changes: Any) -> Trouble:
    label = about or f"`{FEW[number].alias}` in production"
    said = f"{label} does not answer: the upstream refused the credential (401 upstream_error invalid_api_key)"
    return Trouble(at=at(seconds), about=label, sentence=said).but(**changes)


def in_trouble(rotation: Rotation) -> Rotation:
    """Return a rotation after the delete with two models that are refused by now; their verdicts are of before."""
    failing = rotation.plan.models[:2]
    answered = {model.id: rotation.finding(model).but(latest=REFUSED_401, passes=0) for model in failing}
    return rotation.learn(answered).but(troubles=(trouble(), trouble(1)))


def over(seconds: float = 1200) -> Trouble:
    return trouble(seconds=seconds, sentence="`chat-large` in production is well again", over=True)


def going_back(done: tuple[str, ...] = (), planned: Plan | None = None, **changes: Any) -> Rotation:
    rotation = running("recheck", planned)
    return rotation.but(state=State.ROLLING_BACK, track=Track.BACK, done=done, ended_by=REQUESTER).but(**changes)


def rolled_back(planned: Plan | None = None, **changes: Any) -> Rotation:
    done = tuple(step.name for step in BACK)
    return going_back(done, planned).but(state=State.ROLLED_BACK, ended_at=at(120)).but(**changes)


def cancelled(**changes: Any) -> Rotation:
    return awaiting_secret().but(state=State.CANCELLED, ended_at=at(20), ended_by=REQUESTER).but(**changes)


def withdrawing(**changes: Any) -> Rotation:
    rotation = seeing(running("verify"), REFUSED_401)
    return rotation.but(track=Track.WITHDRAW, done=()).but(**changes)
