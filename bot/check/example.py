"""Check that nothing is left of what `.env.example` has to be filled in: without a network, no other line tells."""

from collections.abc import Iterator

from bot.check.findings import Try, wrong
from bot.settings import Settings, StoreSettings
from bot.terminal import Finding

FIELDS = {
    name: field
    for name, field in Settings.model_fields.items()
    if field.examples and name not in StoreSettings.model_fields
}
EXAMPLE = Settings.model_validate({name: field.examples[0] for name, field in FIELDS.items() if field.examples})
CALLER_KEYS = [gateway.caller_key for gateway in EXAMPLE.aisix_gateways.values()]


def unfilled(settings: Settings) -> Try:
    """Return the try."""

    async def compare() -> list[Finding]:
        return [wrong(each) for each in _left(settings)]

    return Try("settings", ".env", compare)


def _left(settings: Settings) -> Iterator[str]:
    for name in FIELDS:
        if getattr(settings, name) == getattr(EXAMPLE, name):
            yield f"{name.upper()} is still that of .env.example: fill it in, as docs/install.md says."
    for id_, gateway in settings.aisix_gateways.items():
        if gateway.caller_key in CALLER_KEYS and id_ not in EXAMPLE.aisix_gateways:
            yield f"AISIX_GATEWAYS still has the caller_key of .env.example (at {id_}): write that of the gateway."
