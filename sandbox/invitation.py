"""Format settings for a shell or a `.env` file."""

from collections.abc import Iterator, Mapping


def invitation(settings: Mapping[str, str]) -> str:
    """Return *settings* as `export` lines to paste into a shell."""
    return "\n".join(f"export {line}" for line in assignments(settings))


def env_file(settings: Mapping[str, str]) -> str:
    """Return *settings* as the content of a `.env` file."""
    return "".join(f"{line}\n" for line in assignments(settings))


def assignments(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield each setting in single quotes, so that neither reader expands it; no value contains one."""
    yield from (f"{name}='{value}'" for name, value in settings.items())
