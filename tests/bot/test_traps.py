"""Green lights that prove nothing (docs/facts): the verdict is right, and the delete is not even offered.

The environment with the trap is production, with two replicas; its models are `chat-large` and `support-embed`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest

from bot.rotation.evidence import Verdict
from bot.rotation.policy import Action, offered
from bot.rotation.record import Rotation
from bot.rotation.states import State
from sandbox.aisix import Switches
from tests.support.in_memory import NEW_SECRET, OLD_SECRET, Tenancy, tenancy_of

pytestmark = pytest.mark.whole

PASSED = {Verdict.PROVED, Verdict.LIKELY}
CHAT, EMBED = ("chat-large", "production"), ("support-embed", "production")


@asynccontextmanager
async def tenancy_with(**switches: Any) -> AsyncIterator[Tenancy]:
    async with tenancy_of(Switches(**switches)) as tenancy:
        tenancy.embed = tenancy.aisix.add_model(
            "production", "support-embed", key=tenancy.old, upstream="text-embedding-3-small", kind="embedding"
        )
        tenancy.other = tenancy.aisix.add_key("Other key", secret="sk-other-0123456789abc")
        tenancy.spare = tenancy.aisix.add_model("production", "unrelated", key=tenancy.other, upstream="gpt-4o")
        yield tenancy


async def run(tenancy: Tenancy, **settings: Any) -> Rotation:
    """Rotate until a person is asked, or told why not."""
    machine = await tenancy.machine(**{"projection": 5, "verify": 5} | settings)
    return await machine.ended(await tenancy.begun(machine))


def verdicts(record: Rotation) -> dict[tuple[str, str], Verdict]:
    """Return the verdict on each model that has one, by alias and environment."""
    standing = {m: record.finding(m).current for m in record.plan.models}
    return {(m.alias, m.environment_name): seen.verdict for m, seen in standing.items() if seen}


def straggler(tenancy: Tenancy) -> Any:
    return tenancy.aisix.replicas("production")[1]


def tell(tenancy: Tenancy, **told: Any) -> None:
    """Have the settings say this of production."""
    settings, here = tenancy.wire.settings, tenancy.chat.environment_id
    tenancy.wire.settings = lambda: settings() | {here: settings()[here] | told}


def at_the_move(tenancy: Tenancy, then: Callable[[], Any]) -> None:
    """Have something happen just before the first model is moved."""
    tenancy.aisix.faults.before("PATCH", "/models/", then)


NOT_TAKEN = "the gateway has not taken the change"
NOT_PROVED = "the new secret is not proved"
ELSEWHERE = "some models cannot be verified"
NO_RESULT = "the rehearsal came to no result"
LACKS = "the new account lacks a model"
NOT_OFFERED = "the upstream does not offer this model to the credential"


def lag(tenancy: Tenancy) -> None:
    at_the_move(tenancy, lambda: tenancy.wire.behind.add(straggler(tenancy)))


def cut_off(tenancy: Tenancy) -> None:
    at_the_move(
        tenancy, lambda: (tenancy.wire.behind.add(straggler(tenancy)), setattr(straggler(tenancy), "lag", None))
    )


def reject(tenancy: Tenancy, *, in_silence: bool = False) -> None:
    straggler(tenancy).reject_rows = {tenancy.embed.id}
    straggler(tenancy).status_available = not in_silence


def reject_new_keys(tenancy: Tenancy) -> None:
    for replica in tenancy.aisix.replicas("staging"):
        replica.reject_rows = {"new keys"}


def answer_from_a_cache(tenancy: Tenancy) -> None:
    tenancy.aisix.add_cache_policy("production", "similar", embedding_model=tenancy.embed)
    tenancy.aisix.environment("production").cache = "semantic"


def fall_back(tenancy: Tenancy, *targets: Any) -> None:
    """Have `chat-large` asked for by a router that tries *targets*, or one that is unrelated before it."""
    targets = list(targets or (tenancy.spare, tenancy.chat))
    tenancy.aisix.add_model("production", "chat-safe", kind="routing", targets=targets, strategy="failover")
    tell(tenancy, probes={"chat-large": "chat chat-safe"})


def avoid(tenancy: Tenancy) -> None:
    fall_back(tenancy, tenancy.chat, tenancy.spare)
    tell(tenancy, probes={"chat-large": "chat chat-safe", "support-embed": "skip"})
    tenancy.aisix.remove(tenancy.staged, settled=True)
    limit_the_rate(tenancy)


def lack(tenancy: Tenancy, *offered: str) -> None:
    """Have the new account offer these upstream models alone."""
    tenancy.aisix.upstream.models_for(NEW_SECRET, set(offered))


def hide_a_dead_embedder(tenancy: Tenancy) -> None:
    lack(tenancy, "gpt-4o")
    parts = {"embedding_model": tenancy.embed, "routes": [tenancy.chat], "default": tenancy.chat}
    tenancy.aisix.add_model("production", "support", kind="semantic", **parts)


def hide_a_dead_panel_member(tenancy: Tenancy) -> None:
    lack(tenancy, "gpt-4o", "text-embedding-3-small")
    panel = tenancy.aisix.add_model("production", "panel-2", key=tenancy.old, upstream="gpt-4.1")
    parts = {"panel": [tenancy.spare, panel], "judge": tenancy.spare, "min_responses": 1}
    tenancy.aisix.add_model("production", "council", kind="ensemble", **parts)


def show_no_counters(tenancy: Tenancy) -> None:
    for replica in tenancy.aisix.all_replicas():
        replica.metrics_available = False


def tell_an_address_of_staging(tenancy: Tenancy) -> None:
    tell(tenancy, status_urls=["http://production.0", "http://staging.0"])


def ask_a_wildcard(tenancy: Tenancy) -> None:
    tenancy.aisix.add_model("production", "other/*", key=tenancy.other, upstream="gpt-4o")
    tell(tenancy, probes={"chat-large": "chat other/mini"})


def ask_an_ensemble(tenancy: Tenancy) -> None:
    """Have `chat-large` asked for by an ensemble, whose answer does not say which models gave it."""
    parts = {"panel": [tenancy.spare], "judge": tenancy.spare, "min_responses": 1}
    tenancy.aisix.add_model("production", "council", kind="ensemble", **parts)
    tell(tenancy, probes={"chat-large": "chat council"})


def limit_the_rate(tenancy: Tenancy) -> None:
    tenancy.aisix.upstream.set(NEW_SECRET, 429)


def forbid_both(tenancy: Tenancy) -> None:
    """Have the upstream answer 403 to everything, at endpoints that the settings name."""
    tenancy.aisix.remove(tenancy.staged, settled=True)
    tell(tenancy, probes={"chat-large": "chat", "support-embed": "embeddings"})
    for secret in (OLD_SECRET, NEW_SECRET):
        tenancy.aisix.upstream.refuse(secret, 403)


class Trap(NamedTuple):
    """What is set, what becomes of it, and the verdict: where none is named, any that does not pass."""

    how: Callable[[Tenancy], None]
    headline: str
    says: str = ""
    model: tuple[str, str] = CHAT
    verdict: Verdict | None = None
    switches: dict[str, Any] = {}
    settings: dict[str, Any] = {}


BLIND = {"model_create": False}
UNSEEN = BLIND | {"status_urls": False}
DEAF = {"cache_ignores_no_cache": True}
STRICT = {"require_proof": True}
FROM_A_CACHE = "answered from a cache, so the credential was not used"
PANEL = ("panel-2", "production")
TRAPS = {
    "g1 lags": Trap(lag, NOT_TAKEN),
    "g1 lags, met by the barrier": Trap(lag, NOT_TAKEN, switches={"status_urls": False}),
    "g18 is cut off": Trap(cut_off, NOT_TAKEN),
    "g1 rejects the row": Trap(
        reject, NOT_TAKEN, "has rejected the change and serves its last good configuration", EMBED, Verdict.INVALID
    ),
    "g1 drops the row in silence": Trap(
        partial(reject, in_silence=True), NOT_TAKEN, "with the old key", EMBED, Verdict.INVALID
    ),
    "g19 no replica takes the replacement": Trap(
        reject_new_keys, NOT_TAKEN, "This says nothing against the new secret"
    ),
    "g5 a cache answers": Trap(answer_from_a_cache, NO_RESULT, FROM_A_CACHE, switches=DEAF),
    "g5 a cache answers after the rehearsal": Trap(
        lambda t: at_the_move(t, lambda: setattr(t.aisix.environment("production"), "cache", "semantic")),
        NOT_PROVED,
        FROM_A_CACHE,
        switches=DEAF,
    ),
    "g2 a fallback answers": Trap(
        fall_back, NOT_PROVED, "answered by another target, so the credential was not used", CHAT, Verdict.INVALID
    ),
    "g2 and g8 a router avoids the model by its cooldown": Trap(
        avoid, NOT_PROVED, "answered by another target", CHAT, Verdict.INVALID, BLIND
    ),
    "g2 and g7 a cooldown hides a refusal": Trap(
        lambda t: lack(t, "text-embedding-3-small"), LACKS, "", CHAT, Verdict.REJECTED, BLIND
    ),
    "g3 and g14 a default route hides a dead embedder": Trap(hide_a_dead_embedder, LACKS, NOT_OFFERED, EMBED),
    "g3 a default route hides a dead embedder, and nothing can be rehearsed": Trap(
        hide_a_dead_embedder, LACKS, "", EMBED, Verdict.REJECTED, BLIND
    ),
    "g4 an ensemble hides a dead member": Trap(hide_a_dead_panel_member, LACKS, NOT_OFFERED),
    "g4 an ensemble hides a dead member, and nothing can be rehearsed": Trap(
        hide_a_dead_panel_member, LACKS, "", PANEL, Verdict.REJECTED, BLIND
    ),
    "no counters and no throw-away models": Trap(show_no_counters, NOT_PROVED, "", CHAT, Verdict.INCONCLUSIVE, BLIND),
    "nothing to be seen and no throw-away models": Trap(
        lambda t: tell(t, replicas=0),
        NOT_PROVED,
        "with which key is unknown",
        CHAT,
        Verdict.INCONCLUSIVE,
        UNSEEN,
    ),
    "a proof is required and there are no counters": Trap(
        show_no_counters, NOT_PROVED, "", CHAT, Verdict.LIKELY, settings=STRICT
    ),
    "one address of two is told": Trap(
        lambda t: tell(t, status_urls=["http://production.0"], replicas=0),
        "a replica is not in the settings",
        "Add its status address to AISIX_GATEWAYS",
    ),
    "the settings have a model on another key asked": Trap(
        lambda t: tell(t, probes={"chat-large": "chat unrelated"}), ELSEWHERE, "`unrelated`, which is on another key"
    ),
    "the settings have a model on another key asked, and nothing is to be seen": Trap(
        lambda t: tell(t, probes={"chat-large": "unrelated"}), ELSEWHERE, "`unrelated`, which", switches=UNSEEN
    ),
    "the settings have another model on the same key asked": Trap(
        lambda t: tell(t, probes={"chat-large": "chat support-embed"}),
        ELSEWHERE,
        "to another model, `support-embed`, so",
    ),
    **{
        f"the settings have {what} on another key asked, and no counters are to be seen": Trap(
            how, NOT_PROVED, "answered by another target", CHAT, Verdict.INVALID, {"status_urls": False}
        )
        for what, how in {"a wildcard": ask_a_wildcard, "an ensemble": ask_an_ensemble}.items()
    },
    "an address is another environment's": Trap(
        tell_an_address_of_staging, NOT_PROVED, "", CHAT, Verdict.LIKELY, settings=STRICT
    ),
    "an address is another environment's, and the replica rejects the row": Trap(
        lambda t: (tell_an_address_of_staging(t), reject(t)), NOT_PROVED, "", EMBED, Verdict.INCONCLUSIVE, BLIND
    ),
    "the rate is limited": Trap(limit_the_rate, NO_RESULT, "the upstream limits the rate"),
    "the rate is limited, and no throw-away models": Trap(
        limit_the_rate, NOT_PROVED, "the upstream limits the rate", CHAT, Verdict.INCONCLUSIVE, BLIND
    ),
    "no test request reaches a model": Trap(lambda t: tell(t, caller_key="nonsense"), NO_RESULT),
    "both keys are refused a permission": Trap(
        forbid_both, NO_RESULT, "In the rehearsal in production: already failing, the same on both keys: the upstream"
    ),
    "both keys are refused a permission, and no throw-away models": Trap(
        forbid_both, NOT_PROVED, "answers, neither before nor now", CHAT, Verdict.REJECTED, BLIND
    ),
    "a refused secret where the old one was refused as well": Trap(
        lambda t: [t.aisix.upstream.refuse(secret) for secret in (OLD_SECRET, NEW_SECRET)],
        "the new secret was refused",
        "In the rehearsal in production",
    ),
}


@pytest.mark.parametrize("name", TRAPS)
async def test_a_trap_is_no_green_light(name):
    trap = TRAPS[name]
    async with tenancy_with(**trap.switches) as tenancy:
        trap.how(tenancy)
        ended = await run(tenancy, **trap.settings)

    assert ended.stop
    assert ended.stop.headline == trap.headline
    assert trap.says in ended.stop.sentence
    found = verdicts(ended)
    assert found.get(trap.model) not in PASSED - {trap.verdict}
    assert trap.verdict is None or trap.verdict in found.values(), "which model is the first to be moved is chance"
    assert tenancy.deletes() == 0
    assert Action.DELETE_OLD_KEY not in offered(ended)


async def test_where_no_model_can_be_created_the_first_wave_is_one_model():
    async with tenancy_with(**BLIND) as tenancy:
        tenancy.aisix.upstream.refuse(NEW_SECRET)
        ended = await run(tenancy)

    assert (ended.stop.headline, len(ended.moved)) == ("the new secret was refused", 1)


SHOWN = {
    "all there is": ({}, Verdict.PROVED),
    "no caller's key": ({"metric_labels": "names"}, Verdict.LIKELY),
    "no provider key": ({"metric_labels": "no_key"}, Verdict.LIKELY),
    "an older gateway": ({"gateway_version": "0.3.1"}, Verdict.LIKELY),
    "no status addresses": ({"status_urls": False}, Verdict.LIKELY),
    "no throw-away models": ({"model_create": False}, Verdict.LIKELY),
}


@pytest.mark.parametrize("name", SHOWN)
async def test_what_a_gateway_shows_decides_between_proved_and_likely(name):
    switches, verdict = SHOWN[name]
    async with tenancy_with(**switches) as tenancy:
        ended = await run(tenancy)

    assert ended.state is State.AWAITING_APPROVAL
    assert set(verdicts(ended).values()) == {verdict}


async def test_a_replica_that_catches_up_is_waited_for():
    async with tenancy_with() as tenancy:
        lag(tenancy)
        machine = await tenancy.machine(projection=5, verify=5)
        record = await machine.until(await tenancy.begun(machine), lambda r: "cut-over" in r.done)
        for _ in range(4):
            record = await machine.notch(record)
        assert record.waits_for_bot
        assert "project" not in record.done
        assert record.note == "1 environment not synced yet: `production.1` in `production`"

        tenancy.wire.behind.clear()
        tenancy.wire.project()
        ended = await machine.ended(record)

    assert ended.state is State.AWAITING_APPROVAL
    assert set(verdicts(ended).values()) == {Verdict.PROVED}


async def test_a_model_that_failed_before_is_as_before_and_does_not_block():
    async with tenancy_with() as tenancy:
        for secret in (OLD_SECRET, NEW_SECRET):
            tenancy.aisix.upstream.models_for(secret, {"gpt-4o", "text-embedding-3-small"})
        legacy = tenancy.aisix.add_model("production", "legacy-chat", key=tenancy.old, upstream="gpt-3")
        ended = await run(tenancy)

    assert ended.state is State.AWAITING_APPROVAL
    assert verdicts(ended).get((legacy.display_name, "production")) is not Verdict.PROVED
