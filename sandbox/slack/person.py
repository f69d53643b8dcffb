"""A person in Slack: what they can do, and what only they see."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from sandbox.slack import finding, forms, payloads, reading
from sandbox.slack.answers import show_command_answer, take_submission_answer
from sandbox.slack.delivery import Ack
from sandbox.slack.elements import check_options
from sandbox.slack.payloads import Place
from sandbox.slack.results import Answer, Press, Result, Submission
from sandbox.slack.site import Site
from sandbox.slack.world import Channel, Message, User

Json = dict[str, Any]
Where = Message | Json | None
Deliver = Callable[[str, Json], Awaitable[Ack]]


class Person:
    """Acts as one user; their screen outlives this object."""

    def __init__(self, site: Site, user: User, deliver: Deliver) -> None:
        self.user = user
        self.id = user.id
        self._site = site
        self._deliver = deliver

    @property
    def modal(self) -> Json | None:
        """The view on top of this person's stack."""
        stack = self._site.views.stack(self.id)
        return stack[-1] if stack else None

    @property
    def home(self) -> Json | None:
        """This person's home tab of the app."""
        return self._site.views.homes.get(self.id)

    @property
    def ephemerals(self) -> list[Json]:
        """Every ephemeral message of this person, newest last."""
        return self._site.ephemerals.setdefault(self.id, [])

    async def command(self, text: str = "", channel: str = "C_OPS", command: str = "/rotate-key") -> Answer:
        """Type a slash command and wait for its acknowledgement."""
        payload = payloads.command(self._site, self.user, self._channel(channel), command, text)
        said = {"user": self.id, "command": command, "text": text, "channel": channel}
        self._site.changes.announce("command", said)
        ack = await self._deliver("slash_commands", payload)
        answer = Answer(error=ack.error, payload=payload)
        if ack.error:
            self._trouble(f'{command} failed with the error "{ack.error}"', channel)
        else:
            answer.text, answer.blocks = show_command_answer(self._site, payload, ack.body)
        return answer

    async def open_home(self) -> Result:
        """Open the app's Home, which shows what was published for this person before."""
        ack = await self._deliver("events_api", payloads.home_opened(self._site, self.user, self.home))
        return Result(error=ack.error)

    async def shortcut(self, callback_id: str, on: Message | None = None) -> Result:
        """Use a shortcut of the app, a global one or one *on* a message; Slack hides both from other companies."""
        if on is not None:
            self._channel(on.channel)
        payload = (
            payloads.message_shortcut(self._site, self.user, callback_id, on)
            if on is not None
            else payloads.shortcut(self._site, self.user, callback_id)
        )
        ack = await self._deliver("interactive", payload)
        if ack.error:
            self._trouble("That shortcut did not work.", on.channel if on else None)
        return Result(error=ack.error, payload=payload)

    async def click(
        self,
        label: str,
        where: Where = None,
        *,
        confirm: bool = True,
        value: str | None = None,
        row: str | None = None,
        stale: bool = False,
    ) -> Press:
        """Press a button by its label, in a message, an ephemeral message or the open modal.

        Without *confirm*, the person declines the dialog. *value*, or the block id of its *row*, distinguishes equal
        labels. *stale* also finds a button of an earlier version of the message, as an outdated client shows it.
        """
        place = self._place(where)
        earlier = [blocks for _text, blocks in reversed(where.edits)] if stale and isinstance(where, Message) else []
        block, element = finding.button([place.blocks, *earlier], label, value, row)
        press = Press(button=label, confirm=finding.dialog(element))
        if press.confirm and not confirm:
            return press
        what = {"user": self.id, "button": label, "where": where, "confirm": press.confirm}
        self._site.changes.announce("click", what)
        action = {"type": "button", "text": element["text"]} | finding.ids(block, element)
        if "value" in element:
            action["value"] = element["value"]
        return await self._send(press, place, action)

    async def type_ahead(self, query: str, action_id: str | None = None, where: Where = None) -> list[tuple[str, str]]:
        """Type into an external select, and return the texts and values of its options."""
        return [(o["text"]["text"], o["value"]) for o in await self.suggestions(query, action_id, where)]

    async def suggestions(self, query: str, action_id: str | None = None, where: Where = None) -> list[Json]:
        """Type into an external select, and return its options."""
        place = self._place(where)
        block, element = finding.external(place.blocks, action_id)
        return await self._suggested(place, block, element, query)

    async def choose(self, text: str, where: Where = None, action_id: str | None = None) -> Press:
        """Pick an option by its text; outside an input block, the app is told at once."""
        place = self._place(where)
        block, element, option = await self._picked(place, text, action_id)
        if element["type"] != "overflow":
            forms.put(place.values, block, element, option)
        press = Press(button=text, confirm=finding.dialog(element))
        if block["type"] == "input" and not block.get("dispatch_action"):
            return press
        self._site.changes.announce("choose", {"user": self.id, "option": text, "where": where})
        action = {"type": element["type"], "selected_option": option} | finding.ids(block, element)
        return await self._send(press, place, action)

    async def fill(self, values: dict[str, Any]) -> None:
        """Type into the fields of the open modal, each named by its label, block_id or action_id."""
        place = self._place(None)
        for name, value in values.items():
            block, element = forms.field_named(place.blocks, name)
            forms.put(place.values, block, element, await self._typed(place, block, element, value))
        self._site.changes.announce("fill", {"user": self.id, "fields": list(values)})

    async def submit(self, values: dict[str, Any] | None = None) -> Submission:
        """Fill in and submit the open modal; raise ValueError if Slack's client would not submit it."""
        await self.fill(values or {})
        view = self._open_view()
        if not view["submit"]:
            raise LookupError("This modal has no button to send it.")
        forms.check(view["blocks"], view["state"]["values"])
        payload = payloads.submission(self._site, self.user, view)
        self._site.changes.announce("submit", {"user": self.id, "view": view})
        ack = await self._deliver("interactive", payload)
        sent = Submission(error=ack.error, payload=payload)
        if ack.error is None:
            sent.errors, sent.error = take_submission_answer(self._site, self.id, view["id"], ack.body)
        if sent.error:
            self._trouble("We had some trouble connecting. Try again?", None)
        sent.closed = all(each["id"] != payload["view"]["id"] for each in self._site.views.stack(self.id))
        return sent

    async def close_modal(self, *, whole_stack: bool = False) -> None:
        """Close the open modal; tell the app if it asked for that."""
        view = self._open_view()
        stack = self._site.views.stack(self.id)
        gone = list(reversed(stack)) if whole_stack or view["clear_on_close"] else [view]
        self._site.views.stacks[self.id] = [each for each in stack if each not in gone]
        self._site.changes.announce("modal_closed", {"user": self.id, "view": view})
        for each in gone:
            if each["notify_on_close"]:
                await self._deliver("interactive", payloads.closing(self.user, each, cleared=whole_stack))

    def _channel(self, channel_id: str) -> Channel:
        """Return a channel that this person sees; their own direct messages always exist."""
        if channel_id == f"D_{self.id}":
            return self._site.world.direct_channel(self.id)
        channel = self._site.world.channels.get(channel_id)
        if channel is None or self.id not in channel.members:
            raise LookupError(f"{self.id} is in no channel {channel_id}.")
        return channel

    def _open_view(self) -> Json:
        if self.modal is None:
            raise LookupError(f"{self.id} has no modal open.")
        return self.modal

    def _place(self, where: Where) -> Place:
        if isinstance(where, Message):
            self._channel(where.channel)
            if where.deleted:
                raise LookupError("That message is gone.")
            return payloads.in_message(self._site, self.user, where)
        if where is not None and "ts" in where:
            return payloads.in_ephemeral(self._site, self.user, where)
        return payloads.in_view(where or self._open_view())

    async def _send(self, press: Press, place: Place, action: Json) -> Press:
        press.payload = payloads.press(self._site, self.user, place, action)
        press.sent = True
        ack = await self._deliver("interactive", press.payload)
        press.error = ack.error
        if ack.error:
            self._trouble(f'This action failed with the error "{ack.error}"', place.channel)
        return press

    def _trouble(self, text: str, channel: str | None) -> None:
        self._site.whisper(self.id, text, channel=channel)

    async def _typed(self, place: Place, block: Json, element: Json, value: Any) -> Any:
        if forms.key(element) == "selected_option":
            return await self._option(place, block, element, value) if value else None
        if forms.key(element) == "selected_options":
            return [await self._option(place, block, element, each) for each in value]
        if forms.key(element) == "selected_conversation":
            return self._offered_channel(element, value)
        return value or None

    def _offered_channel(self, element: Json, channel_id: str) -> str:
        """Return a channel that this menu offers to this person."""
        channel = self._channel(channel_id)
        if channel.shared and element.get("filter", {}).get("exclude_external_shared_channels"):
            raise LookupError(f"This menu has no channel that is shared with others, as {channel_id}.")
        return channel.id

    async def _picked(self, place: Place, text: str, action_id: str | None) -> tuple[Json, Json, Json]:
        """Return the first select, or the one with *action_id*, that offers this text."""
        tried: list[str] = []
        for block, element in reading.elements(place.blocks):
            if element["type"] == "button" or action_id not in (None, element["action_id"]):
                continue
            try:
                return block, element, await self._option(place, block, element, text)
            except LookupError as error:
                tried.append(str(error))
        raise LookupError(" ".join(tried) or "There is nothing to choose from here.")

    async def _option(self, place: Place, block: Json, element: Json, text: str) -> Json:
        if not element["type"].endswith("external_select"):
            return forms.option_named(text, forms.options(element))
        shown = self._site.offered.get((self.id, block["block_id"], element["action_id"]), [])
        with suppress(LookupError):
            return forms.option_named(text, shown)
        return forms.option_named(text, await self._suggested(place, block, element, text))

    async def _suggested(self, place: Place, block: Json, element: Json, query: str) -> list[Json]:
        if len(query) < element.get("min_query_length", 3):
            return []
        ids = {"action_id": element["action_id"], "block_id": block["block_id"], "value": query}
        ack = await self._deliver("interactive", payloads.interaction("block_suggestion", self.user, place, **ids))
        shown = self._site.offered[self.id, block["block_id"], element["action_id"]] = self._readable(query, ack)
        return shown

    def _readable(self, query: str, ack: Ack) -> list[Json]:
        """Return the options in an answer to a type-ahead; none if Slack could not show all of them."""
        problems = [ack.error] if ack.error else check_options(ack.body)
        if problems:
            self._site.complain(f"Type-ahead {query!r} shows nothing: {'; '.join(problems)}")
            return []
        return forms.options(ack.body)
