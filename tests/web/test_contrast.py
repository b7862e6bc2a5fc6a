"""Text on the page can be read in both schemes: WCAG AA asks for a contrast of 4.5 for text of its size."""

from __future__ import annotations

import re

import pytest

from web.page import STATIC

AA = 4.5
STYLES = "\n".join(path.read_text("utf-8") for path in sorted(STATIC.glob("css/*.css")))
PAIRS = dict(re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\);", STYLES))
SCHEMES = ("light", "dark")
TONES = ("mute", "busy", "ask", "good", "bad", "done")
SURFACES = ("bg", "side", "panel", "raised", "sunk")

Colour = tuple[float, float, float]


def _colour(name: str, scheme: str) -> Colour:
    """The custom property --name in one scheme; red, green and blue from 0 to 1."""
    return _rgb(PAIRS[name].split(", ")[SCHEMES.index(scheme)])


def _rgb(code: str) -> Colour:
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _mixed(colour: Colour, percent: float, over: Colour) -> Colour:
    """What `color-mix(in srgb, colour percent%, transparent)` looks like on something."""
    red, green, blue = (
        one * percent / 100 + other * (1 - percent / 100) for one, other in zip(colour, over, strict=True)
    )
    return red, green, blue


def _contrast(one: Colour, other: Colour) -> float:
    def luminance(colour: Colour) -> float:
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _rule(selector: str) -> str:
    """The declarations of every rule with exactly this selector; fails if there is none."""
    rules = re.findall(rf"(?:^|\}}\s*|\*/\s*){re.escape(selector)} \{{([^}}]*)\}}", STYLES)
    assert rules, selector
    return "".join(rules)


def test_the_contrast_is_that_of_wcag() -> None:
    assert _contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert _contrast((0x76 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_code_in_a_diff_can_be_read_in_all_its_colours(scheme: str) -> None:
    changed = re.findall(
        r"td\.code\.(?:insert|delete) \{\s*background: color-mix\(in srgb, var\(--(\w+)\) (\d+)%", STYLES
    )
    own = re.findall(r"\.hljs-[\w-]+ \{\s*color: light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLES)
    assert (len(changed), len(own)) == (2, 4)
    panel = _colour("panel", scheme)
    surfaces = [panel, *(_mixed(_colour(tone, scheme), float(percent), panel) for tone, percent in changed)]
    colours = [_rgb(pair[SCHEMES.index(scheme)]) for pair in own] + [_colour("ink", scheme), _colour("mute", scheme)]

    assert [ratio for one in colours for surface in surfaces if (ratio := _contrast(one, surface)) < AA] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_badge_can_be_read_wherever_it_stands(scheme: str) -> None:
    (percent,) = re.findall(r"background: color-mix\(in srgb, var\(--tone\) (\d+)%, transparent\)", _rule(".badge"))
    ratios = {
        (tone, surface): _contrast(
            _colour(tone, scheme), _mixed(_colour(tone, scheme), float(percent), _colour(surface, scheme))
        )
        for tone in TONES
        for surface in SURFACES
    }

    assert {place: round(ratio, 2) for place, ratio in ratios.items() if ratio < AA} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_of_each_colour_can_be_read_on_each_surface(scheme: str) -> None:
    ratios = {
        (text, surface): _contrast(_colour(text, scheme), _colour(surface, scheme))
        for text in ("ink", "soft", "brand", *TONES)
        for surface in SURFACES
    }

    assert {place: round(ratio, 2) for place, ratio in ratios.items() if ratio < AA} == {}


@pytest.mark.parametrize("selector", [".entry time", ".checks li.old .badge", ".checks li.old > span:nth-child(2)"])
def test_what_is_of_less_weight_is_not_faded(selector: str) -> None:
    """An opacity takes the contrast that the colours have."""
    assert "opacity" not in _rule(selector)


def test_every_program_output_can_be_scrolled_by_keyboard_and_says_what_it_is() -> None:
    """A transcript's plain entry does not scroll: it wraps, and its list is what scrolls."""
    texts = {path.name: path.read_text("utf-8") for path in sorted(STATIC.glob("app/**/*.mjs"))}
    outputs = [(name, tag) for name, text in texts.items() for tag in re.findall(r"<pre(\s[^>]*)>", text)]

    assert len(outputs) > 5
    assert [one for one in outputs if not re.search(r'tabindex="0".*role="group".*aria-label=', one[1])] == []
