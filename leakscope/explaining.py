"""A leak with all that can be said of it: how it waits, why it leaks, who is known to leak so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from leakscope.facts import Stay
from leakscope.leaks import Leak
from leakscope.model import ThreadKey
from leakscope.parked import waiting_evidence


def explained(leak: Leak, stays: Mapping[ThreadKey, Stay], python: str | None) -> Leak:
    """The leak with more evidence, its cause and its culprit, as far as these can be told."""
    # Long tables, which a process without a leak is not to wait for.
    from leakscope.causes import cause_of
    from leakscope.culprits import culprit_of

    members = [stays[key] for key in leak.leaked if key in stays]
    names = [stay.name for stay in members]
    return replace(
        leak,
        evidence=(*leak.evidence, *waiting_evidence(members, python)),
        cause=cause_of(leak, names),
        culprit=culprit_of(leak.frames, names),
    )
