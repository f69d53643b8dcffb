"""AWS IAM, by made-up answers in the shapes of its documentation; `tests/stores` asks moto's."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import SecretStr

from bot.providers.aws_iam import parsed
from bot.rotation.credentials import Row, Status, Usage, matching
from bot.rotation.errors import ApiError, NotFound, Uncertain
from tests.bot import test_providers_faults as faults
from tests.bot.test_providers_faults import NOW, account
from tests.support.calls import Answer, Served

OLD, NEW, BOTS = "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7ANOTHER", "AKIAIOSFODNN7KEYTURN"
XMLNS = 'xmlns="https://iam.amazonaws.com/doc/2010-05-08/"'
identity = faults.an_identity_at_aws
EARLIER = datetime(2026, 11, 1, tzinfo=UTC)


def refused(status: int, code: str) -> Answer:
    return status, f"<ErrorResponse {XMLNS}><Error><Code>{code}</Code><Message>CANARY</Message></Error></ErrorResponse>"


class User:
    """One IAM user; its list has a key on each page."""

    def __init__(self) -> None:
        self.keys = {OLD: "Active", NEW: "Active"}
        self.used = ""
        self.is_stuck = False

    def __call__(self, request: httpx.Request) -> Answer:
        asked = dict(parse_qsl(request.content.decode()))
        action, id_ = asked["Action"], asked.get("AccessKeyId", "")
        assert (str(request.url), asked["Version"]) == ("https://iam.amazonaws.com/", "2010-05-08")
        assert f"Credential={BOTS}/20261201/us-east-1/iam/" in request.headers["Authorization"]
        assert action == "GetAccessKeyLastUsed" or asked["UserName"] == "bedrock"
        if id_ and id_ not in self.keys:
            return refused(404, "NoSuchEntity")
        if not self.is_stuck:
            match action:
                case "UpdateAccessKey":
                    self.keys[id_] = asked["Status"]
                case "DeleteAccessKey":
                    del self.keys[id_]
        told = {"ListAccessKeys": self.page(int(asked.get("Marker", "0"))), "GetAccessKeyLastUsed": self.last()}
        return 200, f"<{action}Response {XMLNS}>{told.get(action, '')}</{action}Response>"

    def page(self, at: int) -> str:
        shown = "".join(
            f"<member><UserName>bedrock</UserName><AccessKeyId>{id_}</AccessKeyId><Status>{status}</Status>"
            "<CreateDate>2026-11-01T00:00:00Z</CreateDate></member>"
            for id_, status in [*self.keys.items()][at : at + 1]
        )
        more = f"<IsTruncated>true</IsTruncated><Marker>{at + 1}</Marker>" if at + 1 < len(self.keys) else ""
        return f"<ListAccessKeysResult><AccessKeyMetadata>{shown}</AccessKeyMetadata>{more}</ListAccessKeysResult>"

    def last(self) -> str:
        used = f"<AccessKeyLastUsed><Region>N/A</Region>{self.used}<ServiceName>N/A</ServiceName></AccessKeyLastUsed>"
        return f"<GetAccessKeyLastUsedResult>{used}</GetAccessKeyLastUsedResult>"


async def test_the_life_of_an_access_key():
    one = account("aws-iam", Served(User()))
    rows = await one.rows()

    assert rows[0] == Row(id=OLD, hint=OLD, created_at=EARLIER, owner="IAM user bedrock")
    assert [row.id for row in rows] == [OLD, NEW]
    await one.disable(OLD)
    assert (await one.read(OLD)).status is Status.DISABLED
    await one.enable(OLD)
    assert (await one.read(OLD)).status is Status.ACTIVE
    for _ in "again":
        await one.delete(OLD)
    assert await one.read(OLD) == Row(id=OLD, status=Status.GONE)


@pytest.mark.parametrize(
    ("used", "known"),
    [
        ("", Usage()),
        ("<LastUsedDate>N/A</LastUsedDate>", Usage()),
        ("<LastUsedDate>2026-12-01T11:00:00Z</LastUsedDate>", Usage(is_known=True)),
        ("<LastUsedDate>2026-12-01T13:00:00Z</LastUsedDate>", Usage(is_known=True, last_at=NOW + timedelta(hours=1))),
    ],
)
async def test_an_access_key_that_aws_never_saw_used_is_unknown(used, known):
    user = User()
    user.used = used

    assert await account("aws-iam", Served(user)).usage(Row(id=OLD), NOW) == known


async def test_the_row_of_a_pair_is_the_one_whose_whole_id_stands_in_it():
    rows = await account("aws-iam", Served(User())).rows()
    for secret, found in {
        json.dumps({"access_key_id": OLD, "secret_access_key": "s" * 40, "region": "eu-central-1"}): rows[0],
        f"{NEW}:{'s' * 40}": rows[1],
        f"AWS_ACCESS_KEY_ID={OLD}": rows[0],
        f"{OLD}:{NEW}": None,
        f"{OLD}X:s": None,
        f"X{OLD}:s": None,
        f"{OLD.lower()}:s": None,
        f"s/{OLD}/s": None,
        "s" * 40: None,
    }.items():
        assert matching(rows, SecretStr(secret)) == found


FAULTS: list[tuple[Answer, type[ApiError], str]] = [
    (refused(400, "Throttling"), Uncertain, "AWS limits the rate (429)."),
    (refused(409, "EntityTemporarilyUnmodifiable"), Uncertain, "AWS had an error (409)."),
    (refused(403, "InvalidClientTokenId"), ApiError, "AWS does not take the bot's own identity (403)"),
    (refused(403, "AccessDenied"), ApiError, "AWS says that the bot's own identity may not do this for main in PROV"),
    (refused(404, "NoSuchEntity"), NotFound, "AWS knows no IAM user bedrock (404): correct `user` of main in PROV"),
]


@pytest.mark.parametrize(("answer", "error", "said"), FAULTS)
async def test_the_word_of_an_error_says_more_than_its_status(answer, error, said):
    with pytest.raises(error) as raised:
        await account("aws-iam", Served(lambda _: answer)).delete(OLD)

    assert type(raised.value) is error
    assert said in str(raised.value)
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize("change", ["disable", "delete"])
async def test_a_change_that_the_list_does_not_show_is_unclear_and_the_bots_own_key_is_left_alone(change):
    user = User()
    user.is_stuck = True
    user.keys[BOTS] = "Active"
    served = Served(user)
    with pytest.raises(Uncertain, match="its answer does not show it"):
        await getattr(account("aws-iam", served), change)(OLD)
    served.asked.clear()
    with pytest.raises(ApiError, match="Keyturn itself signs with this access key"):
        await getattr(account("aws-iam", served), change)(BOTS)

    assert served.asked == []


async def test_an_access_key_alone_is_not_tried():
    with pytest.raises(Uncertain, match="can't try an access key alone"):
        await account("aws-iam", Served(User())).works(SecretStr(OLD))


LAUGHS = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>'


def test_only_xml_that_declares_nothing_is_read():
    for content in (LAUGHS.encode(), LAUGHS.encode("utf-16"), b"<!--x--><a/>", b"<a>", b"\xff<a/>", b""):
        assert parsed(content) is None
    root = parsed(b'<?xml version="1.0" encoding="UTF-8"?><a xmlns="urn:x"><b>&amp;</b></a>')
    assert root is not None
    assert (root.tag, root.findtext("b")) == ("a", "&")
