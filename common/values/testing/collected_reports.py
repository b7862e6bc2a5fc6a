"""The reports of a check as lines of text: how a pod hands them over, whose log is all that leaves it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from dataclasses import dataclass

from common.values.json_codec import Malformed, decode, encode
from common.values.testing.coverage import Coverage
from common.values.testing.test_report import TestReport

MOST_PACKED_BYTES = 2 * 2**20
"""Compressed. As lines it is a third more, well below the 10 MiB after which a kubelet begins another log file."""
MOST_BYTES = 64 * 2**20
LINE_CHARACTERS = 8_000
MOST_LINES = 400
"""More than `pack` writes."""
TOO_LARGE = "it is too large to be handed over"
_HEADER = re.compile(r"^aiworker-reports ([0-9a-f]{64})\n", re.MULTILINE)


@dataclass(frozen=True)
class CollectedReports:
    """What a check's tests reported. See CheckState."""

    report: TestReport
    coverage: Coverage | None = None


def pack(collected: CollectedReports) -> str:
    """The lines for `unpack`. What is too large is left out, the coverage first, and its problem says so."""
    without_coverage = CollectedReports(collected.report, collected.coverage and Coverage(problem=TOO_LARGE))
    for one in (collected, without_coverage):
        packed = zlib.compress(json.dumps(encode(one)).encode("ascii"))
        if len(packed) <= MOST_PACKED_BYTES:
            break
    else:
        return pack(CollectedReports(TestReport(problem=TOO_LARGE), without_coverage.coverage))
    text = base64.b64encode(packed).decode("ascii")
    lines = [text[start : start + LINE_CHARACTERS] for start in range(0, len(text), LINE_CHARACTERS)]
    return "\n".join([f"aiworker-reports {hashlib.sha256(packed).hexdigest()}", *lines, ""])


def unpack(log: str) -> CollectedReports:
    """What `pack` was given. If its lines are missing, cut or broken, a report with a problem."""
    header = _HEADER.search(log)
    if header is None:
        return CollectedReports(TestReport(problem="the pod handed none over"))
    try:
        packed = base64.b64decode("".join(log[header.end() :].split()), validate=True)
        if hashlib.sha256(packed).hexdigest() != header[1]:
            raise ValueError("the digest differs")
        reader = zlib.decompressobj()
        content = reader.decompress(packed, MOST_BYTES)
        if not reader.eof:
            raise ValueError("it is cut or too large")
        return decode(CollectedReports, json.loads(content))
    except (ValueError, binascii.Error, zlib.error, Malformed):
        return CollectedReports(TestReport(problem="what the pod handed over is cut or broken"))
