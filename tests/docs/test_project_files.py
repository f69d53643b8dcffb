"""The licence, the changelog and the commit hooks are what a contributor takes them for."""

import hashlib
import re
import tomllib

import yaml

from bot import __version__
from tests.support.documents import read

APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""The digest of the licence's text as apache.org has it."""

GROUPS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_licence_is_the_apache_text_word_for_word() -> None:
    assert hashlib.sha256(read("LICENSE").encode()).hexdigest() == APACHE_2
    assert tomllib.loads(read("pyproject.toml"))["project"]["license"] == "Apache-2.0"


def test_the_changelog_has_the_form_of_keep_a_changelog_and_its_newest_version_is_the_projects() -> None:
    first, *released = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    versions = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", title) for title in released]

    assert first == "[Unreleased]"
    assert all(versions)
    assert versions[0] is not None
    assert versions[0][1] == __version__
    assert set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.MULTILINE)) <= GROUPS


def test_the_hooks_run_what_make_check_runs_in_its_order() -> None:
    repositories = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", read("Makefile"), re.MULTILINE)
    lines = recipe[1].replace("$(BIN)", ".venv/bin").splitlines() if recipe else []

    assert {repository["repo"] for repository in repositories} == {"local"}, "a hook fetches nothing"
    assert [hook["entry"] for hook in hooks] == [line.strip().lstrip("@") for line in lines]
    assert not any(hook["pass_filenames"] for hook in hooks)
