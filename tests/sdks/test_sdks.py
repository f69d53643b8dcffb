"""The providers' published SDKs call the sandbox's providers, and find nothing unknown, missing or of another type.

`make sdk-test` installs the SDKs, as `requirements-providers.lock` pins them.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from inspect import isawaitable
from typing import Any

import anthropic
import httpx
import openai
import openrouter
import pytest
from openrouter.errors import UnauthorizedResponseError
from pydantic import BaseModel

from sandbox.providers import Anthropic, OpenAI, OpenRouter, Switches
from sandbox.providers.openai import PROJECT

NOT_IN_THE_ANSWER = {"object": "list"}
"""OpenAI's lists say so, and the SDK's page does not know it."""


def complaints(typed: Any, told: Any, where: str = "") -> Iterator[str]:
    """Yield every field that an answer has and its type lacks, or the other way round."""
    if isinstance(typed, list | tuple):
        for number, (each, raw) in enumerate(zip(typed, told, strict=True)):
            yield from complaints(each, raw, f"{where}[{number}]")
    if not isinstance(typed, BaseModel):
        return
    fields = {field.alias or name: name for name, field in type(typed).model_fields.items()}
    yield from (f"{where}.{name} is unknown" for name in told.keys() - fields.keys())
    required = {alias for alias, name in fields.items() if type(typed).model_fields[name].is_required()}
    yield from (f"{where}.{name} is missing" for name in required - told.keys())
    for alias in fields.keys() & told.keys():
        yield from complaints(getattr(typed, fields[alias]), told[alias], f"{where}.{alias}")


def test_the_comparison_finds_what_is_unknown_and_what_is_missing():
    class Inner(BaseModel):
        a: int = 1
        b: int

    class Outer(BaseModel):
        rows: list[Inner]

    found = [*complaints(Outer(rows=[Inner(b=1)]), {"rows": [{"a": 1, "c": 2}], "d": 3})]
    assert found == [".d is unknown", ".rows[0].c is unknown", ".rows[0].b is missing"]


async def agreed(call: Any) -> Any:
    """Return what an SDK made of an answer, once it is all that the answer says."""
    answer = await call
    made = answer.parse()
    typed = await made if isawaitable(made) else made
    assert isinstance(typed, BaseModel)
    told = {name: value for name, value in answer.http_response.json().items() if not is_of_a_list(name, value)}
    assert not [*complaints(typed, told)]
    return typed


def is_of_a_list(name: str, value: Any) -> bool:
    return NOT_IN_THE_ANSWER.get(name) == value or name == "first_id"


def openai_of(provider: OpenAI, **keys: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=provider.base_url, _strict_response_validation=True, **keys)


async def test_openais_sdk_agrees_with_every_answer():
    async with AsyncExitStack() as stack, OpenAI() as provider:
        client = await stack.enter_async_context(openai_of(provider, admin_api_key=provider.admin_key))
        organization = client.admin.organization.with_raw_response
        projects, usage = organization.projects, organization.usage
        accounts, keys = projects.service_accounts, projects.api_keys
        made = await agreed(accounts.create(PROJECT, name="keyturn-abc-1", expires_in_seconds=3600))
        more = await agreed(accounts.api_keys.create(made.id, project_id=PROJECT, name="second", scopes=["api.all"]))
        provider.used(more.value, "gpt-4o")
        by_hand = provider.by_hand("by hand")

        await agreed(projects.list())
        await agreed(accounts.list(PROJECT))
        await agreed(accounts.retrieve(made.id, project_id=PROJECT))
        listed = await agreed(keys.list(PROJECT, owner_project_access="any"))
        await agreed(keys.retrieve(by_hand.id, project_id=PROJECT))
        await agreed(keys.update(more.id, project_id=PROJECT, scopes=["api.all.read"]))
        used = await agreed(usage.completions(start_time=int(provider.now()) - 60, api_key_ids=[more.id]))
        await agreed(keys.delete(more.id, project_id=PROJECT))
        await agreed(accounts.delete(made.id, project_id=PROJECT))
        owner, former = [openai_of(provider, api_key=secret) for secret in (by_hand.secret, more.value)]
        models = await (await stack.enter_async_context(owner)).models.list()
        with pytest.raises(openai.AuthenticationError) as refused:
            await (await stack.enter_async_context(former)).models.list()

    assert {row.name for row in listed.data} == {"Secret Key", "second", "by hand"}
    assert [result.api_key_id for bucket in used.data for result in bucket.results] == [more.id]
    assert (models.data[0].id, refused.value.code) == ("gpt-4o", "invalid_api_key")


def anthropic_of(provider: Anthropic, key: str) -> anthropic.AsyncAnthropic:
    url = provider.base_url.removesuffix("/v1")
    return anthropic.AsyncAnthropic(api_key=key, base_url=url, _strict_response_validation=True)


async def test_anthropics_sdk_agrees_with_every_answer():
    async with AsyncExitStack() as stack, Anthropic(Switches(most_active=1)) as provider:
        client = await stack.enter_async_context(anthropic_of(provider, provider.admin_key))
        keys = client.organization.with_raw_response.api_keys
        first, second = provider.by_hand("first"), provider.by_hand("second")

        await agreed(keys.list(status="active", limit=1))
        await agreed(keys.retrieve(first.id))
        await agreed(keys.update(first.id, status="inactive"))
        with pytest.raises(anthropic.BadRequestError) as limited:
            await agreed(keys.update(first.id, status="active"))
        await agreed(keys.update(second.id, status="archived"))
        await agreed(keys.update(first.id, status="active"))
        owner, former = [anthropic_of(provider, key.secret) for key in (first, second)]
        models = await (await stack.enter_async_context(owner)).models.list()
        with pytest.raises(anthropic.AuthenticationError):
            await (await stack.enter_async_context(former)).models.list()

    assert "workspace_api_key_limit_exceeded" in str(limited.value)
    assert models.data[0].id == "claude-sonnet-4-5"


@pytest.mark.filterwarnings("ignore:warning:DeprecationWarning")  # of a field that the SDK itself fills
async def test_openrouters_sdk_agrees_with_every_answer():
    seen: list[httpx.Response] = []

    async def see(response: httpx.Response) -> None:
        await response.aread()
        seen.append(response)

    async with OpenRouter() as provider, httpx.AsyncClient(event_hooks={"response": [see]}) as http:
        given = {"server_url": provider.base_url, "async_client": http}
        keys = openrouter.OpenRouter(api_key=provider.admin_key, **given).api_keys

        async def checked(call: Any) -> Any:
            typed = await call
            assert not [*complaints(typed, seen[-1].json())]
            return typed

        made = await checked(keys.create_async(name="keyturn-abc-1", limit=5))
        own = openrouter.OpenRouter(api_key=made.key, **given).api_keys
        provider.used(made.key, "gpt-4o")
        await checked(own.get_current_key_metadata_async())
        await checked(keys.get_async(hash=made.data.hash))
        await checked(keys.update_async(hash=made.data.hash, disabled=True))
        listed = await checked(keys.list_async(include_disabled=True))
        with pytest.raises(UnauthorizedResponseError):
            await own.get_current_key_metadata_async()
        await checked(keys.delete_async(hash=made.data.hash))

    assert [(row.name, row.disabled, row.last_used_at is None) for row in listed.data] == [
        ("keyturn-abc-1", True, False)
    ]
