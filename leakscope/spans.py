"""Spans of time and moments in words, for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_YEAR_S = 365.25 * 86400
# Beyond this a forecast from a watch of minutes or hours says no more than "not soon".
FORESEEABLE_S = 10 * _YEAR_S


def moment(at: float) -> str:
    """A moment, given in Unix seconds: `2026-03-01 14:02:11Z`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


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


_UNITS = ((1.0, "s", 120), (60.0, "min", 120), (3600.0, "h", 48), (86400.0, "d", 2 * 365))


def unit_of(seconds: float) -> float:
    """The unit, in seconds, in which an estimate is best told."""
    for unit_s, _, below in _UNITS:
        if round(seconds / unit_s) < below:
            return unit_s
    return _YEAR_S


def roughly(seconds: float, unit_s: float | None = None) -> str:
    """A span that is only estimated, in one unit: `40 s`, `12 min`, `14 h`, `9 d`, `3 years`."""
    if seconds >= FORESEEABLE_S:
        return f"more than {FORESEEABLE_S / _YEAR_S:.0f} years"
    unit_s = unit_of(seconds) if unit_s is None else unit_s
    names = {known_s: name for known_s, name, _ in _UNITS}
    return f"{seconds / unit_s:.0f} {names.get(unit_s, 'years')}"
