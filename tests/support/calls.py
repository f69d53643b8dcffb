"""A client whose answers a test gives, in place of a service."""

from collections.abc import Callable
from typing import Any

import httpx

Answer = tuple[int, Any] | httpx.HTTPError
Given = Callable[[httpx.Request], Answer]


class Served:
    """Makes clients for `Calls`; answers by *given*: JSON or a text with its status, or an error of the line."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self.asked: list[httpx.Request] = []

    def __call__(self, _: object, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer), **options)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._given(request)
        if isinstance(answer, httpx.HTTPError):
            raise answer
        status, told = answer
        return httpx.Response(status, text=told) if isinstance(told, str) else httpx.Response(status, json=told)

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.asked]


def by_line(answers: dict[str, Answer]) -> Served:
    """Answer by "METHOD address"; anything else is a 404."""
    return Served(lambda request: answers.get(f"{request.method} {request.url}", (404, {"errors": []})))
