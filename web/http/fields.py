"""The fields that requests and replies are made of, and the one Schema that they stand in.

Keys are camelCase on the wire and snake_case here. What is read is strict: no number for a text, no text for a number,
no unknown key. The same classes describe the API at /api/openapi.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar
from urllib.parse import urlsplit

import marshmallow as ma
from marshmallow import fields, validate

from common.machine.text import has_control, has_control_but_lines, has_invisible
from common.states import Priority, Role

UNKNOWN = "Unknown field"
READ_ONLY = "Read-only field"

UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
AGENT_ID_PATTERN = r"agent-[0-9a-f]{12}"
QUESTION_ID_PATTERN = rf"q-{UUID_PATTERN}"


def _invalid(message: str) -> dict[str, str | list[Any] | dict[Any, Any]]:
    return {"invalid": message}


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


class Schema(ma.Schema):
    """What a body, a query or a reply is. read_only: keys (as on the wire) that a reply has and a request may not."""

    read_only: ClassVar[frozenset[str]] = frozenset()
    error_messages: ClassVar[dict[str, str]] = {"unknown": UNKNOWN, "type": "Must be an object"}  # type: ignore[misc]

    class Meta:
        unknown = ma.RAISE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.data_key = camel(field_obj.data_key or field_name)
        field_obj.error_messages["required"] = "Required"
        field_obj.error_messages["null"] = "Must not be null"

    def handle_error(self, error: ma.ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Say of a key that exists, but not for writing, that it is read-only."""
        if isinstance(error.messages, dict):
            for key in self.read_only:
                if error.messages.get(key) == [UNKNOWN]:
                    error.messages[key] = [READ_ONLY]


class Nothing(Schema):
    """The body of an act that takes none: absent, or an empty object."""


class Text(fields.String):
    """Lines of text, at most `most` characters; tabs and line ends are its only control characters."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, most: int, *, least: int = 0, **kwargs: Any) -> None:
        checks: list[Any] = [validate.Length(min=least, max=most, error=_length(least, most)), _no_control]
        super().__init__(validate=[*checks, *_more(kwargs)], **kwargs)


class Line(fields.String):
    """One visible line, not blank, at most `most` characters; spaces around it are taken off."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, most: int, **kwargs: Any) -> None:
        checks: list[Any] = [validate.Length(min=1, max=most, error=_length(1, most)), _visible_line]
        super().__init__(validate=[*checks, *_more(kwargs)], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        loaded = super()._deserialize(value, attr, data, **kwargs)
        # Only spaces: a line end at the edge is a mistake that the check names.
        return loaded.strip(" ") if isinstance(loaded, str) else loaded


class Name(Line):
    """1 to 100 visible characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(100, **kwargs)


class Integer(fields.Integer):
    """A JSON whole number: not "2", not 2.0, not true."""

    default_error_messages = _invalid("Must be a whole number")

    def __init__(self, least: int | None = None, most: int | None = None, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=[*_range(least, most), *_more(kwargs)], **kwargs)


class Number(fields.Float):
    """A JSON number, finite: not "2.5", not true."""

    default_error_messages = _invalid("Must be a number")

    def __init__(self, least: float | None = None, most: float | None = None, **kwargs: Any) -> None:
        super().__init__(validate=[*_range(least, most), *_more(kwargs)], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Boolean(fields.Boolean):
    """true or false, nothing that looks like it."""

    default_error_messages = _invalid("Must be true or false")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Choice(fields.String):
    """One of some words, those of a StrEnum or a list."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, of: type[StrEnum] | Iterable[str], **kwargs: Any) -> None:
        words = [str(word) for word in of]
        check = validate.OneOf(words, error=f"Must be one of: {', '.join(words)}")
        super().__init__(validate=[check, *_more(kwargs)], **kwargs)


class Label(fields.String):
    """A Role or a Priority by its name in lower case; the enum's member in Python."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, of: type[Role] | type[Priority], **kwargs: Any) -> None:
        self.of = of
        labels = [member.label for member in of]
        self._message = f"Must be one of: {', '.join(labels)}"
        metadata = {"enum": labels, **kwargs.pop("metadata", {})}
        super().__init__(metadata=metadata, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.of(value).label

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        for member in self.of:
            if member.label == value:
                return member
        raise ma.ValidationError(self._message)


class Id(fields.String):
    """A UUID in lower case."""

    default_error_messages = _invalid("Must be a text")
    pattern: ClassVar[str] = UUID_PATTERN
    said: ClassVar[str] = "Not an id"

    def __init__(self, **kwargs: Any) -> None:
        check = validate.Regexp(rf"^{self.pattern}\Z", error=self.said)
        super().__init__(validate=[check, *_more(kwargs)], **kwargs)


class AgentId(Id):
    """`agent-` and 12 hex digits."""

    pattern = AGENT_ID_PATTERN
    said = "Not an agent's id"


class QuestionId(Id):
    """`q-` and a UUID."""

    pattern = QUESTION_ID_PATTERN
    said = "Not a question's id"


class Timestamp(fields.Field[datetime]):
    """ISO 8601 in UTC with `Z`; what is read must have a zone."""

    default_error_messages = _invalid("Must be a time in ISO 8601 with a zone")

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else iso(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            parsed = datetime.fromisoformat(value)
            return parsed.astimezone(UTC) if parsed.tzinfo is not None else self._refuse()
        except (TypeError, ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error

    def _refuse(self) -> datetime:
        raise self.make_error("invalid")


class Itself(fields.Nested):
    """A part of the reply that is made from the whole object, not from an attribute of it."""

    def get_value(self, obj: Any, attr: str, accessor: Any = None, default: Any = ma.missing) -> Any:
        return obj


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Url(fields.String):
    """An http or https address, at most 2,000 characters, without a name or password in it."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=[validate.Length(max=2000), _web_address, *_more(kwargs)], **kwargs)


class Quantity(fields.String):
    """A Kubernetes quantity within sane bounds: cpu from 10m to 256, memory from 8Mi to 4Ti."""

    default_error_messages = _invalid("Must be a text such as 500m or 1Gi")

    def __init__(self, of: str, **kwargs: Any) -> None:
        super().__init__(validate=[_cpu if of == "cpu" else _memory, *_more(kwargs)], **kwargs)


class EnvVars(fields.Field[dict[str, str]]):
    """An object of texts: names of environment variables that the platform does not set itself."""

    most: ClassVar[int] = 200
    longest_bytes: ClassVar[int] = 32 * 1024

    default_error_messages = _invalid("Must be an object of texts")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise self.make_error("invalid")
        if len(value) > self.most:
            raise ma.ValidationError(f"At most {self.most} variables")
        faults = {
            name: [fault] for name, text in value.items() if (fault := _env_fault(name, text, self.longest_bytes))
        }
        if faults:
            raise ma.ValidationError(faults)
        return dict(value)


_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ENV_TAKEN = frozenset(
    {"BASH_ENV", "HOME", "HOST", "HOSTNAME", "IFS", "PATH", "PORT", "PWD", "SHELL", "TMPDIR", "USER"}
)
_ENV_TAKEN_PREFIXES = ("AIWORKER_", "DYLD_", "KUBERNETES_", "LD_")


def _env_fault(name: str, text: Any, longest_bytes: int) -> str | None:
    if not _ENV_NAME.fullmatch(name):
        return "Must be a name of letters, digits and underscores"
    if name.upper() in _ENV_TAKEN or name.upper().startswith(_ENV_TAKEN_PREFIXES):
        return "Is set by the platform"
    if not isinstance(text, str):
        return "Must be a text"
    if "\0" in text:
        return "Must not contain NUL"
    if len(text.encode("utf-8", "replace")) > longest_bytes:
        return f"Must have at most {longest_bytes} bytes"
    return None


_MILLICORES = re.compile(r"([0-9]{1,9})m")
_CORES = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")
_BYTES = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,3})?)(|k|M|G|T|Ki|Mi|Gi|Ti)")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


