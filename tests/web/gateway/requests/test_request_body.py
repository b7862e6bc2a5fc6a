"""The model that a request names, and whether it asks for an answer in the background."""

from __future__ import annotations

import pytest

from web.gateway.requests.request_body import is_for_background, model_of, with_model


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model":"a"}', "a"),
        (b'{"model":"other","model":"a"}', "a"),
        (b'{"mod\\u0065l":"\\u00e9\\ud83d\\ude00"}', "é😀"),
        (b'{"model":"a","text":"cut at \\ud83d"}', "a"),
        (b"{}", ""),
        (b'{"model":["a"]}', ""),
        (b'{"model":"' + b"a" * 1000 + b'"}', ""),
        (b"[]", None),
        (b'{"model":"a"', None),
        (b'{"list":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
)
def test_it_is_the_one_that_a_provider_takes(body: bytes, model: str | None) -> None:
    assert model_of(body) == model


@pytest.mark.parametrize(
    ("body", "is_asked"),
    [
        (b'{"model":"a"}', False),
        (b'{"background":false}', False),
        (b'{"tools":[{"background":true}]}', False),
        (b'{"background": true }', True),
        (b'{"background":false,"back\\u0067round":true}', True),
        (b'{"background":"true","text":"cut at \\ud83d"}', True),
        (b"[]", None),
        (b'{"background":false,"list":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
)
def test_an_answer_in_the_background_is_seen(body: bytes, is_asked: bool | None) -> None:
    assert is_for_background(body) is is_asked


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (b'{"model": "a", "number": 1.50}', b'{"model": "\xc3\xa9\\"b", "number": 1.50}'),
        (b'{"model":"other","model":"a"}', b'{"model":"other","model":"\xc3\xa9\\"b"}'),
        (b'{"text":"\\"model\\":\\"a\\"","model":"a"}', b'{"text":"\\"model\\":\\"a\\"","model":"\xc3\xa9\\"b"}'),
        (b'{"model":"a","text":"cut at \\ud83d"}', b'{"model":"\xc3\xa9\\"b","text":"cut at \\ud83d"}'),
        (b' {"inner":{"model":"a"}}', b' {"model":"\xc3\xa9\\"b","inner":{"model":"a"}}'),
        (b"{ }", b'{"model":"\xc3\xa9\\"b"}'),
        (b'{"model":"\xc3\xa9\\"b","inner":{"model":"a"}}', b'{"model":"\xc3\xa9\\"b","inner":{"model":"a"}}'),
        (b'{"model":"a"', None),
        (b"", None),
    ],
)
def test_only_the_models_name_changes(body: bytes, changed: bytes | None) -> None:
    assert with_model(body, 'é"b') == changed
    assert changed is None or model_of(changed) == 'é"b'
