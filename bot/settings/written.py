"""What `.env` and the environment say: the values of settings, and a sentence for everything that would be dropped."""

import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import Binding, parse_stream
from dotenv.variables import Variable, parse_variables

QUOTED_JSON = re.compile(r'\s*(?:export\s+)?(\w+)\s*=\s*"(\{.*\})"\s*')
"""A line with JSON in double quotes that are not escaped: the quotes can only be the value's own."""

QUOTES = ("'", '"')
DIGIT = re.compile(r"\d")


class Written(NamedTuple):
    """Values by setting, in capitals, and what is wrong with how they are written."""

    values: dict[str, str]
    problems: tuple[str, ...] = ()
    is_read: bool = True
    """False if there is a file and nothing in it could be read: what it sets is not missing."""


def written(known: Collection[str], file: Path | None, environ: Mapping[str, str]) -> Written:
    """Read the settings in *known*; the environment wins over *file*, which need not exist."""
    here = {name.upper(): value for name, value in environ.items()}
    there = read_file(file, known, here) if file else Written({})
    twice = sorted(name for name, many in Counter(map(str.upper, environ)).items() if many > 1 and name in known)
    problems = (
        *there.problems,
        *map(_twice, twice),
        *(_misspelt(name, near) for name, near in _slips(here, known) if near not in GENERIC),
    )
    values = _filled_in(there.values, known) | _filled_in(here, known)
    return Written(values, problems, is_read=there.is_read)


def _twice(name: str) -> str:
    return f"{name} is set twice in the environment, in capitals and in small letters: keep one."


def _filled_in(values: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Return the settings that are not empty: `REQUIRE_PROOF=` in the environment hides no `true` in the file."""
    return {name: bare for name, value in values.items() if name in known and (bare := plain(value))}


def plain(value: str) -> str:
    """Return a value without blanks or one pair of quotes around it: `docker --env-file` keeps the quotes."""
    value = value.strip()
    return value[1:-1].strip() if len(value) > 1 and value[0] == value[-1] and value[0] in QUOTES else value


def read_file(file: Path, known: Collection[str], environ: Mapping[str, str]) -> Written:
    """Read a file of settings, with what can't be read or would be dropped."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return Written({})
    except OSError as error:
        said = f"{file} can't be read ({error.strerror}): let the user that Keyturn runs as read it."
        return Written({}, (said,), is_read=False)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Written({}, (_no_utf_8(raw, error.start, file),), is_read=False)
    if "\0" in text:
        return Written({}, (_no_utf_8(raw, raw.index(b"\0"), file),), is_read=False)
    lines = [_corrected(binding) for binding in parse_stream(io.StringIO(text))]
    values: dict[str, str] = {}
    problems = tuple(_problems(lines, values, environ, known, file))
    return Written(values, problems)


def _no_utf_8(raw: bytes, at: int, file: Path) -> str:
    return f"Line {raw.count(bytes([10]), 0, at) + 1} of {file} is not UTF-8: save the file as UTF-8."


def _corrected(line: Binding) -> Binding:
    found = QUOTED_JSON.fullmatch(line.original.string) if line.error else None
    return Binding(found[1], found[2], line.original, error=False) if found else line


def _problems(
    lines: list[Binding], values: dict[str, str], environ: Mapping[str, str], known: Collection[str], file: Path
) -> Iterator[str]:
    """Fill *values* line by line, as each may use those above it; return what is wrong."""
    known, seen = {*known, *_used(lines)}, dict[str, int]()
    for line in lines:
        where = f"line {_number(line)} of {file}"
        if line.error or (line.key and line.value is None):
            yield f"{where.capitalize()} can't be read: write NAME=value there."
        elif line.key and line.value is not None:
            yield from _problems_of(line.key, line.value, {**values, **environ}, known, where)
            values[line.key.upper()] = _filled(line.value, {**values, **environ})
            if before := seen.get(line.key.upper()):
                yield f"{line.key.upper()} is set twice in {file}, in lines {before} and {_number(line)}: keep one."
            seen[line.key.upper()] = _number(line)


def _number(line: Binding) -> int:
    """Return a binding's line: it may begin with empty ones."""
    string = line.original.string
    return line.original.line + string[: len(string) - len(string.lstrip())].count("\n")


def _problems_of(key: str, value: str, defined: Mapping[str, str], known: Collection[str], where: str) -> Iterator[str]:
    name = key.upper()
    if name not in known:
        near = nearest(name, known)
        told = near or (key.isupper() and not DIGIT.search(key))  # another may be the second line of a token
        yield _misspelt(name, near, where) if told else f"{where.capitalize()} is not a Keyturn setting: remove it."
    for part in _variables(value):
        if part.default is None and part.name.upper() not in defined:
            yield f"{name} ({where}) uses ${{{part.name}}}, which is not set above it: set it, or write the value."


def _variables(value: str) -> Iterator[Variable]:
    return (part for part in parse_variables(value) if isinstance(part, Variable))


def _used(lines: Iterable[Binding]) -> Iterator[str]:
    """Return the names that other values use: those are dropped by nobody."""
    return (part.name.upper() for line in lines for part in _variables(line.value or ""))


def _filled(value: str, defined: Mapping[str, str]) -> str:
    names = {part.name: defined[name] for part in _variables(value) if (name := part.name.upper()) in defined}
    return "".join(part.resolve(names) for part in parse_variables(value))


def _misspelt(name: str, near: str, where: str = "the environment") -> str:
    meant = f"did you mean {near}?" if near else "remove it; docs/settings.md lists every setting."
    return f"{name} ({where}) is not a Keyturn setting: {meant}"


def nearest(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """Return the setting that a name most resembles; empty if none does."""
    twisted = [one for one in known if sorted(one) == sorted(name)]
    return next(iter(twisted or get_close_matches(name, known, n=1, cutoff=cutoff)), "")


def _slips(names: Iterable[str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Return the variables of the environment that almost name a setting: most of them belong to other programs."""
    return ((name, near) for name in sorted(names) if name not in known and (near := nearest(name, known, SLIP)))


GENERIC = {
    "PORT": "platforms set PORTS and PORT0",
    "LOG_LEVEL": "many programs read LOGLEVEL",
    "LOG_FORMAT": "the same with LOGFORMAT",
    "PROBES": "PROBE turns a health check on",
    "LISTEN": "SILENT has the same letters",
}
"""Settings with a name that others almost use too, and who: such a variable ends no start."""


def lookalikes(environ: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """Return a sentence for each variable that is likely another program's, and almost names a setting."""
    for name, near in _slips(map(str.upper, environ), known):
        if near in GENERIC:
            yield f"{name} (the environment) is not a Keyturn setting and is not read: if you mean {near}, write that."


SLIP = 0.87
"""How much alike two names are of which one is misspelt, of 1: `REQUIRE_PROOFS` and `WAVE`, but not `REDIS_PORT`."""
