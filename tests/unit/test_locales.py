"""Who sets the locale C wants ASCII, though Python would write UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from leakscope.locales import may_draw


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"LANG": "C"}, False),
        ({"LANG": "POSIX"}, False),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "C", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, True),
        ({"LANG": "C.UTF-8"}, True),
    ],
)
def test_the_first_that_is_set_decides(environment, expected):
    assert may_draw("utf-8", environment) is expected


def test_what_cannot_be_written_is_not_drawn():
    assert not may_draw("iso-8859-1", {"LANG": "de_DE.UTF-8"})
    assert not may_draw("ascii", {})


@pytest.mark.parametrize("variable", ["LC_ALL", "LC_CTYPE", "LANG"])
def test_python_does_not_hide_the_locale_that_was_asked_for(variable):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    code = "import sys; from leakscope.locales import may_draw; print(may_draw('utf-8'))"
    for locale, expected in (("C", "False"), ("C.UTF-8", "True")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**clean, variable: locale},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected
