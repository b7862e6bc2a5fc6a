"""S16: bodies that parsers disagree on, or that a database can't hold, are the caller's error and named."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from common.errors import Invalid
from web.http.json_strict import DEEPEST, parse_object

REFUSED = {
    "too deep": b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too many digits": b'{"name":' + b"9" * 5000 + b"}",
    "a number of 64 bits and more": b'{"name":9223372036854775808}',
    "NaN": b'{"name":NaN}',
    "Infinity": b'{"name":-Infinity}',
    "a key twice": b'{"name":"a","name":"b"}',
    "a key twice, written otherwise": b'{"name":"a","n\\u0061me":"b"}',
    "a lone surrogate": b'{"name":"\\ud800"}',
    "a lone surrogate as key": b'{"\\udfff":1}',
    "NUL": b'{"name":"a\\u0000b"}',
    "bad UTF-8": b'{"name":"\xff"}',
    "a byte order mark": b'\xef\xbb\xbf{"name":"a"}',
    "null": b"null",
    "a list": b"[]",
    "half": b'{"name":',
    "two": b"{}{}",
    "a control character": b'{"name":"a\x01"}',
}


def test_a_body_that_means_more_than_one_thing_is_a_400_that_says_why(plain_member: FlaskClient) -> None:
    for name, raw in REFUSED.items():
        reply = plain_member.post("/api/tokens", data=raw, content_type="application/json")

        assert (reply.status_code, reply.json["error"]) == (400, "Validation error"), name
        assert set(reply.json["details"]) == {"field", "message"}, name
        assert reply.json["details"]["message"], name


def test_the_field_that_holds_nul_is_named() -> None:
    with pytest.raises(Invalid) as raised:
        parse_object(b'{"outer":{"list":["fine","\\u0000"]}}')

    assert raised.value.field == "outer.list.1"


@pytest.mark.parametrize(("depth", "is_read"), [(DEEPEST, True), (DEEPEST + 1, False)])
def test_depth_is_counted_exactly(depth: int, is_read: bool) -> None:
    raw = b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)
    if is_read:
        assert "a" in parse_object(raw)
    else:
        with pytest.raises(Invalid, match="Nested"):
            parse_object(raw)
