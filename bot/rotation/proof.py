"""What proves the new secret, of one model and of a rotation as a whole. Pure: the absence of failures is no proof."""

from bot.rotation.finding import Finding
from bot.rotation.record import Rotation


def is_enough(finding: Finding, *, require_proof: bool) -> bool:
    """Return whether the settings or an approver accept the verdict on a model."""
    verdict = finding.verdict
    if verdict is None or finding.is_accepted:
        return verdict is not None
    if verdict.skipped:
        return not require_proof
    return finding.is_proved or (verdict.passed and not require_proof)


def unproved(rotation: Rotation) -> str:
    """Say where nothing proves the new secret: no model there works with it, and nobody accepted one by name.

    Empty if every environment with affected models has a proof.
    """
    if not rotation.plan.models:
        return "No model uses this key, so nothing proves the new secret."
    whys = [why for environment in rotation.plan.environments if (why := _why(rotation, environment))]
    return f"{'; '.join(whys)}, so nothing proves the new secret there." if whys else ""


def is_accepted(rotation: Rotation) -> bool:
    """Return whether an approver has accepted exactly this: that nothing proves the new secret there."""
    return rotation.accepted is not None and rotation.accepted.of == unproved(rotation)


def _why(rotation: Rotation, environment: str) -> str:
    found = [rotation.finding(model) for model in rotation.plan.models if model.environment == environment]
    if not found or any(finding.is_accepted or _has_passed(finding) for finding in found):
        return ""
    name = rotation.plan.environments[environment].replace("`", "'")
    if all(finding.latest and finding.latest.skipped for finding in found):
        return f"No model in `{name}` is probed"
    return f"No model in `{name}` answers, neither before nor now"


def _has_passed(finding: Finding) -> bool:
    return finding.verdict is not None and finding.verdict.passed
