"""Spans of time in words, for people. Pure."""

from __future__ import annotations

_YEAR_S = 365.25 * 86400
# Beyond this a forecast from a watch of minutes or hours says no more than "not soon".
FORESEEABLE_S = 10 * _YEAR_S


def duration(seconds: float) -> str:
    """A span of time for people: `4.2 s`, `12 min`, `6 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def roughly(seconds: float) -> str:
    """A span that is only estimated, in one unit: `40 s`, `12 min`, `14 h`, `9 d`, `3 years`."""
    for unit, unit_s, below in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if round(seconds / unit_s) < below:
            return f"{seconds / unit_s:.0f} {unit}"
    if seconds < 2 * _YEAR_S:
        return f"{seconds / 86400:.0f} d"
    if seconds < FORESEEABLE_S:
        return f"{seconds / _YEAR_S:.0f} years"
    return f"more than {FORESEEABLE_S / _YEAR_S:.0f} years"
