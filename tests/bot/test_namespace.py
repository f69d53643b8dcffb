"""What a bot's keys in Redis are called: by its workspace and its control plane, however that is written."""

from bot.storage.namespace import Namespace

HERE = Namespace.of("T1", "https://cp.example.com/api")


def test_another_way_to_write_the_same_address_is_the_same_namespace() -> None:
    for address in ("https://CP.Example.com/api/", "HTTPS://cp.example.com:443/api", "https://cp.example.com./api"):
        assert Namespace.of("T1", address) == HERE
    assert Namespace.of("T1", "http://[2001:DB8::1]:8080/api/").control_plane == "http://[2001:db8::1]:8080/api"


OTHERS = ("https://staging.example.com/api", "https://cp.example.com:8443/api", "https://cp.example.com/API")


def test_another_workspace_or_control_plane_has_other_names() -> None:
    others = [Namespace.of("T1", address) for address in (*OTHERS, "http://cp.example.com/api")]

    for other in (*others, Namespace.of("T2", "https://cp.example.com/api")):
        assert not other.key("rotation", "r1").startswith(HERE.prefix)


def test_a_key_names_the_namespace_the_kind_and_what_it_is_of() -> None:
    assert HERE.key("audit") == f"keyturn:{HERE.name}:audit"
    assert HERE.key("rotation", "rabc123") == f"keyturn:{HERE.name}:rotation:rabc123"
    assert HERE.name.startswith("T1-")
