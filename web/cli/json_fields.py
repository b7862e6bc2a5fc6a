"""`--field NAME=JSON`: fields of the API's request that have no option of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from web.cli.terminal import JsonObject


def fields_of(given: Sequence[str]) -> JsonObject:
    """`NAME=JSON` pairs as an object; a value that is not JSON is taken as a text."""
    body: JsonObject = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair} is not NAME=JSON", param_hint="--field")
        try:
            body[name] = json.loads(text)
            # Python also reads numbers that JSON does not have: NaN, and what is too large.
            json.dumps(body[name], allow_nan=False)
        except (ValueError, RecursionError):
            body[name] = text
    return body
