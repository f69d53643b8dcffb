"""What the evidence about a model proves. Pure; verdicts: docs/how-it-works.md, traps: facts/aisix.md 9."""

from collections.abc import Iterator
from datetime import datetime
from functools import cached_property

from bot.rotation.evidence import Evidence, Judgement, Verdict
from bot.rotation.frozen import Frozen
from bot.rotation.replica import UNNAMED, WELL, Replica, Served, rise


class Window(Frozen):
    """Two snapshots of one replica: at the start of the proof, and now."""

    before: Replica | None
    now: Replica

    @cached_property
    def since(self) -> Replica:
        """Return what the replica counted between the two."""
        return rise(self.before, self.now)

    @cached_property
    def restarted(self) -> bool:
        """Return whether the replica restarted in between, or is another one."""
        return self.before is not None and self.now.restarted_since(self.before)

    @cached_property
    def started_again(self) -> bool:
        """Return whether the counters restarted in between; their earlier values are then lost."""
        return self.since.counts is not None and self.restarted


class Observation(Frozen):
    """All that Keyturn saw of one model since it moved to the replacement."""

    model_id: str
    replacement_id: str
    answer: Evidence
    """The newest answer."""

    passes: int = 0
    """Good answers in a row."""

    wanted: int = 1
    answered: int = 0
    """Good answers since the earlier snapshots of `windows`; the counters must hold exactly these requests of ours."""

    lost: int = 0
    """Test requests since then whose answer never came."""

    malformed: int = 0
    """Answers since then that a gateway counts as good ones and Keyturn does not."""

    reached: int = 0
    """Test requests since then for which a provider key was chosen, including those that failed there."""

    turned_away: int = 0
    """Test requests since then that a rate limit of the gateway refused; the counters may have them as limited."""

    as_before: bool = False
    """The answer is the one that the model gave on the old key."""

    windows: tuple[Window, ...] = ()
    """One for each status address in the settings."""

    barrier: str = ""
    """The name of the throw-away model made after the change, if there is one."""

    projected: str = ""
    """How Keyturn saw the change everywhere without a status address; empty if it did not."""

    had_change: bool = False
    """Every visible replica had the change before; one that is cut off since then still has it."""

    too_few: str = ""
    """Why the settings don't say enough about the replicas; then even a run of good answers does not count."""

    old_token_until: datetime | None = None
    """The time until which the gateway may use a token for the old secret, although it counts the new key."""

    others_remain: bool = False
    """Other models of the environment belong on the old key: requests through a router count for it."""

    is_counted: bool = True
    """Every gateway version counts requests at the model's endpoint; earlier versions did not count all endpoints."""

    hides_tokens: bool = False
    """A gateway may still use a token for the old secret; its version alone does not rule that out."""

    @property
    def told(self) -> bool:
        """Return whether every replica's counters show our own test requests since the proof began."""
        return bool(self.windows) and all(map(_tells_ours, self.windows))

    @property
    def uncounted(self) -> int:
        """Return how many of our answers no listed replica has counted; 0 if the counters can't show that.

        If the settings list fewer replicas than they say there are, an unlisted replica's answer is expected.
        """
        asked = _asked(self)
        answered, any_ = sum(map(_shown, asked)), sum(_shown(ours) + ours.failed + ours.limited for ours in asked)
        if self.too_few or not self.told or not (any_ or self.is_counted):
            return 0
        return max(0, self.answered - answered, self.reached - any_)

    @property
    def covered(self) -> str:
        """Say whether requests that a rate limit of the gateway refused may stand for answers of an unlisted replica.

        The counters have them under the provider key; a balancer's own 429 is in no counter.
        """
        asked = _asked(self)
        limited = max(0, sum(ours.limited for ours in asked) - self.turned_away)
        shown = limited + sum(_shown(ours) + ours.failed for ours in asked)
        if not self.told or not self.turned_away or self.reached <= shown:
            return ""
        return "a rate limit of the gateway may stand for an answer that no listed replica counted"

    @property
    def has_surplus(self) -> bool:
        """Return whether the counters show more answers than came or were lost: the excess could hide a missing one."""
        return self.told and sum(map(_shown, _asked(self))) > self.answered + self.lost + self.malformed


def _tells_ours(window: Window) -> bool:
    return not window.now.trouble and window.since.own is not None and not window.started_again


def _asked(seen: Observation) -> list[Served]:
    """Return what each replica has counted of our own test requests, if it tells them apart."""
    return [served for window in seen.windows if (served := window.since.asked(seen.model_id)) is not None]


def _shown(ours: Served) -> int:
    """Return how many of our answers a replica shows, with any key."""
    return ours.new + ours.old + ours.third + ours.blind


def _ours(seen: Observation) -> int:
    """Return how many of our test requests the replacement served, over all replicas' counters."""
    return sum(served.new for served in _asked(seen))


