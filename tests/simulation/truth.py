"""What is true of the gateways, whatever they show: who serves which model with which key, and who was asked."""

from collections.abc import Iterable

from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from sandbox.aisix import Aisix
from sandbox.aisix.replica import Replica


class Truth:
    """Looks into the sandbox, and remembers what the bot did there, by rotation."""

    def __init__(self, aisix: Aisix) -> None:
        self._aisix = aisix
        self.approved: dict[str, int] = {}
        """The turn of the newest approval."""

        self.heard: dict[str, list[str]] = {}
        """Answers of unlisted replicas with the old key that the last look of a rotation has had so far."""

        self._probed: dict[tuple[str, str, str], int] = {}
        self._served: dict[tuple[str, Replica], int] = {}
        self._offered: dict[tuple[str, Replica], int] = {}
        self._old: dict[str, str] = {}

    def replicas(self, environments: Iterable[str]) -> list[Replica]:
        """Return the replicas of some environments, listed or not."""
        return [replica for environment in environments for replica in self._aisix.replicas(environment)]

    def is_stale(self, replica: Replica, record: Rotation, alias: str = "") -> bool:
        """Tell whether a replica serves a planned model (that of an *alias*, if one is given) with the old key."""
        models = replica.projection.snapshot.tables["models"]
        planned = (m for m in record.plan.models if m.environment == replica.environment.id and alias in ("", m.alias))
        return any(models.get(m.id, {}).get("provider_key_id") == record.plan.old_key.id for m in planned)

    def probed(self, rotation_id: str, replica: Replica, alias: str, turn: int) -> None:
        """Note a test request."""
        self._probed[rotation_id, replica.environment.id, alias] = turn

    def asked(self, rotation_id: str, model: AffectedModel) -> int:
        """Return the turn at which a model was asked last."""
        return self._probed.get((rotation_id, model.environment, model.alias), -1)

    def began(self, record: Rotation) -> None:
        """Note which key a rotation is about."""
        self._old[record.id] = record.plan.old_key.id

    def looked_at(self, rotation_id: str, replica: Replica) -> None:
        """Note how often a replica had served with the old key when its counters were read."""
        self._served[rotation_id, replica] = replica.served_with(self._old.get(rotation_id, ""))

    def offered(self, rotation_id: str) -> None:
        """Note how often each replica had served with the old key when its delete was offered."""
        for replica in self._aisix.all_replicas():
            self._offered[rotation_id, replica] = replica.served_with(self._old.get(rotation_id, ""))

    def served_since_the_offer(self, rotation_id: str, environments: Iterable[str]) -> list[str]:
        """Name the replicas that served with the old key after the offer, and before the last look at them."""
        return [
            f"{replica.environment.name} {replica.proxy.number}: {late}"
            for replica in self.replicas(environments)
            if replica.is_listed
            and (late := self._served.get((rotation_id, replica), 0) - self._offered.get((rotation_id, replica), 0)) > 0
        ]

    def unmet(self, record: Rotation, model_id: str) -> list[str]:
        """Name the listed replicas that have never answered a test request for a model with the replacement."""
        model = next((model for model in record.plan.models if model.id == model_id), None)
        if model is None:
            return []
        return [
            f"{replica.environment.name} {replica.proxy.number}"
            for replica in self.replicas([model.environment])
            if replica.is_listed and not _answered(replica, model.alias, record.replacement_id)
        ]


def _answered(replica: Replica, alias: str, key_id: str | None) -> bool:
    return any((c.caller, c.alias, c.key_id) == ("probe", alias, key_id) for c in replica.proxy.calls)
