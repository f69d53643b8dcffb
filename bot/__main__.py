"""Run `keyturn` as `python -m bot`."""

import sys

if __name__ == "__main__":
    try:
        from bot.cli import entry
    except ModuleNotFoundError as missing:
        sys.exit(f"The package {missing.name} is not installed: run `make install`, then .venv/bin/python -m bot.")
    entry("python -m bot")
