"""Golden files: what people see, kept as JSON and read in the diff when it changes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str, Any], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Hold a value to the golden file of that name, or write it with `--update-golden`."""

    def hold(name: str, value: Any) -> None:
        file = GOLDEN / f"{name}.json"
        if request.config.getoption("--update-golden"):
            GOLDEN.mkdir(exist_ok=True)
            file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        assert file.exists(), f"no {file.name}: pytest tests/handlers --update-golden"
        assert json.loads(file.read_text(encoding="utf-8")) == value, "pytest tests/handlers --update-golden"

    return hold
