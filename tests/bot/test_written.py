"""How settings are written: as people write them, with nothing dropped in silence, and all that is wrong at once."""

import json
from datetime import timedelta

import pytest

from bot.settings import Settings, WrongSettings, doubts, read_settings, sentinels_in
from tests.bot.test_settings import BOT, CALLER, GATEWAYS, GOOD, nothing_around, read, sentence

__all__ = ["nothing_around", "read"]


@pytest.mark.parametrize("query", ["db=a", "socket_timeout=a", "nonsense=1", "ssl_cert_reqs=CANARY", "CANARY@host"])
def test_an_address_of_redis_that_no_client_takes_is_refused(read, query):
    for url in ("redis://host", "rediss+sentinel://host/mymaster"):
        assert sentence(read, REDIS_URL=f"{url}?{query}").startswith("REDIS_URL is wrong: ")


@pytest.mark.parametrize("url", ["redis://host/keyturn", "rediss://:CANARY@host:6379/0/1", "redis://host/-1"])
def test_a_database_that_is_no_number_is_refused(read, url):
    assert "a database, which is a number" in sentence(read, REDIS_URL=url)


@pytest.mark.parametrize(
    "url", ["redis://host", "redis://host/", "rediss://u:p@host:6379/3", "unix:///run/r.sock?db=2"]
)
def test_an_address_of_redis_may_name_a_database(read, url):
    assert read(REDIS_URL=url).redis_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "hosts", "server", "password"),
    [
        ("one/mymaster", [("one", 26379)], "://mymaster/?", None),
        ("u:p@one:1,two,[::1]:3/mymaster/2", [("one", 1), ("two", 26379), ("::1", 3)], "://u:p@mymaster/2?", None),
        (":p@one/my?sentinel_password=s%2F&db=1", [("one", 26379)], "://:p@my/?db=1", "s/"),
    ],
)
def test_an_address_may_name_sentinels_and_what_they_call_the_primary(read, url, hosts, server, password):
    for scheme in ("redis", "rediss"):
        found = sentinels_in(read(REDIS_URL=f"{scheme}+sentinel://{url}").redis_url.get_secret_value())

        assert (list(found.hosts), found.server, found.password) == (hosts, scheme + server, password)
        assert repr(found) == f"Sentinels({found.name!r})"


@pytest.mark.parametrize(
    "url",
    [
        "one:26379",
        "one/",
        "one:CANARY/mymaster",
        "one,/mymaster",
        "one:0/mymaster",
        "one/mymaster/name",
        "u:1/CANARY@one/0",
        "u:1#CANARY@one/mymaster",
    ],
)
def test_sentinels_without_a_host_a_port_or_a_name_are_refused(read, url):
    said = sentence(read, REDIS_URL=f"redis+sentinel://{url}")

    assert "redis+sentinel://host:26379,host:26379/mymaster/0" in said
    assert "CANARY" not in said


def test_all_wrong_settings_are_named_at_once(read):
    said = sentence(read, SLACK_APP_TOKEN=None, SLACK_SIGNING_SECRET=None, APPROVERS=None, PROBES="0", SOKA="1h")

    assert [each.split(" ")[0] for each in said.splitlines()] == ["SOKA", "SLACK_APP_TOKEN", "PROBES", "APPROVERS"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("REQUIRE_PROOFS", "REQUIRE_PROOF"), ("SOKA", "SOAK"), ("wave", "WAVES"), ("REDIS_URI", "REDIS_URL")],
)
def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(read, written, meant):
    assert sentence(read, **{written: "1"}) == (
        f"{written.upper()} (the environment) is not a Keyturn setting: did you mean {meant}?"
    )


def test_a_variable_in_capitals_and_in_small_letters_is_named(read):
    assert sentence(read, PROBES="5", probes="7").startswith("PROBES is set twice in the environment, ")