# --- what speaks against a model ---

FINAL = frozenset({Verdict.REJECTED, Verdict.INVALID, Verdict.PROJECTION})
"""Verdicts that need no check of the replicas; any other bad answer may hide something worse."""


def doubt(seen: Observation) -> Judgement | None:
    """Return what speaks against the model, whatever it answered before; None if nothing does.

    A replica's evidence comes before an unclear answer, which an approver could accept, and before a refusal that the
    old key got as well, which is excused: nobody can accept or excuse that evidence.
    """
    said = None if seen.answer.passed else (seen.answer.verdict, seen.answer.reason)
    if said and seen.answer.verdict in FINAL and not seen.as_before:
        return said
    shown = (check(window, seen) for check in CHECKS for window in seen.windows)
    return next(filter(None, shown), None) or _answered_elsewhere(seen) or _stale_token(seen) or said


def _answered_elsewhere(seen: Observation) -> Judgement | None:
    """Doubt a model if no listed replica counted one of our answers: an unlisted replica gave it."""
    if not seen.uncounted:
        return None
    many = f"{seen.uncounted:,} of {seen.answered:,} test requests"
    return Verdict.PROJECTION, f"a replica that is not in `status_urls` answered {many}: no listed replica counted them"


def _stale_token(seen: Observation) -> Judgement | None:
    if seen.old_token_until is None:
        return None
    gateway, until = seen.answer.gateway or "the gateway", f"{seen.old_token_until:%H:%M} UTC"
    return Verdict.INVALID, f"{gateway} may use a token of the old secret until {until}"


def _rejects(window: Window, seen: Observation) -> Judgement | None:
    now = window.now
    if {seen.model_id, seen.replacement_id} & set(now.rejected):
        return Verdict.INVALID, f"{now.name} has rejected the change and serves its last good configuration"
    if now.rejects_more:
        return Verdict.INVALID, f"{now.name} has rejected rows that it does not name, the change may be among them"
    return None


def _uses_old_key(window: Window, seen: Observation) -> Judgement | None:
    served = window.since.served(seen.model_id)
    if served.old:
        return Verdict.INVALID, f"{window.now.name} served it {_times(served.old)} with the old key"
    if served.hidden:
        return (
            Verdict.INVALID,
            f"{window.now.name} tried the old key for it, behind a fallback, a router or an ensemble",
        )
    return None


def _uses_third_key(window: Window, seen: Observation) -> Judgement | None:
    if not window.since.served(seen.model_id).third:
        return None
    return Verdict.INVALID, f"{window.now.name} served it with a key that is neither the old nor the new one"


def _lags(window: Window, seen: Observation) -> Judgement | None:
    """Doubt a replica that lists its models but not the barrier."""
    listed = window.now.throwaways
    if not seen.barrier or listed is None or seen.barrier in listed:
        return None
    return Verdict.PROJECTION, f"{window.now.name} is not synced yet"


def _is_cut_off(window: Window, seen: Observation) -> Judgement | None:
    now = window.now
    if seen.had_change or _has_barrier(now, seen) or not (now.connected is False or now.state in OUT_OF_TOUCH):
        return None
    state = "not connected" if now.connected is False else now.state
    return Verdict.PROJECTION, f"{now.name} is cut off from the control plane ({state})"


def _is_new_since(window: Window, seen: Observation) -> Judgement | None:
    """Doubt a replica that restarted since the proof, or was not part of it: its configuration may be older."""
    now = window.now
    if not seen.had_change or now.trouble or _has_barrier(now, seen):
        return None
    if window.before is None or window.before.trouble:
        return Verdict.PROJECTION, f"{now.name} was not seen when the proof began, and may not be synced"
    if window.restarted:
        return Verdict.PROJECTION, f"{now.name} started again since the proof, and may not be synced any more"
    return None


CHECKS = (_rejects, _uses_old_key, _uses_third_key, _lags, _is_new_since, _is_cut_off)
"""The checks of a replica against a model, the gravest first."""

OUT_OF_TOUCH = frozenset({"out_of_sync", "never_loaded", "empty"})


def _has_barrier(replica: Replica, seen: Observation) -> bool:
    return bool(seen.barrier) and seen.barrier in (replica.throwaways or ())


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


# --- what speaks for it ---


def weigh(seen: Observation) -> Judgement:
    """Return the verdict on all the evidence about a model."""
    doubted = doubt(seen)
    if doubted:
        return doubted
    if seen.passes < max(1, seen.wanted):
        return Verdict.INCONCLUSIVE, f"answered {seen.passes} of {seen.wanted} times in a row so far"
    lacking = next(_lacks(seen), None)
    if lacking is None:
        return Verdict.PROVED, _proof(seen)
    if not seen.too_few and (seen.projected or _is_everywhere(seen)):
        how = seen.projected or "every gateway is synced"
        return Verdict.LIKELY, f"not proved: {lacking}; answered {seen.passes} times in a row; {how}"
    return Verdict.INCONCLUSIVE, f"answered, but with which key is unknown: {lacking}"


