"""What people say of the credential that a rotation leaves working at its provider: revoked, or not needed."""

from functools import partial

from bot.rotation.actions import Action
from bot.rotation.policy import check_may_accept, check_may_steer, check_offered
from bot.rotation.record import Rotation
from bot.service.verbs import Verbs, audited, publishable


class Tasks(Verbs):
    """The buttons of a task; the rotation itself, which may be over, stays as it is."""

    @audited(Action.REVOKED)
    async def revoked(self, rotation_id: str, *, by: str) -> Rotation:
        """Note that the credential is revoked: Keyturn can't see that, so it takes the word of *by* for it."""
        what = "says that the credential is revoked"
        return await self._note(partial(self._may_end, rotation_id, by), partial(self._ended, by, ""), by, what)

    @audited(Action.NOT_NEEDED)
    async def offer_not_needed(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form that asks why, if *by* may decide that now."""
        return await self._opened(await self._may_waive(rotation_id, by), by, Action.NOT_NEEDED)

    @audited(Action.NOT_NEEDED)
    async def not_needed(self, rotation_id: str, reason: str, *, by: str) -> Rotation:
        """End the task without a revocation, for a *reason* that everybody can read."""
        await self._may_waive(rotation_id, by)
        reason, what = publishable(reason), "says that the credential need not be revoked"
        allowed, change = partial(self._may_waive, rotation_id, by), partial(self._ended, by, reason)
        return await self._note(allowed, change, by, what, reason)

    async def to_revoke(self, most: int) -> list[Rotation]:
        """Return up to *most* rotations whose credential is still to be revoked, the next due first."""
        return await self._store.revocations_due(most)

    async def _may_end(self, rotation_id: str, by: str) -> Rotation:
        rotation = await self.load(rotation_id)
        check_may_steer(rotation, await self._people.permissions(by))
        check_offered(rotation, Action.REVOKED)
        return rotation

    async def _may_waive(self, rotation_id: str, by: str) -> Rotation:
        rotation = self._people.strict(recorded := await self.load(rotation_id))
        permissions = await self._people.permissions(by, rotation.policy)
        check_may_accept(rotation, permissions, self_approval=rotation.self_approval)
        check_offered(rotation, Action.NOT_NEEDED)
        return recorded

    def _ended(self, by: str, reason: str, rotation: Rotation) -> Rotation:
        assert rotation.revocation is not None
        ended = rotation.revocation.but(ended_at=self._now(), ended_by=by, reason=reason)
        return rotation.but(revocation=ended)