@pytest.mark.parametrize("name", ["REDIS_PORT", "KEYTURN_PORT", "LISTEN_FDS", "PATH", "HOST", "SLACK_TEAM", "LESS"])
def test_variables_of_other_programs_are_ignored(read, name):
    assert read(**{name: "1"})
    assert list(doubts({name: "1"})) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [("LOGLEVEL", "LOG_LEVEL"), ("PORTS", "PORT"), ("PORT0", "PORT"), ("PROBE", "PROBES"), ("silent", "LISTEN")],
)
def test_a_variable_that_a_platform_may_set_is_doubtful_in_the_environment_and_wrong_in_our_own_file(
    read, tmp_path, name, meant
):
    assert read(**{name: "1"})
    assert [each.endswith(f" if you mean {meant}, write that.") for each in doubts({name: "1"})] == [True]
    (tmp_path / ".env").write_text(f"{name}=1\n")
    with pytest.raises(WrongSettings, match="is not a Keyturn setting"):
        read_settings(tmp_path / ".env", {})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status_url": ["http://r"]}, "AISIX_GATEWAYS has no field status_url (at env-1): did you mean status_urls?"),
        (
            {"zzz": 1},
            "AISIX_GATEWAYS has no field zzz (at env-1): it has url, caller_key, status_urls, replicas, probes.",
        ),
    ],
)
def test_an_unknown_field_of_a_gateway_is_named(read, fields, said):
    assert sentence(read, AISIX_GATEWAYS=json.dumps({"env-1": GATEWAYS["env-1"] | fields})) == said


GATEWAYS_YAML = "env-1:\n  url: https://gw.example\n  caller_key: ck-CANARY-caller\n"
FILES = {
    "gateways.yaml": GATEWAYS_YAML,
    "with-bom.yml": "\ufeff" + GATEWAYS_YAML,
    "gateways.json": "{\n\t" + json.dumps(GATEWAYS)[1:],
}


@pytest.mark.parametrize("name", FILES)
def test_the_gateways_may_be_a_file(read, monkeypatch, tmp_path, name):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert read(AISIX_GATEWAYS=f"@{name}").aisix_gateways == read().aisix_gateways


