"""The settings, read once from the environment and `.env`: all that is wrong is said at once, nothing is dropped."""

from bot.settings.declared import Settings, StoreSettings
from bot.settings.reading import WrongSettings, doubts, read_settings, read_store_settings
from bot.settings.sentinels import Sentinels, sentinels_in

__all__ = [
    "Sentinels",
    "Settings",
    "StoreSettings",
    "WrongSettings",
    "doubts",
    "read_settings",
    "read_store_settings",
    "sentinels_in",
]
