"""Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, alike for every client."""

import asyncio
import os

import pytest
from aiohttp import test_utils, web

from bot.proxies import proxy_for
from bot.settings import WrongSettings, read_settings
from handlers.answers import Answers, Asker
from handlers.connect import bolt_app, slack_client
from handlers.pressed import Absence
from handlers.socket import Socket
from tests.bot.test_settings import GOOD

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, "https://slack.com/api/", None),
        ({"HTTPS_PROXY": PROXY}, "https://slack.com/api/", PROXY),
        ({"HTTPS_PROXY": PROXY}, "http://gateway", None),
        ({"HTTP_PROXY": PROXY}, "http://gateway", PROXY),
        ({"ALL_PROXY": PROXY}, "http://gateway", PROXY),
        ({"https_proxy": "proxy:3128", "HTTPS_PROXY": "http://other"}, "https://slack.com", PROXY),
        ({"HTTPS_PROXY": ""}, "https://slack.com", None),
        ({"HTTPS_PROXY": PROXY}, "wss://wss-primary.slack.com/link", PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "slack.com:443"}, "wss://wss-primary.slack.com/link", None),
    ],
)
def test_the_scheme_chooses_the_proxy(environ, url, proxy):
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "exempt", "others"),
    [
        ("*", ["http://a", "http://[::1]"], []),
        ("corp.example", ["http://corp.example", "http://a.corp.example:81"], ["http://notcorp.example", "http://a"]),
        (".svc, *.corp.example.", ["http://a.svc", "http://b.corp.example"], ["http://a.svcs"]),
        ("10.0.0.0/8", ["http://10.1.2.3:9090"], ["http://11.1.2.3", "http://10.example"]),
        ("fd00::/8", ["http://[fd12::3]:9090"], ["http://[fe80::1]"]),
        ("[::1]", ["http://[::1]:80"], ["http://127.0.0.1"]),
        ("::1", ["http://[::1]:80"], ["http://[::2]"]),
        ("[::1]:90", ["http://[::1]:90"], ["http://[::1]:91"]),
        ("gateway:443", ["https://gateway"], ["http://gateway", "https://gateway:444"]),
        ("127.0.0.1,localhost", ["http://LOCALHOST:1", "http://127.0.0.1:2"], ["http://127.0.0.2"]),
    ],
)
def test_what_no_proxy_names_is_asked_directly(no_proxy, exempt, others):
    environ = {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}

    assert {url: proxy_for(url, environ) for url in exempt} == dict.fromkeys(exempt)
    assert {url: proxy_for(url, environ) for url in others} == dict.fromkeys(others, PROXY)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ALL_PROXY": "socks5://proxy"}, "ALL_PROXY is wrong: it should be the address of a proxy, http://host:port."),
        ({"https_proxy": "http://:CANARY@"}, "https_proxy is wrong: "),
        ({"HTTP_PROXY": "http://proxy:port"}, "HTTP_PROXY is wrong: "),
        ({"NO_PROXY": "a,10.0.0.0/99"}, "NO_PROXY has 10.0.0.0/99, which is no host, address or range: "),
        ({"NO_PROXY": "u:CANARY@a:x"}, "NO_PROXY has a:x, which is no host, address or range: "),
        ({"no_proxy": "[::1"}, "no_proxy has [::1, which is no host, address or range: "),
    ],
)
def test_a_variable_that_cannot_be_followed_ends_the_start_and_is_named(environ, said):
    with pytest.raises(WrongSettings) as wrong:
        read_settings(None, GOOD | environ)

    assert str(wrong.value).startswith(said)
    assert "CANARY" not in str(wrong.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_PROXY": PROXY, "https_proxy": PROXY, "ALL_PROXY": "socks5://proxy"},
        {"SSL_CERT_DIR": f"/nowhere{os.pathsep}/etc"},
    ],
)
def test_a_proxy_variable_without_effect_does_not_end_the_start(environ):
    assert read_settings(None, GOOD | environ)


async def test_an_answer_and_the_socket_go_where_no_proxy_says(monkeypatch):
    """To servers that are there, past a proxy that is not."""
    for name, value in {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    got, linked = list[str](), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        got.append(request.path)
        if request.path == "/link":
            linked.set()
        return web.json_response({"ok": True, "url": f"ws://127.0.0.1:{request.url.port}/link"})

    site = web.Application()
    site.router.add_route("*", "/{path:.*}", answer)
    async with test_utils.TestServer(site) as server:
        environ = GOOD | {"SLACK_API_URL": str(server.make_url("/api/"))}
        async with slack_client(read_settings(None, environ)) as slack, asyncio.timeout(120):
            await Answers(slack, 5).tell(Asker("", "", str(server.make_url("/respond"))), "words")
            socket = Socket(bolt_app(slack, {}), slack, "xapp-1", timeout=1, absence=Absence(lambda: 0.0))
            opening = asyncio.create_task(socket.open())
            await linked.wait()
            opening.cancel()
            await socket.close()

    assert got[:3] == ["/respond", "/api/apps.connections.open", "/link"]


@pytest.mark.parametrize(("no_proxy", "proxy"), [("slack.com", None), ("[::1],fd00::/8", PROXY)])
async def test_slack_is_reached_through_the_same_proxies(monkeypatch, no_proxy, proxy):
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    async with slack_client(read_settings(None, GOOD)) as slack:
        assert slack.proxy == proxy
