"""The receipt's file: every model on a row of CSV, in the thread once; where it can't be, the receipt lists them."""

import csv
import io
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError, SlackRequestError
from structlog.testing import capture_logs

from bot.rotation.record import Rotation
from handlers.views.evidence import LABELS
from handlers.views.export import HEADER, export, safe
from tests.handlers import records as r
from tests.handlers.cases import HOSTILE_PLAN, mixed
from tests.handlers.test_replies import Thread


def rows(rotation: Rotation) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export(rotation).content.decode("utf-8"))))


def test_every_model_is_on_a_row_with_what_the_card_says_of_it():
    rotation = mixed(r.completed(r.plan(r.many(500))))
    found = rows(rotation)

    assert len(found) == 500
    assert tuple(found[0]) == HEADER
    assert found[0] | {"reason": "", "last test": "2026-11-23T14:02:39+00:00"} == {
        "model": "chat-001", "environment": "production", "id": "m_001", "status": "likely", "reason": "",
        "last test": "2026-11-23T14:02:39+00:00",
    }  # fmt: skip
    assert {row["status"] for row in found} <= {*LABELS.values()}
    assert export(rotation).title == "OpenAI production: 500 models"


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("chat-large", "chat-large"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\r\n =1", "'=1"),
        ("\u200b＝1", "'＝1"),
        ("a=1", "a=1"),
        ("a;=1", "a;'=1"),
        ('a", @SUM(A1)', "a\", '@SUM(A1)"),
        ("chat; not synced - 2 s", "chat; not synced - 2 s"),
        ("modèle, “new”\nline", "modèle, “new” line"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula_or_breaks_its_line(name: str, cell: str):
    rotation = r.completed(r.plan([r.model(1, alias=name)]))

    assert safe(name) == cell
    assert rows(rotation)[0]["model"] == cell


def test_a_hostile_name_breaks_no_row():
    assert rows(r.completed(r.plan([r.model(1, alias="a\ud800")])))[0]["model"] == "a?"
    assert [len(row) for row in csv.reader(io.StringIO(export(r.completed(HOSTILE_PLAN)).content.decode()))] == [6] * 4


class Filed(Thread):
    """A thread that takes files, or fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[dict[str, Any]] = []
        self.tried = 0
        self.failure: Exception | None = None

    async def files_upload_v2(self, **file: Any) -> None:
        self.tried += 1
        if self.failure:
            raise self.failure
        self.files.append(file)

    def listed(self) -> bool:
        """Tell whether the receipt lists the models itself."""
        return "`chat-large`" in str(self.channel[self.fields["receipt"]]["blocks"])


@pytest.fixture
def thread() -> Filed:
    return Filed()


DELETED = r.proved(r.watched())


async def test_the_file_is_in_the_thread_before_the_receipt_and_only_once(thread: Filed):
    await thread.show(DELETED, r.proved(r.completed_after_watch()))
    (file,) = thread.files

    assert (file["channel"], file["thread_ts"]) == ("C_OPS", thread.fields["card"])
    assert (file["filename"], file["content"]) == ("receipt-r7k2abc.csv", export(DELETED).content)
    assert "`receipt-r7k2abc.csv` above" in str(thread.channel[thread.fields["receipt"]])
    assert not thread.listed()


FAILURES = [
    (SlackApiError("", {"error": "missing_scope"}), ""),
    (SlackApiError("", {"error": "file_uploads_disabled"}), "file_uploads_disabled"),
    (SlackApiError("", {"error": "ratelimited"}), "ratelimited"),
    (SlackRequestError("Failed to upload a file (status: 500, body: CANARY)"), "not_uploaded"),
    (TimeoutError(), "TimeoutError"),
    (TypeError("object of type 'NoneType' has no len()"), "TypeError"),
]


@pytest.mark.parametrize(("failure", "logged"), FAILURES, ids=lambda value: str(value)[:30])
async def test_without_the_file_the_receipt_lists_the_models_and_nothing_waits(thread: Filed, failure, logged):
    thread.failure = failure
    with capture_logs() as logs:
        await thread.show(DELETED, r.proved(r.completed_after_watch()))

    assert thread.tried == 1, "it might be there after all"
    assert thread.listed()
    assert [log["reason"] for log in logs if log["event"] == "file_not_attached"] == [logged] * bool(logged)
    assert "CANARY" not in str(logs)


class Died(BaseException):
    """The process ends."""


async def test_a_process_that_dies_while_it_attaches_leaves_no_second_file(thread: Filed):
    thread.failure = Died()
    with pytest.raises(Died):
        await thread.show(DELETED)
    thread.failure = None
    await thread.show(DELETED)

    assert (thread.tried, thread.files, thread.listed()) == (1, [], True)


async def test_a_receipt_of_an_earlier_version_stays_as_it_is(thread: Filed):
    thread.failure = SlackApiError("", {"error": "missing_scope"})
    await thread.show(DELETED)
    thread.failure = None
    del thread.fields["csv"]
    await thread.show(r.proved(r.completed_after_watch(version=2)))

    assert (thread.files, thread.listed()) == ([], True)


async def test_a_rotation_without_models_has_no_file(thread: Filed):
    await thread.show(r.unused(r.completed(r.plan(())), "tried with curl"))

    assert thread.tried == 0
