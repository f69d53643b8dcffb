"""TLS is verified everywhere: who cannot show a trusted certificate gets no token, no key and no secret."""

import ast
import json
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.aisix.client import trusted
from tests.support.encrypted import CERTIFICATE, Encrypted, encrypted
from tests.support.process import ran
from tests.support.stage import Stage

ROOT = Path(__file__).parents[2]
SAYS = "its certificate is not trusted"


def gateways(stage: Stage, url: str, status_urls: list[str]) -> str:
    """Return the setting with production alone, at *url*."""
    id_ = stage.aisix.environment("production").id
    known = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])[id_]
    return json.dumps({id_: known | {"url": url, "status_urls": status_urls}})


async def behind_tls(stage: Stage, stack: AsyncExitStack, name: str = "url") -> list[Encrypted]:
    """Put TLS before Slack, AISIX, a gateway and a replica; have the settings point there, by *name*."""
    known = json.loads(stage.aisix.settings()["AISIX_GATEWAYS"])[stage.aisix.environment("production").id]
    plain = [stage.slack.settings()["SLACK_API_URL"], stage.aisix.api_url, known["url"], known["status_urls"][0]]
    served = [await stack.enter_async_context(encrypted(url)) for url in plain]
    slack, control_plane, gateway, replica = (getattr(each, name) for each in served)
    stage.overrides |= {
        "SLACK_API_URL": slack,
        "AISIX_CLOUD_API": control_plane,
        "AISIX_GATEWAYS": gateways(stage, gateway, [replica]),
    }
    return served


@pytest.mark.parametrize("why", ["nobody vouches for it", "it is another server's"])
async def test_the_check_names_every_certificate_that_is_not_trusted(
    bare_stage: Stage, tmp_path: Path, why: str
) -> None:
    async with AsyncExitStack() as stack:
        served = await behind_tls(bare_stage, stack, "url" if why.startswith("nobody") else "by_number")
        trusted = {} if why.startswith("nobody") else {"SSL_CERT_FILE": str(CERTIFICATE)}

        status, said = await ran(bare_stage.environ | trusted, tmp_path, "check")

    lines = [line for line in said.splitlines() if line.startswith("WRONG")]
    assert status == 1
    assert len(lines) == 6, said
    assert all(SAYS in line for line in lines), said
    assert [each.reached for each in served] == [0, 0, 0, 0]
    assert bare_stage.aisix.calls == bare_stage.slack.calls == []


async def test_an_authority_of_ones_own_is_trusted_by_the_environment(bare_stage: Stage, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        served = await behind_tls(bare_stage, stack)
        status, said = await ran(bare_stage.environ | {"SSL_CERT_FILE": str(CERTIFICATE)}, tmp_path, "check")

    assert (status, "WRONG" in said) == (0, False), said
    assert all(each.reached for each in served)


async def test_a_redis_that_is_not_trusted_ends_the_bot_with_a_sentence(bare_stage: Stage, tmp_path: Path) -> None:
    async with encrypted("redis://127.0.0.1:1/0") as served:
        bare_stage.overrides["REDIS_URL"] = served.url
        status, said = await ran(bare_stage.environ, tmp_path)
        _, checked = await ran(bare_stage.environ, tmp_path, "check")
        reached = served.reached
        await ran(bare_stage.environ | {"SSL_CERT_FILE": str(CERTIFICATE)}, tmp_path, "check")

    assert status == 1
    assert (reached, served.reached > 0) == (0, True)
    assert said.startswith(f"Keyturn cannot start. REDIS_URL does not answer ({SAYS})")
    assert f"WRONG  Redis: REDIS_URL does not answer ({SAYS})" in checked


WHOM_TO_TRUST = {"verify", "ssl", "verify_ssl", "ssl_context", "ssl_check_hostname", "ssl_cert_reqs", "cert"}
"""Arguments by which a client is told whom to trust. Given are what httpx trusts by itself, and TLS to a Sentinel."""

THE_ONE = {"bot/aisix/client.py": {"verify"}, "bot/storage/connection.py": {"ssl"}}

ELSEWHERE = {"follow_redirects", "check_hostname", "verify_mode", "_create_unverified_context", "CERT_NONE"}
"""Names that take the verifying back, or carry a request on to somebody else."""


def looks_away(tree: ast.AST) -> set[str]:
    """Return what *tree* says to a client of whom to trust; the step `verify` has its limit, which is no client's."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) != "Limits"]
    given = {word.arg for call in calls for word in call.keywords if word.arg}
    given |= {
        str(key.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return given & (WHOM_TO_TRUST | ELSEWHERE) | named & ELSEWHERE


def test_no_client_turns_off_certificate_checks() -> None:
    files = sorted(file for folder in ("bot", "handlers") for file in (ROOT / folder).rglob("*.py"))
    found = {str(p.relative_to(ROOT)): looks_away(ast.parse(p.read_text(encoding="utf-8"))) for p in files}

    assert len(files) > 50
    assert {name: away for name, away in found.items() if away != THE_ONE.get(name, set())} == {}
    for code in (
        "httpx.AsyncClient(verify=False)",
        "http.get(url, ssl=False)",
        "context.check_hostname = False",
        '{"verify": False}',
    ):
        assert looks_away(ast.parse(code)), "it would be found"


def test_what_the_clients_share_verifies_certificates_and_names() -> None:
    shared = trusted()

    assert shared is trusted()
    assert shared.verify_mode is ssl.CERT_REQUIRED
    assert shared.check_hostname
