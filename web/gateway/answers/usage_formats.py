"""What an answer says of its usage, in each of the four formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from common.values.runs.model_provider import PriceTerms, Sampling, TokenCount
from web.gateway.model_apis import message_of

Event = Mapping[str, object]


@dataclass
class Usage:
    """What an answer has said so far. is_final: it has named the usage of the whole call. is_last: the event that named
    it ends a stream; False also where the format does not show that. error: what failed after the status said that all
    is well; None: nothing. failed: that error as the provider wrote it; None also if it is no object.

    events: of a stream; text_bytes: of the text in them, nearly. body_bytes: the size of an answer that is no stream,
    or that can't be read. tier, speed, units: see `PriceTerms`. contained, beside: the samplings that an answer of
    Anthropic's lists, by whether `input` and so on contain their tokens.
    """

    model: str | None = None
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    output: int = 0
    is_final: bool = False
    is_last: bool = False
    error: str | None = None
    failed: Event | None = None
    events: int = 0
    text_bytes: int = 0
    body_bytes: int = 0
    tier: str | None = None
    speed: str | None = None
    units: dict[str, int] = field(default_factory=dict)
    contained: list[Sampling] = field(default_factory=list)
    beside: list[Sampling] = field(default_factory=list)

    def count(self) -> TokenCount:
        """All tokens of the call."""
        return sum((one.count for one in self.samplings()), TokenCount())

    def samplings(self) -> list[Sampling]:
        """What is priced by itself, added up the whole: first what is in none that the answer lists."""
        listed = sum((one.count for one in self.contained), TokenCount())
        write = max(self.cache_write - listed.cache_write, 0)
        rest = TokenCount(
            max(self.input - listed.input, 0),
            max(self.cached - listed.cached, 0),
            write,
            max(self.output - listed.output, 0),
            min(max(self.cache_write_hour - listed.cache_write_hour, 0), write),
        )
        return [Sampling(rest), *self.contained, *self.beside]

    def terms(self) -> PriceTerms:
        return PriceTerms(self.tier, self.speed, dict(self.units))


Take = Callable[[Usage, Event], None]


def _number(of: Event, name: str) -> int | None:
    """A number of tokens; None if the provider does not name it. Anything but a sane number counts as not named."""
    value = of.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**12
    return int(value) if is_number else None  # type: ignore[call-overload]


def _part(of: Event, name: str) -> Event:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _parts(of: Event, name: str) -> list[Event]:
    found = of.get(name)
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _name_model(usage: Usage, name: object) -> None:
    if isinstance(name, str) and name:
        usage.model = name


def _name_tier(usage: Usage, name: object) -> None:
    if isinstance(name, str) and name:
        usage.tier = name.lower()


def take_error(usage: Usage, event: Event) -> bool:
    """Note the error that an event, or an answer in JSON, contains or is. Returns whether there is one."""
    said = _part(event, "response") if "response" in event else event
    error = said.get("error") or (event if event.get("type") == "error" else None)
    if error:
        usage.error = message_of(error) or "the answer contains an error"
        usage.failed = error if isinstance(error, dict) else None
    return bool(error)


def take_anthropic(usage: Usage, event: Event) -> None:
    """A stream names the input in message_start, and the output and sometimes all again in message_delta."""
    kind = str(event.get("type"))
    message = _part(event, "message") if kind == "message_start" else event
    if kind not in {"message_start", "message_delta", "message"}:
        return
    _name_model(usage, message.get("model"))
    said = _part(message, "usage")
    for ours, theirs in (
        ("input", "input_tokens"),
        ("cached", "cache_read_input_tokens"),
        ("cache_write", "cache_creation_input_tokens"),
        ("output", "output_tokens"),
    ):
        number = _number(said, theirs)
        if number is not None:
            setattr(usage, ours, number)
    hour = _number(_part(said, "cache_creation"), "ephemeral_1h_input_tokens")
    usage.cache_write_hour = usage.cache_write_hour if hour is None else hour
    _take_iterations(usage, said)
    _name_tier(usage, said.get("service_tier"))
    speed = said.get("speed")
    usage.speed = speed if isinstance(speed, str) else usage.speed
    searches = _number(_part(said, "server_tool_use"), "web_search_requests")
    if searches is not None:
        usage.units["web_searches"] = searches
    usage.is_final = kind != "message_start" and "output_tokens" in said
    usage.is_last = kind == "message_delta" and usage.is_final


_BESIDE = {"compaction", "advisor_message"}


def _take_iterations(usage: Usage, said: Event) -> None:
    """The usage of each sampling. That of the whole answer contains neither those that compact the context nor those of
    an advisor, and both are paid for.

    https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage
    """
    if not isinstance(said.get("iterations"), list):
        return
    usage.contained, usage.beside = [], []
    for one in _parts(said, "iterations"):
        written = _number(one, "cache_creation_input_tokens") or 0
        hour = _number(_part(one, "cache_creation"), "ephemeral_1h_input_tokens") or 0
        count = TokenCount(
            _number(one, "input_tokens") or 0,
            _number(one, "cache_read_input_tokens") or 0,
            written,
            _number(one, "output_tokens") or 0,
            min(hour, written),
        )
        model = one.get("model")
        to = usage.beside if str(one.get("type")) in _BESIDE else usage.contained
        to.append(Sampling(count, model if isinstance(model, str) and model else None))


def take_responses(usage: Usage, event: Event) -> None:
    """The usage is in the last event of a stream: response.completed, .incomplete or .failed."""
    response = _part(event, "response") if "response" in event else event
    _name_model(usage, response.get("model"))
    _name_tier(usage, response.get("service_tier"))
    said = _part(response, "usage")
    if said:
        output = _parts(response, "output")
        usage.units["web_searches"] = sum(map(_is_web_search, output))
        usage.units["storage_searches"] = sum(part.get("type") == "file_search_call" for part in output)
        _take_openai(usage, said, "input_tokens", "input_tokens_details", "output_tokens")
        usage.is_last = str(event.get("type")) in _LAST_OF_RESPONSES


_LAST_OF_RESPONSES = {"response.completed", "response.incomplete", "response.failed"}


def _is_web_search(part: Event) -> bool:
    """OpenAI charges for searches, and not for opening a page or looking for text in one."""
    return part.get("type") == "web_search_call" and _part(part, "action").get("type", "search") == "search"


def take_chat(usage: Usage, event: Event) -> None:
    """The usage is in the last chunk, if the request asked for it. Some servers send it in every chunk, rising."""
    _name_model(usage, event.get("model"))
    _name_tier(usage, event.get("service_tier"))
    said = _part(event, "usage")
    if said:
        _take_openai(usage, said, "prompt_tokens", "prompt_tokens_details", "completion_tokens")
        # A chunk with text may name the usage so far.
        usage.is_last = event.get("choices") == []


def _take_openai(usage: Usage, said: Event, input_name: str, details_name: str, output_name: str) -> None:
    """OpenAI's input contains what was read from the cache and written to it; its output contains the reasoning.

    At api.x.ai, and at Gemini behind this API, the total alone contains the reasoning.
    """
    everything, details = _number(said, input_name) or 0, _part(said, details_name)
    # Some servers that speak Chat Completions have cached_tokens beside the others.
    cached = _number(details, "cached_tokens") or _number(said, "cached_tokens") or 0
    usage.cached = min(cached, everything)
    usage.cache_write = min(_number(details, "cache_write_tokens") or 0, everything - usage.cached)
    usage.input = everything - usage.cached - usage.cache_write
    usage.output = _number(said, output_name) or 0
    beside = (_number(said, "total_tokens") or 0) - everything - usage.output
    # Some servers count what was cached twice in the total.
    if beside > 0 and beside not in {usage.cached, usage.cached + usage.cache_write}:
        usage.output += beside
    made = _part(said, f"{output_name}_details")
    for modality in ("audio", "image"):
        read = min(_number(details, f"{modality}_tokens") or 0, usage.input)
        _note_modality(usage, modality, read, 0, _number(made, f"{modality}_tokens") or 0)
    usage.is_final = True


def _note_modality(usage: Usage, modality: str, read: int, cached: int, made: int) -> None:
    """Tokens that are no text. cached: those of them that were read from a cache."""
    if read:
        # Where only one of the two is given, the price list asks for the other.
        usage.units |= {f"input_{modality}_tokens": read, f"cache_{modality}_read_tokens": cached}
    if made:
        usage.units[f"output_{modality}_tokens"] = made


def take_gemini(usage: Usage, event: Event) -> None:
    """Each part names the usage so far; the last one counts. Thoughts are paid for as output."""
    _name_model(usage, event.get("modelVersion"))
    # The parts of a stream may repeat what was searched for, or name it once.
    usage.units["web_searches"] = max(usage.units.get("web_searches", 0), _gemini_searches(usage.model or "", event))
    said = _part(event, "usageMetadata")
    if not said:
        return
    _name_tier(usage, said.get("serviceTier"))
    prompt = (_number(said, "promptTokenCount") or 0) + (_number(said, "toolUsePromptTokenCount") or 0)
    cached = min(_number(said, "cachedContentTokenCount") or 0, prompt)
    usage.input, usage.cached = prompt - cached, cached
    usage.output = (_number(said, "candidatesTokenCount") or 0) + (_number(said, "thoughtsTokenCount") or 0)
    read, kept, made = (_by_modality(said, f"{name}TokensDetails") for name in ("prompt", "cache", "candidates"))
    for modality in ("audio", "image", "video"):
        _note_modality(usage, modality, *(counts.get(modality, 0) for counts in (read, kept, made)))
    usage.is_final = True


def _by_modality(of: Event, name: str) -> dict[str, int]:
    """The tokens in a list of Gemini's, by modality in lower case."""
    counts: dict[str, int] = {}
    for part in _parts(of, name):
        modality = str(part.get("modality")).lower()
        counts[modality] = counts.get(modality, 0) + (_number(part, "tokenCount") or 0)
    return counts


def _gemini_searches(model: str, event: Event) -> int:
    """Searches of Google that are paid for: each one since Gemini 3; before, one for each request that searches.

    https://ai.google.dev/gemini-api/docs/google-search#pricing
    """
    found = [_part(one, "groundingMetadata").get("webSearchQueries") for one in _parts(event, "candidates")]
    number = sum(len(queries) for queries in found if isinstance(queries, list))
    return min(number, 1) if model.startswith(("gemini-1", "gemini-2")) else number
