"""The fields that requests and replies consist of, and the base of all schemas.

Keys are camelCase in JSON and snake_case in Python. Reading is strict: a number is not accepted for a text, nor a text
for a number, nor an unknown key. The same classes describe the API at /api/openapi.json.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypedDict, Unpack

import marshmallow as ma
from marshmallow import fields
from marshmallow.types import Validator
from marshmallow.validate import Length, OneOf, Range, Regexp

from common.errors import Invalid
from common.events.catalogue import ADMINISTRATION, PLATFORM
from common.machine.text import SPACES, camel_case, has_control, has_control_but_lines, has_invisible, is_blank
from common.values.states import Priority, Role

UNKNOWN = "Unknown field"
READ_ONLY = "Read-only field"

UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
AGENT_ID_PATTERN = r"agent-[0-9a-f]{12}"
QUESTION_ID_PATTERN = rf"q-{UUID_PATTERN}"


AnyField = fields.Field[Any]
Checks = Validator | list[Validator] | None


class FieldOptions(TypedDict, total=False):
    """The options of marshmallow's fields that ours pass on."""

    required: bool
    load_default: object
    allow_none: bool
    attribute: str
    metadata: Mapping[str, object]


def refused_if(fault_of: Callable[[str], str | None]) -> Validator:
    """A check that refuses a text for the reason that fault_of returns; None accepts it."""

    def check(text: str) -> None:
        fault = fault_of(text)
        if fault is not None:
            raise ma.ValidationError(fault)

    return check


def not_blank(text: str) -> None:
    """A check that refuses a text of spaces, line ends and invisible characters alone."""
    if is_blank(text):
        raise ma.ValidationError("Must not be blank")


def at_most(most: int) -> Validator:
    """A check that refuses a list of more entries."""
    return Length(max=most, error=f"At most {most}")


def _invalid(message: str) -> dict[str, str | list[str] | dict[str, str]]:
    return {"invalid": message}


def _checks(own: list[Validator], more: Checks) -> list[Validator]:
    return own if more is None else [*own, *more] if isinstance(more, list) else [*own, more]


_OF_MARSHMALLOW: dict[type[AnyField], str] = {
    fields.List: "Must be a list", fields.Mapping: "Must be an object", fields.String: "Must be a text",
    fields.Boolean: "Must be true or false",
}  # fmt: skip
"""What is said of a value of another kind, where a field of marshmallow's own has no words of ours."""


def _say_in_our_words(field: AnyField) -> None:
    """Replace what marshmallow says of a value, here and in the parts of a list or an object, which no schema binds."""
    field.error_messages |= {"required": "Required", "null": "Must not be null"}
    for kind, message in _OF_MARSHMALLOW.items():
        if isinstance(field, kind) and field.error_messages["invalid"] == kind.default_error_messages["invalid"]:
            field.error_messages["invalid"] = message
    for name in ("inner", "key_field", "value_field"):
        if (part := getattr(field, name, None)) is not None:
            _say_in_our_words(part)


class Schema(ma.Schema):
    """The base of all schemas of bodies, queries and replies.

    read_only: keys (camelCase) that exist in replies and are refused in requests. makes: called with what was read, as
    keyword arguments; loading returns its result. None: loading returns a dict. shows: the attribute of a written
    object where its missing attributes are looked up, such as the row in a view of it.
    """

    read_only: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[Callable[..., object] | None] = None
    shows: ClassVar[str | None] = None
    error_messages: ClassVar[dict[str, str]] = {"unknown": UNKNOWN, "type": "Must be an object"}  # type: ignore[misc]

    class Meta:
        unknown = ma.RAISE

    def on_bind_field(self, field_name: str, field_obj: AnyField) -> None:
        field_obj.data_key = camel_case(field_obj.data_key or field_name)
        _say_in_our_words(field_obj)

    @functools.cached_property
    def may_be_absent(self) -> frozenset[str]:
        """The fields that need not be sent, and then are not in what was read: marshmallow need not look at them."""
        return frozenset(
            name for name, field in self.load_fields.items() if not field.required and field.load_default is ma.missing
        )

    def get_attribute(self, obj: object, attr: str, default: object) -> object:
        """An attribute of the object, else of what it shows, else the default."""
        found = super().get_attribute(obj, attr, ma.missing)
        if found is ma.missing and self.shows is not None:
            found = super().get_attribute(getattr(obj, self.shows, obj), attr, ma.missing)
        return default if found is ma.missing else found

    @ma.post_load
    def _make(self, loaded: dict[str, object], **_context: object) -> object:
        if self.makes is None:
            return loaded
        try:
            return type(self).makes(**loaded)  # type: ignore[misc]
        except Invalid as error:
            raise ma.ValidationError({camel_case(error.field): [error.message]}) from error

    def handle_error(self, error: ma.ValidationError, data: object, *, many: bool, **kwargs: object) -> None:
        """Report a key that exists in replies alone as read-only, not as unknown."""
        if isinstance(error.messages, dict):
            for key in self.read_only:
                if error.messages.get(key) == [UNKNOWN]:
                    error.messages[key] = [READ_ONLY]


