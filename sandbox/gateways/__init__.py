"""Real AISIX gateways behind the sandbox's control plane; you provide their binary and etcd."""

from sandbox.gateways.aisix import RealAisix
from sandbox.gateways.missing import missing
from sandbox.gateways.replica import RealReplica

__all__ = ["RealAisix", "RealReplica", "missing"]
