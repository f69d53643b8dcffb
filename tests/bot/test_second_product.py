"""A whole rotation of a gateway product that is not AISIX: the core and the steps know only the ports."""

from collections import Counter
from collections.abc import Iterable

from pydantic import SecretStr

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.inventory import Environment, Inventory, Model, ProviderKey
from bot.rotation.people import People
from bot.rotation.plan import AffectedModel, make_plan
from bot.rotation.ports import Asked, ControlPlane, Gateways, StatusPages
from bot.rotation.record import Approval, Replacement
from bot.rotation.replica import WELL, Replica, Served
from bot.rotation.states import State
from bot.steps.world import World
from bot.storage import lease
from tests.bot.values import NOW, limits, rotation, rules
from tests.support.in_memory import Clock, Everybody, Hands, Labels, Machine

NAME = "Vendor (rabc123)"
PAGE = "http://replica/status"


class Product:
    """A gateway of one replica, with its control plane and its counters: what is set serves at once."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.names = {"k1": "Vendor"}
        self.rows = {"m1": _model("m1", "large", "k1"), "m2": _model("m2", "small", "k1")}
        self.counted: Counter[tuple[str, str]] = Counter()
        """Requests by the id of the model and of the key that served it."""

    async def inventory(self) -> Inventory:
        environments = (Environment(id="prod", name="production"),)
        return Inventory(environments=environments, keys=await self.keys(), models=tuple(self.rows.values()))

    async def keys(self) -> tuple[ProviderKey, ...]:
        return tuple(ProviderKey(id=id_, display_name=name) for id_, name in self.names.items())

    async def key_dates(self) -> dict[str, None]:
        return dict.fromkeys(self.names)

    async def models(self, environments: Iterable[str]) -> tuple[Model, ...]:
        wanted = {*environments}
        return tuple(model for model in self.rows.values() if model.environment in wanted)

    async def is_gone(self, key_id: str, _: str | None) -> bool:
        return key_id not in self.names

    async def create_key(self, old: ProviderKey, name: str, _: Iterable[str], secret: SecretStr) -> str:
        assert old.id in self.names
        assert secret
        self.names["k2"] = name
        return "k2"

    async def allow_key(self, key: ProviderKey, environments: Iterable[str]) -> None:
        """Do nothing: every key is allowed everywhere."""

    async def point(self, model: str, environment: str, key_id: str) -> None:
        assert environment == self.rows[model].environment
        self.rows[model] = self.rows[model].but(provider_key=key_id)

    async def create_model(self, like: Model, name: str, key_id: str, upstream: str) -> bool:
        is_new = name not in self.rows
        self.rows[name] = like.but(id=name, alias=name, provider_key=key_id, upstream=upstream)
        return is_new

    async def delete_model(self, model: str, environment: str) -> None:
        assert environment == "prod"
        self.rows.pop(model, None)

    async def delete_key(self, key_id: str, within: float | None = None) -> bool:
        assert within is None or within > 0
        assert all(model.provider_key != key_id for model in self.rows.values()), "a model would fail"
        return self.names.pop(key_id, None) is not None

    environments = frozenset({"prod"})

    def lacks_a_name(self, _: AffectedModel) -> bool:
        return False

    def name(self, model: AffectedModel) -> str:
        return model.alias

    def endpoint(self, _: AffectedModel) -> str:
        return "ask"

    def upstream(self, model: AffectedModel) -> str:
        return model.upstream

    async def probe(self, model: AffectedModel, tag: str, *, under: str = "") -> Evidence:
        assert tag
        row = next((row for row in self.rows.values() if row.alias == (under or model.alias)), None)
        if row is None or row.provider_key is None:
            return Evidence(verdict=Verdict.PROJECTION, reason="no such model", at=self.clock.now())
        self.counted[row.id, row.provider_key] += 1
        return Evidence(verdict=Verdict.LIKELY, reason="answered", at=self.clock.now(), reached=True)

    def is_always_counted(self, _: AffectedModel) -> bool:
        return True

    def bars_throwaways(self, _: Evidence) -> bool:
        return False

    def may_keep_tokens(self, _: Evidence) -> bool:
        return False

    def addresses(self, _: str) -> tuple[str, ...]:
        return (PAGE,)

    def replicas(self, _: str) -> int:
        return 1

    def says_how_many(self, _: str) -> bool:
        return True

    async def watch(self, _: Iterable[str]) -> None:
        """Each address is one replica's."""

    async def look(self, _: str, asked: Asked) -> tuple[Replica, ...]:
        counts = {
            model: Served(
                old=sum(count for (id_, key), count in self.counted.items() if id_ == model and key in asked.keys.old),
                new=sum(count for (id_, key), count in self.counted.items() if id_ == model and key in asked.keys.new),
            )
            for model, _ in self.counted
        }
        made = tuple(name for name in self.rows if name.startswith(asked.throwaways))
        old = {"requests": sum(served.old for served in counts.values())}
        return (
            Replica(url=PAGE, at=self.clock.now(), state=WELL, counts=counts, own=counts, throwaways=made, meters=old),
        )


def _model(id_: str, alias: str, key: str) -> Model:
    return Model(id=id_, environment="prod", alias=alias, provider_key=key, upstream="vendor-1")


async def test_a_key_of_another_product_is_rotated_by_the_same_core_and_steps(monkeypatch):
    product = Product()
    monkeypatch.setattr(lease, "running_clock", product.clock.here)
    control_plane: ControlPlane = product
    gateways: Gateways = product
    status: StatusPages = product
    people = People(Everybody(), rules(approvers=frozenset({"U_APPROVER"})))
    waits, hold = limits(soak=60, watch=600), Hands(product.clock, [])
    world = World(control_plane, gateways, status, waits, product.clock.now, people, hold, Labels())
    machine = Machine(world, product.clock, 0, {})

    inventory = await product.inventory()
    plan = make_plan(inventory, inventory.keys[0], product.environments)
    key_id = await product.create_key(plan.old_key, NAME, (), SecretStr("new-secret"))
    replacement = Replacement(name=NAME, asked_at=NOW, key_id=key_id)
    begun = rotation(State.RUNNING, plan=plan, replacement=replacement, names=(NAME,), made=(key_id,), attempt=1)
    asked = await machine.until(begun, lambda r: r.state is State.AWAITING_APPROVAL)

    assert {asked.finding(model).verdict.verdict for model in asked.plan.models} == {Verdict.PROVED}
    assert "k1" in product.names

    word = Approval(by="U_APPROVER", at=product.clock.now(), digest=asked.digest)
    ended = await machine.until(asked.but(approvals=(word,)).to(State.RUNNING), lambda r: r.is_over)

    assert ended.state is State.COMPLETED
    assert product.names == {"k2": NAME}
    assert {model.provider_key for model in product.rows.values()} == {"k2"}
    assert set(product.rows) == {"m1", "m2"}, "no throw-away model is left"
