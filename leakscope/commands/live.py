"""The live view on a terminal: the only place that takes the screen, and that gives it back.

A thread of its own draws and reads keys, so that a key acts at once, and a terminal that is slow or
halted (Ctrl-S) holds up the drawing and not the samples.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from leakscope.aside import Aside
from leakscope.keyboard import Keyboard, is_in_foreground
from leakscope.locales import may_draw
from leakscope.renderers.live.pressing import pressed
from leakscope.renderers.live.state import Setting, ViewState, Wish
from leakscope.renderers.live.view import view

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment

    from leakscope.report import Report

# An escape after which nothing comes for so long is the key, and no part of another one. A line
# that holds the rest back for longer than that is hardly usable anyway.
_ESCAPE_MS = 100
# For a terminal that takes nothing any more, as after Ctrl-S: then it is left as it is.
_PATIENCE_S = 2.0
_MOST_WAKES = 4096
_ENDING = "ending as soon as the look in flight is over; Ctrl-C ends at once"


class LiveView:
    """Shows report after report, as keys ask for it, until it is closed."""

    def __init__(
        self,
        console: Console,
        on_quit: Callable[[], None],
        write: Callable[[Report], str],
    ) -> None:
        """`on_quit` is called when the watch is to end, `write` for a file: it says what it did."""
        self._console = console
        self._on_quit = on_quit
        self._write = write
        self._keyboard = Keyboard()
        self._aside = Aside()
        self._setting = Setting(
            unicode=may_draw(console.encoding), has_keys=self._keyboard.is_there
        )
        self._state = ViewState()
        self._latest: Report | None = None
        self.cpu_s = 0.0  # what drawing and keys have taken
        self._drawn: list[list[Segment]] = []
        self._has_screen = self._is_closed = self._is_to_stop = False
        self._failure: BaseException | None = None
        self._wakes, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._wakes, False)
        self._signals: dict[signal.Signals, Any] = {}
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)

    def __enter__(self) -> LiveView:
        self._signals = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGWINCH, self._on_signal),
                (signal.SIGCONT, self._on_signal),
                (signal.SIGTSTP, self._on_stop),
                (signal.SIGQUIT, self._on_crash),
            )
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._close()
        finally:
            for number, handler in self._signals.items():
                signal.signal(number, handler)
            # Not sooner: a signal writes into it.
            if not self._thread.is_alive():
                os.close(self._wakes)
                os.close(self._waker)
        if error is None:
            self._raise_failure()

    def update(self, report: Report, setting: Setting) -> None:
        """Show this report from now on. Raises whatever went wrong in drawing."""
        self._raise_failure()
        self._latest = report
        self._setting = setting._replace(
            unicode=self._setting.unicode, has_keys=self._setting.has_keys
        )
        self._wake()

    # --- the main thread --------------------------------------------------------------------------

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it will wake up anyway
            os.write(self._waker, b"x")

    def _close(self) -> None:
        self._is_closed = True
        self._wake()
        try:
            self._thread.join(_PATIENCE_S)
        finally:
            self._keyboard.give_back()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._wake()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_to_stop = True
        self._wake()

    def _on_crash(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-\\ ends the program at once; only the terminal is given back first."""
        self._close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    # --- the thread that has the terminal ---------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_closed:
                self._wait()
                if self._is_to_stop:
                    self._stop()
                if not self._is_closed and self._latest is not None:
                    self._take()
                    self._draw(self._latest)
                self.cpu_s = time.thread_time()
        except BaseException as error:
            # The main thread raises it with its next report; without a terminal there is none.
            self._failure = None if isinstance(error, OSError) else error
            self._on_quit()
        finally:
            self._give_back()

    def _wait(self) -> None:
        """Until there is a report, a key, a signal, or a word on standard error."""
        poll = select.poll()
        for handle in (self._wakes, self._keyboard.handle, self._aside.reader):
            if handle is not None:
                poll.register(handle, select.POLLIN)
        begun = self._keyboard.waits_for_more
        ready = [handle for handle, _ in poll.poll(_ESCAPE_MS if begun else None)]
        if self._wakes in ready:
            os.read(self._wakes, _MOST_WAKES)
        if self._aside.reader in ready:
            self._state = replace(self._state, message=self._aside.read())
        if self._keyboard.handle in ready:
            self._press(self._keyboard.read())
        elif begun:
            self._press(self._keyboard.at_rest())

    def _press(self, keys: list[str]) -> None:
        for key in keys:
            if self._latest is None:
                return
            self._state = pressed(self._state, key, self._latest, self._setting)
            if self._state.wish is Wish.QUIT:
                self._state = replace(self._state, message=_ENDING)
                self._on_quit()
            elif self._state.wish is Wish.WRITE:
                self._state = replace(self._state, message=self._write(self._latest))
            elif self._state.wish is Wish.REDRAW:
                self._drawn = []

    def _take(self) -> None:
        """Have the screen, unless a shell has it now; how it looked comes back afterwards."""
        if self._has_screen or not is_in_foreground():
            return
        self._has_screen = True
        self._aside.take()
        self._keyboard.take()
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)
        self._drawn = []

    def _give_back(self) -> None:
        if not self._has_screen:
            return
        self._has_screen = False
        try:
            with contextlib.suppress(OSError):  # the terminal has gone
                self._console.show_cursor(True)
                self._console.set_alt_screen(False)
        finally:
            self._keyboard.give_back()
            self._aside.give_back()

    def _stop(self) -> None:
        """As Ctrl-Z asks; it goes on here when it is continued."""
        self._is_to_stop = False
        self._give_back()
        # To this thread, which then stops here and nowhere later; the others stop with it.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def _draw(self, latest: Report) -> None:
        """Send the lines that changed, at once: no flicker, and little over a slow line."""
        if not self._has_screen:
            return
        width, height = _size()
        if (width, height) != (self._state.width, self._state.height):
            self._state = replace(self._state, width=width, height=height)
            self._drawn = []
        options = self._console.options.update(width=width, height=height)
        drawing = view(latest, self._state, self._setting)
        lines = self._console.render_lines(drawing, options)[:height]
        with self._console:
            for y, line in enumerate(lines):
                if y >= len(self._drawn) or line != self._drawn[y]:
                    self._console.update_screen_lines([line], 0, y)
        self._drawn = lines


def _size() -> tuple[int, int]:
    """Columns and lines of the terminal now, whatever the environment says of it."""
    try:
        width, height = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        width = height = 0
    return (width or 80, height or 24)
