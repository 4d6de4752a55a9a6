"""What a program that was run took; the programs are real."""

from __future__ import annotations

import os
import sys

from leakscope.sources.child import Child

BUSY = "import time\nwhile time.process_time() < 0.4: pass"


def test_the_time_of_a_child_is_its_own_when_two_run_at_once():
    busy = Child([sys.executable, "-c", BUSY], os.environ)
    idle = Child([sys.executable, "-S", "-c", ""], os.environ)
    assert busy.is_over(60)
    assert idle.is_over(60)
    assert busy.end() >= 0.4
    assert idle.end() < 0.4
    assert idle.answer() == (0, b"", b"")


def test_a_child_that_is_killed_says_so_by_its_status():
    child = Child([sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
    child.end()
    assert child.answer()[0] == -9
