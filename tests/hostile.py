"""Text that would steer a terminal if it reached one, and what must never come out."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import strategies as st

# None of leakscope's own colours: where this is on, it was the target's.
_PAINT = "\x1b[38;5;201m"

HOSTILE = {
    "CSI": f"{_PAINT}csi\x1b[2J\x1b[1;1H\x1b[?1049h",
    "OSC": "\x1b]0;osc\x07\x1b]8;;http://example.invalid\x1b\\link\x1b]52;c;ZXZpbA==\x07",
    "DCS": "\x1bPdcs\x1b\\\x1b_apc\x1b\\\x1bc",
    "C1": "c1\x9b2J\x9d0;title\x9c\x85\x84",
    "markup": "[bold red]markup[/bold red][link=http://example.invalid]x[/][/]",
    "lines": "lines\nLEAK 1  forged\r\n\x0b\x0c\x1c\x1d\x1e",
    "return": "return\rclean: no leak",
    "tab": "tab\t\x08\x08\x08\x7f\x00\x07",
    "bidi": "bidi\u202e\u202d\u202a\u202b\u202c\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "unseen": "unseen\u200b\u200c\u200d\u2060\ufeff\u00ad\u2028\u2029\U000e0041",
    "HTML": "<script>alert(1)</script>&lt;'\"<img src=x onerror=alert(1)>",
    "shell": "$(reboot) `reboot` ; reboot | reboot %s %n {0} \\x1b",
    "long": "long " + "x" * 4000,
}
# Python has it, UTF-8 does not; py-spy reads no name at all where one holds it.
SURROGATE = "surrogate\udcff\ud800"
# All that, and what nobody has thought of.
EVIL = st.one_of(
    st.sampled_from([*HOSTILE.values(), SURROGATE]),
    st.text(st.characters(exclude_categories=()), max_size=12),
    st.text(st.sampled_from("\x1b[]0;m\x07\x9b\n\r\t\u202e\u2066<>&[/bold]\ud800"), max_size=12),
)  # fmt: skip

# The colours that a text report and a live view have: rich's SGR, with or without parameters.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# What rich's live view steers by: to a line and column, the other screen and back, hide, show.
_LIVE = re.compile(r"\x1b\[(?:\d+;\d+H|H|\?1049[lh]|\?25[lh])|\r")


def harmful(text: str, *, live: bool = False) -> set[str]:
    """What is in it of the characters that steer or hide, but for leakscope's own and newlines."""
    assert _PAINT not in text
    assert "\x1b[38" not in text
    rest = _COLOUR.sub("", _LIVE.sub("", text) if live else text)
    return {
        char
        for char in rest
        if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    }