_NO_LIMIT = ": to a cluster, 0 is no limit at all; for the platform's own limit, leave it out"
_NOTHING = re.compile(r"0+(\.0+)?([kKMGT]i?|m)?")
"""What a cluster takes for the absence of a limit, and so would let one project take its nodes' memory."""


def _cpu(text: str) -> None:
    if milli := _MILLICORES.fullmatch(text):
        cores = int(milli[1]) / 1000
    elif _CORES.fullmatch(text):
        cores = float(text)
    else:
        raise ma.ValidationError("Not a CPU quantity such as 500m or 2")
    if not 0.01 <= cores <= 256:
        raise ma.ValidationError(f"Must be from 10m to 256{_NO_LIMIT if not cores else ''}")


def _memory(text: str) -> None:
    parts = _BYTES.fullmatch(text)
    is_none = _NOTHING.fullmatch(text) is not None
    if parts is None and not is_none:
        raise ma.ValidationError("Not a memory quantity such as 512Mi or 1Gi")
    if parts is None or not 8 * 2**20 <= float(parts[1]) * _UNITS[parts[2]] <= 4 * 2**40:
        raise ma.ValidationError(f"Must be from 8Mi to 4Ti{_NO_LIMIT if is_none else ''}")


def _web_address(text: str) -> None:
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError as error:
        raise ma.ValidationError("Not an http or https address") from error
    if not is_good or has_control(text) or " " in text or "\\" in text:
        raise ma.ValidationError("Not an http or https address")
    if "@" in parts.netloc:
        raise ma.ValidationError("Must not hold a username or password")


def _visible_line(text: str) -> None:
    if has_control(text) or has_invisible(text):
        raise ma.ValidationError("Must not contain control, bidirectional or invisible characters")


def _no_control(text: str) -> None:
    if has_control_but_lines(text):
        raise ma.ValidationError("Must not contain control characters")


def _length(least: int, most: int) -> str:
    return f"Must have {least} to {most} characters" if least else f"Must have at most {most} characters"


def _range(least: float | None, most: float | None) -> list[validate.Range]:
    if least is None and most is None:
        return []
    if least is None or most is None:
        return [
            validate.Range(
                least, most, error=f"Must be at least {least}" if most is None else f"Must be at most {most}"
            )
        ]
    return [validate.Range(least, most, error=f"Must be from {least} to {most}")]


def _more(kwargs: dict[str, Any]) -> list[Any]:
    more = kwargs.pop("validate", None)
    return [] if more is None else more if isinstance(more, list) else [more]
