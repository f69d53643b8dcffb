"""Who the bot is at AWS, and its signature."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from bot.rotation.errors import ApiError, Uncertain
from bot.sources.aws import METADATA, Identity, Keys, Request, Target, signed
from tests.support.calls import by_line

NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
THERE = "https://example.amazonaws.com/"
EXAMPLE = Keys("AKIDEXAMPLE", SecretStr("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
WITH_TOKEN = EXAMPLE._replace(
    token=SecretStr(
        "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUu"
        "wthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQc"
        "HNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/o"
        "LxBA=="
    )
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
VECTORS = {
    "get-vanilla": (
        Request(THERE, method="GET"), EXAMPLE, "host;x-amz-date",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-vanilla-query-order-key-case": (
        Request(THERE + "?Param2=value2&Param1=value1", method="GET"), EXAMPLE, "host;x-amz-date",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "post-x-www-form-urlencoded": (
        Request(THERE, b"Param1=value1", FORM), EXAMPLE, "content-type;host;x-amz-date",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-sts-header-before": (
        Request(THERE), WITH_TOKEN, "host;x-amz-date;x-amz-security-token",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
}  # fmt: skip
"""Of AWS's published test suite for signatures, by its names."""


@pytest.mark.parametrize("vector", VECTORS)
def test_a_request_is_signed_as_aws_publishes_it(vector):
    request, keys, names, signature = VECTORS[vector]

    headers = signed(request, keys, Target("service", "us-east-1"), NOW)

    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


ENDS = (NOW + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
TOLD = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": ENDS}
XML = (
    "<R><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    f"<Expiration>{ENDS}</Expiration></Credentials></R>"
)
ROLES = f"{METADATA}meta-data/iam/security-credentials/"


def identity(environ, answers=None):
    return Identity("eu-central-1", lambda: NOW, environ=environ, client=by_line(answers or {}))


@pytest.mark.parametrize(
    ("environ", "answers"),
    [
        (
            {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": "{file}"},
            {"POST https://sts.eu-central-1.amazonaws.com/": (200, XML)},
        ),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}, {"GET http://169.254.170.2/v2/x": (200, TOLD)}),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{file}",
            },
            {"GET http://169.254.170.23/v1/credentials": (200, TOLD)},
        ),
        (
            {},
            {
                f"PUT {METADATA}api/token": (200, "tok"),
                f"GET {ROLES}": (200, "keyturn\n"),
                f"GET {ROLES}keyturn": (200, TOLD),
            },
        ),
    ],
    ids=["web identity", "container", "pod identity", "machine"],
)
async def test_the_bot_takes_the_identity_that_its_surroundings_give(environ, answers, tmp_path):
    (tmp_path / "token").write_text("a-token\n")
    served = by_line(answers)
    environ = {name: value.format(file=tmp_path / "token") for name, value in environ.items()}
    found = Identity("eu-central-1", lambda: NOW, environ=environ, client=served)

    assert await found.keys() == Keys("ASIA1", SecretStr("s"), SecretStr("t"), NOW + timedelta(hours=1))
    assert await found.keys() == await found.keys()
    assert served.lines == [*answers]


async def test_keys_that_are_about_to_end_are_fetched_anew():
    now = NOW
    served = by_line({"GET http://169.254.170.2/c": (200, TOLD)})
    environ = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"}
    found = Identity("eu-central-1", lambda: now, environ=environ, client=served)
    await found.keys()
    now += timedelta(minutes=55)
    await found.keys()

    assert len(served.asked) == 2


@pytest.mark.parametrize(
    ("environ", "answers", "error", "said"),
    [
        ({"AWS_EC2_METADATA_DISABLED": "true"}, {}, ApiError, "The bot has no identity at AWS"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://evil.example/"}, {}, ApiError, "no address that may give"),
        ({"AWS_ROLE_ARN": "r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/no/such"}, {}, ApiError, "can't be read"),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"}, {}, ApiError, "gives the bot no identity (404)"),
        (
            {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"},
            {"GET http://169.254.170.2/c": (200, TOLD | {"Expiration": "soon"})},
            ApiError,
            "not complete",
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"},
            {"GET http://169.254.170.2/c": (200, {"Token": "t"})},
            ApiError,
            "not complete",
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/c"},
            {"GET http://169.254.170.2/c": (200, "no json")},
            ApiError,
            "no usable answer",
        ),
        ({}, {f"PUT {METADATA}api/token": httpx.ConnectTimeout("")}, Uncertain, "does not answer"),
        ({}, {f"PUT {METADATA}api/token": (503, "")}, Uncertain, "can't answer now (503)"),
    ],
)
async def test_an_identity_that_cannot_be_had_is_told_in_a_sentence(environ, answers, error, said):
    with pytest.raises(error) as told:
        await identity(environ, answers).keys()

    assert type(told.value) is error
    assert said in str(told.value)


async def test_keys_of_the_environment_need_no_call():
    environ = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s"}

    assert await identity(environ).keys() == Keys("AKIA1", SecretStr("s"))
