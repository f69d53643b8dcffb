"""The door: `python -m bot` is `keyturn`."""

from bot.cli import entry

if __name__ == "__main__":
    entry("python -m bot")