WRONG_FILES = {
    '{"env-1": {"caller_key": "ck-CANARY"}}': (None, "leave out the @ before JSON"),
    "missing.yaml": (None, "missing.yaml can't be read (No such file or directory)"),
    "latin.yaml": ("# caf\xe9".encode("latin-1"), "latin.yaml is not UTF-8"),
    "torn.yaml": (b"env-1:\n  caller_key: 'ck-CANARY\n", "torn.yaml is not valid YAML (line 3)"),
    "torn.json": (b'{"env-1":\n "ck-CANARY}', "it is not valid JSON (torn.json, line 2, column 2)"),
    "twice.yaml": (b"env-1: {url: a, url: b}", "url is set twice: keep one"),
    "twice.json": (b'{"env-1": 1, "env-1": 2}', "env-1 is set twice: keep one"),
    "field.yaml": (GATEWAYS_YAML.encode() + b"  status_url: x\n", "did you mean status_urls?"),
    "control.yaml": (b"a: \x01", "control.yaml is not valid YAML"),
    "time.yaml": (b"a: !!timestamp x", "time.yaml is not valid YAML"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_file_of_gateways_that_is_wrong_is_named(read, monkeypatch, tmp_path, name):
    content, said = WRONG_FILES[name]
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content)

    assert said in sentence(read, AISIX_GATEWAYS=f"@{name}")


@pytest.mark.parametrize("value", ["{", "[" * 100_000, '{"env": {"url": "a"}, "env": {"url": "b"}}'])
def test_gateways_that_are_no_json_are_refused(read, value):
    assert sentence(read, AISIX_GATEWAYS=value).startswith("AISIX_GATEWAYS is wrong: ")


@pytest.fixture
def read_env(monkeypatch, tmp_path):
    """Read settings from a file, after the lines of `GOOD`."""

    def read_with(more: str | bytes, good: dict[str, str] = GOOD) -> Settings:
        lines = "".join(f"{name}='{value}'\n" for name, value in good.items())
        (tmp_path / ".env").write_bytes(lines.encode() + (more if isinstance(more, bytes) else more.encode()))
        monkeypatch.chdir(tmp_path)
        return read_settings()

    return read_with


JSON_GATEWAYS = json.dumps(GATEWAYS)
AS_WRITTEN = {
    "in single quotes": f"AISIX_GATEWAYS='{JSON_GATEWAYS}'",
    "in double quotes": f'AISIX_GATEWAYS="{JSON_GATEWAYS}"',
    "in double quotes, escaped": 'AISIX_GATEWAYS="' + JSON_GATEWAYS.replace('"', '\\"') + '"',
    "in no quotes": f"AISIX_GATEWAYS={JSON_GATEWAYS}",
    "over several lines": "AISIX_GATEWAYS='" + json.dumps(GATEWAYS, indent=2) + "'",
    "with export and blanks": f"  export AISIX_GATEWAYS = '{JSON_GATEWAYS}'  # staging",
    "with Windows' line ends": f"# made on Windows\r\n\r\nAISIX_GATEWAYS='{JSON_GATEWAYS}'\r\n",
}


@pytest.mark.parametrize("how", AS_WRITTEN)
def test_a_file_of_settings_is_read_as_people_write_it(read_env, how):
    others = {name: value for name, value in GOOD.items() if name != "AISIX_GATEWAYS"}
    gateways = read_env(AS_WRITTEN[how], others).aisix_gateways

    assert gateways["env-1"].caller_key.get_secret_value() == CALLER


def test_a_byte_order_mark_hides_no_setting(monkeypatch, tmp_path):
    lines = "\n".join(f"{name}='{value}'" for name, value in GOOD.items())
    (tmp_path / ".env").write_text(lines, encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)

    assert read_settings().slack_bot_token.get_secret_value() == BOT


def test_a_value_may_use_those_above_it_and_a_default(read_env):
    settings = read_env("PART=5\nMANY=${PART}\nPROBES=${MANY}\nWATCH=${PROBES}m\nSOAK=${SOAK:-10m}")

    assert (settings.probes, settings.watch, settings.soak) == (5, timedelta(minutes=5), timedelta(minutes=10))


@pytest.mark.parametrize("empty", ["", " ", '""'])
def test_a_variable_that_is_empty_hides_nothing_in_the_file(read_env, monkeypatch, empty):
    monkeypatch.setenv("REQUIRE_PROOF", empty)

    assert read_env("REQUIRE_PROOF=true").require_proof


DROPPED = {
    "SOKA=10m": "SOKA (line 8 of .env) is not a Keyturn setting: did you mean SOAK?",
    "HTTPS_PROXY=http://proxy": "HTTPS_PROXY (line 8 of .env) is not a Keyturn setting: remove it; docs/settings.md",
    "SOAK=10m\n\nSOAK=20m": "SOAK is set twice in .env, in lines 8 and 10: keep one.",
    "SOAK 10m": "Line 8 of .env can't be read: write NAME=value there.",
    "SOAK": "Line 8 of .env can't be read: write NAME=value there.",
    "SOAK='10m": "Line 8 of .env can't be read: write NAME=value there.",
    "SOAK=${LONG}": "SOAK (line 8 of .env) uses ${LONG}, which is not set above it: set it, or write the value.",
    "SOAK=${LONG}\nLONG=1m": "SOAK (line 8 of .env) uses ${LONG}, which is not set above it: set it, or write the",
    "CANARY234567==": "Line 8 of .env is not a Keyturn setting: remove it.",
    "cannAry==": "Line 8 of .env is not a Keyturn setting: remove it.",
    "S\0O\0A\0K\0=\0": "Line 8 of .env is not UTF-8: save the file as UTF-8.",
    "# caf\xe9\nSOAK=10m": "Line 8 of .env is not UTF-8: save the file as UTF-8.",
}


@pytest.mark.parametrize("lines", DROPPED)
def test_a_line_that_would_be_dropped_is_named(read_env, lines):
    with pytest.raises(WrongSettings) as wrong:
        read_env(lines.encode("latin-1"))

    (said,) = wrong.value.sentences
    assert said.startswith(DROPPED[lines])


def test_a_file_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    (tmp_path / ".env").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongSettings, match=r"^\.env can't be read \(Is a directory\): .*\.$"):
        read_settings()


@pytest.mark.parametrize("value", ["'5'", '"5"', "  5\n", "' 5 '"])
def test_blanks_and_quotes_around_a_value_are_not_part_of_it(read, value):
    assert read(PROBES=value).probes == 5