class NoFields(Schema):
    """The body of an act that takes none: absent, or an empty object."""


class Text(fields.String):
    """Lines of text, at most `most` characters. Tabs and line ends are the only control characters allowed."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, most: int, *, least: int = 0, validate: Checks = None, **options: Unpack[FieldOptions]) -> None:
        length = Length(min=least, max=most, error=_length(least, most))
        super().__init__(validate=_checks([length, _no_control], validate), **options)


class Line(fields.String):
    """One line of visible characters, not blank, at most `most` of them; spaces around it are removed."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, most: int, *, validate: Checks = None, **options: Unpack[FieldOptions]) -> None:
        length = Length(min=1, max=most, error=_length(1, most))
        super().__init__(validate=_checks([length, _visible_line], validate), **options)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> str:
        # Only spaces: a line end at the edge is a mistake, and _visible_line reports it.
        return super()._deserialize(value, attr, data, **kwargs).strip(SPACES)


class Name(Line):
    """1 to 100 visible characters."""

    def __init__(self, **options: Unpack[FieldOptions]) -> None:
        super().__init__(100, **options)


class Integer(fields.Integer):
    """A whole number in JSON: not "2", not 2.0, not true."""

    default_error_messages = _invalid("Must be a whole number")

    def __init__(self, least: int | None = None, most: int | None = None, **options: Unpack[FieldOptions]) -> None:
        super().__init__(strict=True, validate=_range(least, most), **options)


class Number(fields.Float):
    """A finite number in JSON: not "2.5", not true."""

    default_error_messages = _invalid("Must be a number")

    def __init__(self, least: float | None = None, most: float | None = None, **options: Unpack[FieldOptions]) -> None:
        super().__init__(validate=_range(least, most), **options)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Boolean(fields.Boolean):
    """true or false; no number or text is taken for one."""

    default_error_messages = _invalid("Must be true or false")

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Choice(fields.String):
    """One of several words, given as a StrEnum or a list. Read as str."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, of: type[StrEnum] | Iterable[str], **options: Unpack[FieldOptions]) -> None:
        words = [str(word) for word in of]
        super().__init__(validate=[OneOf(words, error=f"Must be one of: {', '.join(words)}")], **options)


class Label(fields.String):
    """A Role or a Priority: its lower-case name in JSON, the enum's member in Python."""

    default_error_messages = _invalid("Must be a text")

    def __init__(self, of: type[Role] | type[Priority], **options: Unpack[FieldOptions]) -> None:
        self.of = of
        labels = [member.label for member in of]
        self._message = f"Must be one of: {', '.join(labels)}"
        options["metadata"] = {"enum": labels, **options.get("metadata", {})}
        super().__init__(**options)

    def label_of(self, value: int) -> str:
        """The name of a member, or of its number, as columns hold it."""
        return self.of(value).label

    def _serialize(  # type: ignore[override]
        self, value: int | None, attr: str | None, obj: object, **kwargs: object
    ) -> str | None:
        return None if value is None else self.label_of(value)

    def _deserialize(  # type: ignore[override]
        self, value: object, attr: str | None, data: object, **kwargs: object
    ) -> Role | Priority:
        for member in self.of:
            if member.label == value:
                return member
        raise ma.ValidationError(self._message)


