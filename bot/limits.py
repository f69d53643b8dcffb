"""The rules and limits that the settings give: what the service and the steps go by."""

from bot.rotation.people import Rules
from bot.settings import Settings
from bot.steps.world import Limits


def limits_of(settings: Settings) -> Limits:
    """Return the settings that the steps use."""
    return Limits(
        concurrency=settings.control_plane_concurrency,
        probes=settings.probes,
        create_grace=settings.create_grace,
        read_back=settings.read_back,
        projection=settings.projection_timeout,
        settle=settings.settle,
        verify=settings.verify_timeout,
        require_proof=settings.require_proof,
        waves=settings.waves,
        environment_order=settings.environment_order,
        soak=settings.soak,
        listen=settings.listen,
        look_interval=settings.look_interval,
        evidence_max_age=settings.evidence_max_age,
        watch=settings.watch,
        patience=settings.patience,
        mint_patience=settings.mint_patience,
        secret_expiry=settings.secret_expiry,
        approval_reminder=settings.approval_reminder,
        approval_expiry=settings.approval_expiry,
        after_expiry=settings.after_expiry,
        page_after=settings.page_after,
        stop_reminder=settings.stop_reminder,
        calendar=settings.calendar,
        revoke_within=settings.revoke_within,
        revoke_grace=settings.revoke_grace,
    )


def rules_of(settings: Settings) -> Rules:
    """Return the settings that say who may do what."""
    return Rules(
        requesters=settings.requesters,
        approvers=settings.approvers,
        approvals_required=settings.approvals_required,
        self_approval=settings.self_approval,
        click_max_age=settings.click_max_age,
        cards_per_person=settings.cards_per_person,
        cards_per_channel=settings.cards_per_channel,
        require_reason=settings.require_reason,
        ticket_pattern=settings.ticket_pattern,
        exposed_revoke_within=settings.exposed_revoke_within,
        revoke_within=settings.revoke_within,
        policies=settings.policies,
        escalation=settings.escalation,
        step_up=settings.approval_link is not None,
        secret_on_a_page=settings.is_secret_on_a_page,
        bulk_concurrency=settings.bulk_concurrency,
        one_approval_for_a_batch=settings.one_approval_for_a_batch,
        rotate_every=settings.rotate_every,
    )