def _lacks(seen: Observation) -> Iterator[str]:
    """Yield what is missing for a proof; first a replica that Keyturn can't see, as it may serve the old key."""
    if not seen.windows:
        yield "no status address in the settings"
    for lacks in (_lacks_of_sight, _lacks_of_counters, _lacks_of_state):
        for window in seen.windows:
            yield from (f"{window.now.name} {lack}" for lack in lacks(window, seen) if lack)
    yield from filter(None, [seen.too_few, *_lacks_of_requests(seen)])


def _lacks_of_requests(seen: Observation) -> Iterator[str]:
    """Yield the gaps that the test requests leave, over all replicas."""
    if seen.hides_tokens:
        yield "for an hour after the change a gateway may use a token of the old secret"
    if seen.lost:
        yield "a test request had no answer, so what the counters show cannot be compared"
    yield seen.covered
    if seen.told and _ours(seen) > seen.answered:
        yield (
            f"the counters show {_ours(seen):,} test requests, and {seen.answered:,} were answered: someone else uses "
            "the caller key of AISIX_GATEWAYS"
        )


def _lacks_of_sight(window: Window, _: Observation) -> Iterator[str]:
    yield window.now.trouble
    yield "shows no counters" if window.now.counts is None else ""


def _lacks_of_counters(window: Window, seen: Observation) -> Iterator[str]:
    """Yield the gaps in one replica's counters, the gravest first; an empty string for each that is fine."""
    now, since = window.now, window.since
    served, unnamed = since.served(seen.model_id), since.served(UNNAMED)
    if now.counts is not None and since.counts is None:
        yield "showed no counters before"
    if window.started_again:
        yield "started to count again, so what it counted before is lost"
    if now.at < seen.answer.at:
        yield "was not looked at since the newest answer"
    if served.blind:
        yield f"does not say with which key it served it {_times(served.blind)}"
    if unnamed.uses_old and not seen.others_remain:
        yield f"used the old key {_times(unnamed.uses_old)} for a model that it does not name"
    yield from _lacks_of_ours(window, seen)


def _lacks_of_ours(window: Window, seen: Observation) -> Iterator[str]:
    """Yield why a replica's counters do not show our own test requests."""
    ours = window.since.asked(seen.model_id)
    if len(window.now.callers) > 1:
        yield "shows throw-away models asked with several caller keys, so our test requests cannot be told apart"
    elif ours is None:
        yield "does not tell our test requests from callers' (no `api_key_id`)"
    elif not ours.new:
        yield "was not reached by a test request"


def untold(seen: Observation, *, dark: bool) -> str:
    """Say which counters do not show all our test requests since the proof began, and why; empty if all do.

    *dark*: also those that can't be read at all.
    """
    if not seen.windows:
        return "no status address is in the settings any more"
    silent = (window for window in seen.windows if not _tells_ours(window))
    return next((_untold(w, seen) for w in silent if dark or (w.since.counts is not None and w.since.own is None)), "")


def _untold(window: Window, seen: Observation) -> str:
    lacks = (*_lacks_of_sight(window, seen), *_lacks_of_counters(window, seen))
    return f"{window.now.name} {next(filter(None, lacks), 'shows other counters than before')}"


def _lacks_of_state(window: Window, _: Observation) -> Iterator[str]:
    now = window.now
    yield "is not connected to the control plane" if now.connected is False else ""
    if now.state != WELL:
        yield f"calls itself {now.state}" if now.state else "does not tell its state"
    yield "rejects rows of its configuration" if now.rejects else ""
    yield "has not applied all that it has heard of" if now.is_behind else ""


def _is_everywhere(seen: Observation) -> bool:
    """Return whether every replica in the settings was seen to have the change."""
    if not seen.windows:
        return False
    if all(_has_barrier(window.now, seen) for window in seen.windows):
        return True
    served = [window.since.served(seen.model_id).new for window in seen.windows]
    return all(served) and sum(served) >= seen.passes


def _proof(seen: Observation) -> str:
    """Say what the counters showed, and since when all of them have."""
    asked = [served.new for served in _asked(seen)]
    since = max(window.before.at for window in seen.windows if window.before)
    counted = " + ".join(f"{count:,}" for count in asked)
    where = f"on {len(asked)} replicas" if len(asked) > 1 else "on the one replica"
    requests = "test request" if asked == [1] else "test requests"
    return f"new key served {counted} {requests} {where}; old key 0 since {since:%H:%M} UTC"