class Id(fields.String):
    """A UUID in lower case."""

    default_error_messages = _invalid("Must be a text")
    pattern: ClassVar[str] = UUID_PATTERN
    refusal: ClassVar[str] = "Not an id"

    def __init__(self, **options: Unpack[FieldOptions]) -> None:
        super().__init__(validate=[Regexp(rf"^{self.pattern}\Z", error=self.refusal)], **options)


class FeedId(Id):
    """A project's id, or the name of a feed that belongs to no project."""

    pattern = rf"(?:{UUID_PATTERN}|{PLATFORM}|{ADMINISTRATION})"


class AgentId(Id):
    """`agent-` and 12 hex digits."""

    pattern = AGENT_ID_PATTERN
    refusal = "Not an agent's id"


class QuestionId(Id):
    """`q-` and a UUID."""

    pattern = QUESTION_ID_PATTERN
    refusal = "Not a question's id"


class Timestamp(fields.Field[datetime]):
    """Written as ISO 8601 in UTC with `Z`. Read as ISO 8601 with any zone; one without a zone is refused."""

    default_error_messages = _invalid("Must be a time in ISO 8601 with a zone")

    def _serialize(self, value: datetime | None, attr: str | None, obj: object, **kwargs: object) -> str | None:
        return None if value is None else iso(value)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> datetime:
        try:
            parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
            if parsed is not None and parsed.tzinfo is not None:
                return parsed.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error
        raise self.make_error("invalid")


class WholeObject(fields.Nested):
    """A part of the reply that is written from the whole object, not from one of its attributes."""

    def get_value(self, obj: object, attr: str, accessor: object = None, default: object = ma.missing) -> object:
        return obj


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Quantity(fields.String):
    """A Kubernetes quantity: cpu from 10m to 256, memory from 8Mi to 4Ti."""

    default_error_messages = _invalid("Must be a text such as 500m or 1Gi")

    def __init__(self, of: Literal["cpu", "memory"], **options: Unpack[FieldOptions]) -> None:
        super().__init__(validate=[_cpu if of == "cpu" else _memory], **options)


class Texts(fields.Field[dict[str, object]]):
    """An object of at most `most` texts, and of nulls if fault_of takes None. fault_of: what is wrong with a name and
    its value; None if nothing is."""

    default_error_messages = _invalid("Must be an object of texts")

    def __init__(
        self, most: int, what: str, fault_of: Callable[[str, object], str | None], **options: Unpack[FieldOptions]
    ) -> None:
        self._most, self._what, self._fault_of = most, what, fault_of
        super().__init__(**options)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise self.make_error("invalid")
        if len(value) > self._most:
            raise ma.ValidationError(f"At most {self._most} {self._what}")
        faults = {name: [fault] for name, text in value.items() if (fault := self._fault_of(name, text))}
        if faults:
            raise ma.ValidationError(faults)
        return dict(value)


_MILLICORES = re.compile(r"([0-9]{1,9})m")
_CORES = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,3})?")
_BYTES = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,3})?)(|k|M|G|T|Ki|Mi|Gi|Ti)")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_NO_LIMIT = ": to a cluster, 0 is no limit at all; for the platform's own limit, leave it out"
_NOTHING = re.compile(r"0+(\.0+)?([kKMGT]i?|m)?")
"""Zero: a cluster reads it as "no limit", and one project could use all memory of its nodes."""


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


def _visible_line(text: str) -> None:
    if has_control(text) or has_invisible(text):
        raise ma.ValidationError("Must not contain control, bidirectional or invisible characters")
    if text.isspace():
        raise ma.ValidationError("Must not be blank")


def _no_control(text: str) -> None:
    if has_control_but_lines(text):
        raise ma.ValidationError("Must not contain control characters")


def _length(least: int, most: int) -> str:
    return f"Must have {least} to {most} characters" if least else f"Must have at most {most} characters"


def _range(least: float | None, most: float | None) -> list[Validator]:
    if least is None and most is None:
        return []
    if most is None:
        error = f"Must be at least {least}"
    else:
        error = f"Must be at most {most}" if least is None else f"Must be from {least} to {most}"
    return [Range(least, most, error=error)]
