"""People's permissions at this moment, from Slack and the settings; Keyturn asks at each use and stores nothing."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from bot.rotation.errors import NotAllowed, Unanswerable
from bot.rotation.frozen import Frozen
from bot.rotation.plan import Plan
from bot.rotation.policies import ASKS_NOTHING, NamedPolicy, Policy, asked_of, strictest
from bot.rotation.policy import Permissions, Person, check_may_request, check_member, lapse
from bot.rotation.record import Approval, Rotation, Void
from bot.rotation.ticket import TicketPattern


class Directory(Protocol):
    """Slack's view of people. Raises `Unanswerable` if Slack can't tell."""

    async def person(self, user_id: str) -> Person:
        """Return a member."""

    async def members(self, group_id: str) -> frozenset[str]:
        """Return the present members of a user group."""

    async def recent(self, group_id: str) -> frozenset[str] | None:
        """Return its members of a moment ago, if known: enough to refuse somebody, never to let somebody approve."""


NO_SLACK = "This process does not talk to Slack."


class NoDirectory:
    """The directory of a process without Slack: it can't confirm any approval, so none counts."""

    async def person(self, _: str) -> Person:
        """Refuse."""
        raise Unanswerable(NO_SLACK)

    async def members(self, _: str) -> frozenset[str]:
        """Refuse."""
        raise Unanswerable(NO_SLACK)

    async def recent(self, _: str) -> None:
        """Return None: nothing is known."""


class Once:
    """A directory that asks another one only once for each person and group, because of Slack's rate limits."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._people: dict[str, Person] = {}
        self._groups: dict[str, frozenset[str]] = {}

    async def person(self, user_id: str) -> Person:
        """Return a member."""
        if user_id not in self._people:
            self._people[user_id] = await self._directory.person(user_id)
        return self._people[user_id]

    async def members(self, group_id: str) -> frozenset[str]:
        """Return the members of a user group."""
        if group_id not in self._groups:
            self._groups[group_id] = await self._directory.members(group_id)
        return self._groups[group_id]

    async def recent(self, group_id: str) -> frozenset[str] | None:
        """Return what the other directory knows."""
        return await self._directory.recent(group_id)


class Rules(Frozen):
    """The settings' rules on who may do what."""

    requesters: frozenset[str] | None
    approvers: frozenset[str]
    approvals_required: int
    self_approval: bool
    click_max_age: timedelta
    cards_per_person: int
    cards_per_channel: int
    require_reason: bool
    ticket_pattern: TicketPattern | None
    """What a ticket has to look like."""
    revoke_within: timedelta
    policies: tuple[NamedPolicy, ...]
    step_up: bool
    """Whether an approver's word counts only with a sign-in at the company's provider."""
    secret_on_a_page: bool
    """Whether the new secret is given on Keyturn's page, and not in Slack's form."""
    bulk_concurrency: int
    one_approval_for_a_batch: bool
    rotate_every: timedelta | None
    """How old a key may get before it is listed."""
    exposed_revoke_within: timedelta

    escalation: frozenset[str]


