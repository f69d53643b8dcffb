"""`python -m bot carry-over`: moves another namespace's rotations to this one, once a person claims them."""

from bot.rotation.errors import Refused
from bot.rotation.plan import plural
from bot.storage.migration import Carrier
from bot.storage.namespace import NAME, PREFIX, Namespace
from bot.terminal import Level, tell


async def carried_over(carrier: Carrier, name: str, rotation: str | None) -> bool:
    """Carry over the rotations under *name*, or one of them; print a line for each and return whether none is left."""
    source = _source(carrier, name)
    ids = [rotation] if rotation else await carrier.ids_in(source)
    result = await carrier.carry(source, ids, named=rotation is not None)
    for rotation_id in result.moved:
        tell(Level.DONE, f"{rotation_id} is carried over.")
    for left in result.left:
        tell(Level.LEFT, f"{left.rotation} stays: {left.why}.")
    tell(
        Level.DONE, f"{plural(len(result.moved), 'rotation')} carried over from {source.queue} to {carrier.here.queue}."
    )
    return not result.left


def _source(carrier: Carrier, name: str) -> Namespace:
    """Return the namespace called *name*, or refuse."""
    source = Namespace(name=f"{name}:".removeprefix(PREFIX).removesuffix(":"))
    if source.name and not NAME.fullmatch(source.name):
        raise Refused(f"{name} is no namespace: `python -m bot check` says what there is.")
    if source.name == carrier.here.name:
        raise Refused(f"{name} is where this bot keeps its records already.")
    if source.name and source.team != carrier.here.team:
        raise Refused(f"{name} is of another workspace: nobody there could be asked here.")
    return source
