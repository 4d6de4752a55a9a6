"""Which of the signals that came to leakscope the program is to be sent."""

from __future__ import annotations

from signal import SIGCONT, SIGINT, SIGTERM, SIGTSTP, SIGTTIN, SIGUSR1

import pytest

from leakscope.sources.relay import _meant_for_program


@pytest.mark.parametrize(
    ("came", "reached", "meant"),
    [
        ([SIGTERM], set(), [SIGTERM]),
        ([SIGTERM], {SIGTERM}, []),
        ([SIGTERM, SIGUSR1], {SIGTERM}, [SIGUSR1]),
        ([SIGINT, SIGTERM], {SIGUSR1}, [SIGINT, SIGTERM]),
        # To the group: stopped and continued at once, of which the witness shows the latter only.
        ([SIGTSTP], {SIGCONT}, []),
        ([SIGCONT], {SIGTSTP}, []),
        # To leakscope alone, one after the other: the latter is what holds.
        ([SIGTSTP, SIGCONT], set(), [SIGCONT]),
        ([SIGCONT, SIGTTIN], set(), [SIGTTIN]),
        ([SIGTERM, SIGCONT], set(), [SIGTERM, SIGCONT]),
    ],
)
def test_what_has_not_reached_the_program_is_meant_for_it(came, reached, meant):
    assert list(_meant_for_program(came, reached)) == meant
