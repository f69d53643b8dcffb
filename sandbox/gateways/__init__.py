"""Real AISIX gateways behind the sandbox's control plane: their binary and etcd are the reader's own."""

from sandbox.gateways.aisix import RealAisix
from sandbox.gateways.missing import missing
from sandbox.gateways.replica import RealReplica

__all__ = ["RealAisix", "RealReplica", "missing"]
