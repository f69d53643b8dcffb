"""A browser as far as the page of an approval needs one: cookies by host, redirects, and the one form of a page."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urljoin, urlsplit

import aiohttp

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)" ?/?>')


@dataclass
class Shown:
    """What a browser shows: where it is, the status and headers of that, and the page."""

    url: str
    status: int
    headers: dict[str, str]
    page: str

    @property
    def action(self) -> str:
        """Where its form goes; empty if that is its own address."""
        found = re.search(r'<form[^>]* action="([^"]+)"', self.page)
        return html.unescape(found[1]) if found else ""

    @property
    def fields(self) -> dict[str, str]:
        """The hidden fields of its form."""
        return {name: html.unescape(value) for name, value in HIDDEN.findall(self.page)}


@dataclass
class Browser:
    """One person's browser, without a script."""

    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)
    """Each as the server wrote it."""

    async def open(self, url: str, *, follow: int = 8) -> Shown:
        """Open an address, and follow up to so many redirects."""
        shown = await self._ask("GET", url)
        for _ in range(follow):
            if "Location" not in shown.headers:
                break
            shown = await self._ask("GET", urljoin(shown.url, shown.headers["Location"]))
        return shown

    async def send(self, shown: Shown, headers: dict[str, str] | None = None, **fields: str) -> Shown:
        """Send the form of a page, with what a person filled in."""
        return await self._ask("POST", urljoin(shown.url, shown.action), shown.fields | fields, headers)

    async def sign_in(self, shown: Shown, name: str) -> Shown:
        """Fill in a provider's forms as *name*, and follow where they lead."""
        for _ in range(4):
            if 'name="login"' not in shown.page and 'name="prompt"' not in shown.page:
                break
            typed: dict[str, str] = {"login": name, "password": "any"} if 'name="login"' in shown.page else {}
            sent = await self.send(shown, None, **typed)
            shown = await self.open(urljoin(sent.url, sent.headers["Location"]))
        return shown

    async def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> Shown:
        place = urlsplit(url).netloc
        jar = self.cookies.setdefault(place, {})
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(method, url, data=form, headers=sent | (headers or {}), allow_redirects=False) as answer,
        ):
            for written in answer.headers.getall("Set-Cookie", []):
                self.set_cookies.append(written)
                for name, cookie in SimpleCookie(written).items():
                    jar[name] = cookie.value
                    if cookie["max-age"] == "0" or not cookie.value:
                        del jar[name]
            return Shown(url, answer.status, dict(answer.headers), await answer.text())
