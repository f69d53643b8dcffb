"""A local AISIX over real sockets: it refuses what the real service refuses."""

from sandbox.aisix.aisix import Aisix
from sandbox.aisix.gate import Call
from sandbox.aisix.proxy import GatewayCall
from sandbox.aisix.pulse import Event
from sandbox.aisix.replica import Replica
from sandbox.aisix.rows import Model, PassthroughRoute, ProviderKey
from sandbox.aisix.store import Environment
from sandbox.aisix.switches import Switches

__all__ = [
    "Aisix",
    "Call",
    "Environment",
    "Event",
    "GatewayCall",
    "Model",
    "PassthroughRoute",
    "ProviderKey",
    "Replica",
    "Switches",
]
