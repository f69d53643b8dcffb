"""Settings as lines that a shell or a `.env` file takes."""

from collections.abc import Iterator, Mapping


def invitation(settings: Mapping[str, str]) -> str:
    """Return *settings* as `export` lines to paste into a shell."""
    return "\n".join(f"export {line}" for line in assignments(settings))


def env_file(settings: Mapping[str, str]) -> str:
    """Return *settings* as the content of a `.env` file."""
    return "".join(f"{line}\n" for line in assignments(settings))


def assignments(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield each setting in single quotes, in which neither reader looks for anything; no value holds one."""
    yield from (f"{name}='{value}'" for name, value in settings.items())