class People:
    """What people may do now. Raises `Unanswerable` if Slack can't tell."""

    def __init__(self, directory: Directory, rules: Rules) -> None:
        self._directory = directory
        self._rules = rules

    async def permissions(self, person_id: str, policy: Policy = ASKS_NOTHING, *, afresh: bool = False) -> Permissions:
        """Return a person with their permissions under a *policy*; *afresh*, by no list of a moment ago."""
        person = await self._directory.person(person_id)
        requesters = self._rules.requesters
        approver = True
        for group in self._approvers(policy):
            approver = approver and await self._is_among(person_id, group, afresh=afresh)
        return Permissions(
            person=person,
            may_request=requesters is None or await self._is_among(person_id, requesters),
            approver=approver,
        )

    def _approvers(self, policy: Policy) -> tuple[Iterable[str], ...]:
        """Return the groups of which an approver must be among each."""
        return (self._rules.approvers, *policy.approvers)

    def policy_of(self, plan: Plan) -> Policy:
        """Return what today's settings ask of a rotation with this plan."""
        return asked_of(plan, self._rules.policies)

    def left_behind(self, plan: Plan, name: str) -> Policy:
        """Return the policies that hold for the old key by its name, and would not for one called *name*."""
        renamed = plan.but(old_key=plan.old_key.but(display_name=name))
        return strictest(
            policy.asks for policy in self._rules.policies if policy.touches(plan) and not policy.touches(renamed)
        )

    async def paged(self, person_id: str, policy: Policy = ASKS_NOTHING) -> Permissions:
        """Return a person with their permissions, and whether a page may go to them."""
        known = await self.permissions(person_id, policy)
        return known.but(escalated=await self._is_among(person_id, self._rules.escalation))

    async def _is_among(self, person_id: str, ids: Iterable[str], *, afresh: bool = False) -> bool:
        if person_id in ids:
            return True
        for group in sorted(i for i in ids if i.startswith("S")):
            recent = None if afresh else await self._directory.recent(group)
            may_be_in = recent is None or person_id in recent
            if may_be_in and person_id in await self._directory.members(group):
                return True
        return False

    async def check_may_begin(self, person_id: str, policy: Policy = ASKS_NOTHING) -> Person:
        """Return a person who may begin; refuse one who may not ask, or whose rotation too few people could approve."""
        people = People(Once(self._directory), self._rules)
        permissions = await people.permissions(person_id)
        check_may_request(permissions)
        needed, whom, many = self._needed(policy)
        other = "" if self._rules.self_approval else person_id
        able = len(await people.able(needed, policy, without=other))
        if able < needed:
            raise NotAllowed(
                f"{able or 'Nobody'} of the people in {whom} can approve what you ask for, and {many} "
                f"is {needed}{', with SELF_APPROVAL off' if other else ''}. So Keyturn did not begin. "
                "Have the settings changed first."
            )
        return permissions.person

    def _needed(self, policy: Policy) -> tuple[int, str, str]:
        """Return how many must be able to approve, and which settings say who and how many."""
        needed = max(self._rules.approvals_required, policy.approvals)
        if not policy.names:
            return needed, "APPROVERS", "APPROVALS_REQUIRED"
        return needed, f"APPROVERS and {policy.title}", "the number of approvals"

    async def shortage(self, policy: Policy = ASKS_NOTHING) -> str:
        """Say why nobody's rotation under a *policy* could be approved; empty if somebody's could."""
        people = People(Once(self._directory), self._rules)
        needed, whom, many = self._needed(policy)
        able = await people.able(needed + 1, policy)
        if len(able) < needed:
            return (
                f"{len(able) or 'nobody'} of the people in {whom} can approve, and {many} is {needed}: "
                "guests, bots, deactivated accounts and other workspaces do not count."
            )
        asking = await people.named(self._rules.requesters or frozenset())
        if len(able) == needed and asking and asking <= {*able} and not self._rules.self_approval:
            return (
                f"{many} is {needed}, and everybody in REQUESTERS is among the only {needed} in {whom} "
                "who can approve: nobody may approve what they asked for (SELF_APPROVAL)."
            )
        return ""

    async def able(self, enough: int, policy: Policy = ASKS_NOTHING, *, without: str = "") -> tuple[str, ...]:
        """Return up to *enough* people who can approve now under a *policy*; the search stops there."""
        found: list[str] = []
        groups = [await self.named(group) for group in self._approvers(policy)]
        for person_id in sorted(frozenset.intersection(*groups) - {without}):
            if len(found) < enough and await self._is_member(person_id):
                found.append(person_id)
        return tuple(found)

    async def escalated(self) -> frozenset[str]:
        """Return whom a second page goes to as well."""
        return await self.named(self._rules.escalation)

    async def named(self, ids: Iterable[str]) -> frozenset[str]:
        """Return the people behind *ids*, which are those of people and of groups, as of a moment ago."""
        groups = [await self._lately_in(id_) for id_ in sorted(ids) if id_.startswith("S")]
        return frozenset(id_ for id_ in ids if not id_.startswith("S")).union(*groups)

    async def _lately_in(self, group: str) -> frozenset[str]:
        recent = await self._directory.recent(group)
        return await self._directory.members(group) if recent is None else recent

    async def _is_member(self, person_id: str) -> bool:
        try:
            check_member(await self._directory.person(person_id))
        except NotAllowed:
            return False
        return True

    def strict(self, rotation: Rotation) -> Rotation:
        """Return *rotation* under the stricter of its own rules and today's."""
        policy = self.governed(rotation).policy
        return rotation.but(
            policy=policy,
            approvals_required=max(rotation.approvals_required, self._rules.approvals_required, policy.approvals),
            self_approval=rotation.self_approval and self._rules.self_approval,
        )

    def governed(self, rotation: Rotation) -> Rotation:
        """Return *rotation* under the stricter of its policy and today's for its plan; its approvals stay."""
        policy = strictest((rotation.policy, self.policy_of(rotation.plan)))
        if policy == rotation.policy:
            return rotation
        needed = 0 if rotation.approvals else policy.approvals  # else `reviewed` tells them
        return rotation.but(policy=policy, approvals_required=max(rotation.approvals_required, needed))

    async def reviewed(self, rotation: Rotation, now: datetime) -> Rotation:
        """Return *rotation* under today's rules, without the approvals that those people could no longer give."""
        strict = self.strict(rotation)
        whys = {
            approval.by: self._outdated(approval, strict.policy) or await self._lapse(strict, approval)
            for approval in strict.approvals
        }
        gone = tuple(by for by, why in whys.items() if why)
        changes = tuple(whys[by] for by in gone)
        if rotation.approvals and strict.approvals_required > rotation.approvals_required:
            changes = (*changes, f"The settings ask for {strict.approvals_required} approvals now.")
        kept = tuple(approval for approval in strict.approvals if approval.by not in gone)
        voids = (Void(by=gone, at=now, changes=changes, lapsed=True),) if changes else ()
        return strict.but(approvals=kept, voids=(*strict.voids, *voids))

    async def started(self, rotation: Rotation) -> Rotation:
        """Return *rotation* under today's rules, without the starts that those people could no longer give."""
        strict = self.strict(rotation)
        whys = {
            start.by: self._outdated(start, strict.policy) or await self._lapse(strict, start)
            for start in strict.starts
        }
        note = next((f"The start approval no longer counts. {why}" for why in whys.values() if why), None)
        return strict.but(
            starts=tuple(start for start in strict.starts if not whys[start.by]), note=note or strict.note
        )

    def _outdated(self, approval: Approval, policy: Policy) -> str:
        """Say which rule on how to approve has come since; empty if none has."""
        if self._rules.step_up and not approval.signed_in:
            return "The settings (APPROVAL_LINK) ask for a sign-in now, and this approval was given without one."
        if approval.for_a_batch and (policy.own_approval or not self._rules.one_approval_for_a_batch):
            return "The settings ask for an approval on this card now, and this one was given for a whole batch."
        return ""

    async def _lapse(self, rotation: Rotation, approval: Approval) -> str:
        try:
            # afresh: another process may have let them in
            permissions = await self.permissions(approval.by, rotation.policy, afresh=True)
        except NotAllowed:
            return "Slack finds no such member."
        return lapse(rotation, permissions, self_approval=rotation.self_approval)


NOBODY = People(
    NoDirectory(),
    Rules(
        requesters=None,
        approvers=frozenset(),
        approvals_required=1,
        self_approval=False,
        click_max_age=timedelta(0),
        cards_per_person=0,
        cards_per_channel=0,
        require_reason=False,
        ticket_pattern=None,
        escalation=frozenset(),
        exposed_revoke_within=timedelta(0),
        revoke_within=timedelta(0),
        policies=(),
        step_up=False,
        secret_on_a_page=False,
        bulk_concurrency=1,
        one_approval_for_a_batch=False,
        rotate_every=None,
    ),
)
"""The people of a process without Slack: it can confirm nobody's permissions."""
