"""Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, alike for every client."""

import pytest

from bot.proxies import proxy_for
from bot.settings import WrongSettings, read_settings
from handlers.connect import slack_client
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
    ],
)
def test_the_scheme_chooses_the_proxy(environ, url, proxy):
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "exempt", "others"),
    [
        ("*", ["http://a", "http://[::1]"], []),
        ("corp.example", ["http://corp.example", "http://a.corp.example:81"], ["http://notcorp.example", "http://a"]),
        (".svc, *.corp.example", ["http://a.svc", "http://b.corp.example"], ["http://a.svcs"]),
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
        ({"no_proxy": "[::1"}, "no_proxy has [::1, which is no host, address or range: "),
    ],
)
def test_a_variable_that_cannot_be_followed_ends_the_start_and_is_named(environ, said):
    with pytest.raises(WrongSettings) as wrong:
        read_settings(None, GOOD | environ)

    assert str(wrong.value).startswith(said)
    assert "CANARY" not in str(wrong.value)


@pytest.mark.parametrize(("no_proxy", "proxy"), [("slack.com", None), ("[::1],fd00::/8", PROXY)])
async def test_slack_is_asked_as_the_others_are(monkeypatch, no_proxy, proxy):
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    async with slack_client(read_settings(None, GOOD)) as slack:
        assert slack.proxy == proxy
