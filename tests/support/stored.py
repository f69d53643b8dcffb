"""What a version of Keyturn has left behind: all of its store, and its messages in Slack.

`python -m tests.support.stored FOLDER` writes down what this version leaves behind in every state. That is done once
for each form of the record, before it changes; what is there is never rewritten.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bot import logs
from bot.rotation.record import Rotation
from bot.rotation.states import State, StepName
from bot.storage.embedded import embedded_server
from sandbox.slack import Message
from sandbox.slack.world import BOT_USER
from tests.support.canary import READERS
from tests.support.players import APPROVE, BACK, SECRET, Play, play
from tests.support.plug import Call, Fault, Plan, Plug, register
from tests.support.stage import NEW_SECRET

FOLDER = Path(__file__).parents[1] / "stories" / "stored"
TRANSIENT = ("lease", "once", "edits")
Json = dict[str, Any]

WRITE: dict[str, Callable[[Any, str, Any], Any]] = {
    "string": lambda redis, key, value: redis.set(key, value),
    "hash": lambda redis, key, value: redis.hset(key, mapping=value),
    "list": lambda redis, key, value: redis.rpush(key, *value),
    "set": lambda redis, key, value: redis.sadd(key, *value),
    "zset": lambda redis, key, value: redis.zadd(key, dict(value)),
}


async def left_behind(made: Play, state: State) -> Json:
    transient = tuple(made.key(kind, "") for kind in TRANSIENT)
    keys = [key for key in sorted(await made.redis.keys(made.key("*"))) if not key.startswith(transient)]
    kinds = {key: await made.redis.type(key) for key in keys}
    store = {key: [kind, await READERS[kind](made.redis, key)] for key, kind in kinds.items()}
    return {
        "state": state,
        "namespace": made.stage.namespace.name,
        "store": {key: [kind, sorted(value) if kind == "set" else value] for key, (kind, value) in store.items()},
        "said": [[m.ts, m.thread_ts, m.text, m.blocks] for m in made.said()],
        "environment": made.stage.aisix.environment("production").id,
        "keys": [[key.id, key.display_name] for key in made.stage.aisix.provider_keys.values()],
        "models": [[model.id, model.provider_key_id] for model in made.stage.aisix.models.values()],
    }


async def put_back(made: Play, left: Json) -> Rotation:
    """Make the world of *made* as it was left behind, and return the record; its own ids stand for those of then."""
    aisix, text = made.stage.aisix, json.dumps(left)
    (old, model) = next(iter(aisix.provider_keys.values())), next(iter(aisix.models.values()))
    theirs = {left["environment"]: aisix.environment("production").id, left["models"][0][0]: model.id}
    if "namespace" in left:
        theirs[left["namespace"]] = made.stage.namespace.name
    for key_id, name in left["keys"]:
        is_old = name == old.display_name
        theirs[key_id] = old.id if is_old else aisix.add_key(name, secret=made.secret).id
    seen = record_in(left).seen
    for before, now in theirs.items():
        text = text.replace(before, now)
    text = text.replace(seen, record_in(json.loads(text)).seen)
    left |= json.loads(text)
    aisix.edit(model, settled=True, provider_key_id=left["models"][0][1])
    for row in [old] if old.id not in dict(left["keys"]) else []:
        aisix.remove(row, settled=True)
    for key, (kind, value) in left["store"].items():
        await WRITE[kind](made.redis, key, value)
    world = made.stage.slack.site.world
    world.said += [Message("C_OPS", ts, BOT_USER, words, blocks, thread) for ts, thread, words, blocks in left["said"]]
    return record_in(left)


def record_in(left: Json) -> Rotation:
    record = next(value for key, (_, value) in left["store"].items() if ":rotation:" in key)
    return Rotation.model_validate_json(record)


# --- writing it down ---


async def _reach(made: Play, state: State) -> None:
    """Have people bring a rotation to *state*, as far as it is theirs to do."""
    await made.up.wait()
    card = await made.stage.ask()
    while True:
        record = await made.stage.record()
        if record.state is state and not await made.redis.exists(made.key("unshown")):
            return
        with suppress(LookupError):
            await _act(made, card, state)
        await asyncio.sleep(0.1)


async def _act(made: Play, card: Message, state: State) -> None:
    requester, approver = made.stage.slack.person("U_REQUESTER"), made.stage.slack.person("U_APPROVER")
    if SECRET in card.buttons and state is State.CANCELLED:
        await requester.click("Cancel", card)
    elif SECRET in card.buttons and state is not State.AWAITING_SECRET:
        await made.give(card)
    elif APPROVE in card.buttons and state is State.COMPLETED:
        await approver.click(APPROVE, card)
    elif APPROVE in card.buttons and state is not State.AWAITING_APPROVAL:
        await requester.click(BACK, card)


STOPS_AT = {
    State.RUNNING: ("PATCH /api/environments/{id}/models/{id}", StepName.CUT_OVER),
    State.ROLLING_BACK: ("PATCH /api/environments/{id}/models/{id}", StepName.POINT_BACK),
}
"""Where the bot is killed to leave behind a state in which it would have gone on."""


async def _write_down(redis_url: str, state: State, folder: Path) -> None:
    kind, moment = STOPS_AT.get(state, ("", ""))
    plan = Plan(Call("control plane", kind, moment, 1), Fault.CRASH_AFTER)
    plug = Plug(["start", StepName.CUT_OVER, "awaiting_approval", StepName.POINT_BACK], [plan])
    async with play(redis_url, 1, plug, secret=NEW_SECRET) as made:
        if state is State.BLOCKED:
            made.stage.overrides |= {"PROJECTION_TIMEOUT": "1", "VERIFY_TIMEOUT": "1"}
            made.stage.aisix.replicas("production")[0].lag = None
        life = plug.begin(made.live())
        people = asyncio.create_task(_reach(made, state))
        await asyncio.wait([life, people], return_when=asyncio.FIRST_COMPLETED)
        people.cancel()
        plug.crash()
        await plug.buried()
        text = json.dumps(await left_behind(made, state), indent=1, ensure_ascii=False)
    (folder / f"{state.lower()}.json").write_text(text + "\n")


async def main(folder: Path) -> None:
    logs.configure("error", "json")
    asyncio.get_running_loop().set_task_factory(register)
    with tempfile.TemporaryDirectory() as data:
        async with embedded_server(Path(data) / "valkey") as url:
            for state in State:
                await _write_down(url, state, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
