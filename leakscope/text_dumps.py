"""py-spy's text read into stacks: what people paste, save and attach to tickets. Pure.

    Process 1234: python app.py
    Python v3.11.7 (/usr/bin/python3.11)

    Thread 28930 (idle): "worker-1"
        get (queue.py:171)

Nothing in it is quoted: the command and a thread's name can hold anything, ends of lines included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from leakscope.model import Frame, Frames

# A dump that went through a terminal (`script`, `kubectl exec -t`) has colours.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PROCESS = re.compile(r"Process (\d+): ")
_PYTHON = re.compile(r"Python v\d")
# The id is the address of the pthread, in hex, where py-spy could not learn the kernel's.
_THREAD = re.compile(r"Thread (?:\d+|0x[0-9A-F]+) \([a-z+]+\)(?P<name>: \".*)?$", re.DOTALL)
# Python's functions have neither blanks nor brackets; C++ names of --native have both.
_FRAME = re.compile(
    r" {4}(?:(?P<python>[^\s(]+) \((?!\))|(?P<native>\S.*) \()(?P<file>.*?)(?::(?P<line>\d+))?\)$"
)
_LOCALS = " " * 8  # of --locals
_RULE = re.compile(r"-{20,}$")  # between the processes of --subprocesses


class BadText(ValueError):
    """A text that py-spy did not print; `line` is where, from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def looks_like_text(text: str) -> bool:
    """Whether a file begins as a text dump does."""
    first = _COLOURS.sub("", text.lstrip().partition("\n")[0]).rstrip()
    return bool(_PROCESS.match(first) or _THREAD.match(first))


def parse_text(text: str) -> tuple[Frames, ...]:
    """The stack of each thread; of dumps that were appended to each other, those of the last.

    Raises BadText.
    """
    reader = _Reader()
    number = 0
    for number, line in enumerate(_lines(_COLOURS.sub("", text)), 1):
        if not reader.take(line.removesuffix("\r")):
            raise BadText("not a line of py-spy's text", number)
    if reader.in_name:
        raise BadText("it ends within the name of a thread", number)
    if not reader.stacks:
        raise BadText("no threads in it", number)
    return tuple(tuple(stack) for stack in reader.stacks)


def _lines(text: str) -> Iterator[str]:
    """One after the other: a list of all would take many times the memory of the text."""
    at = 0
    while (end := text.find("\n", at)) >= 0:
        yield text[at:end]
        at = end + 1
    yield text[at:]


class _Reader:
    def __init__(self) -> None:
        self.stacks: list[list[Frame]] = []
        self.in_name = False
        self._in_head = False  # what is said of a process, up to its first thread
        self._python_said = False
        self._in_locals = False
        self._pids: set[str] = set()

    def take(self, line: str) -> bool:
        """Read a line; False where it is none of py-spy's."""
        if self.in_name:
            self.in_name = not line.endswith('"')
            return True
        thread = _THREAD.match(line)
        if thread and (self._python_said or not self._in_head):
            self._in_head = self._in_locals = False
            self.stacks.append([])
            name = thread["name"]
            self.in_name = bool(name) and (not name.endswith('"') or name == ': "')
            return True
        if self._in_head:
            self._python_said = self._python_said or bool(_PYTHON.match(line))
            return True
        return self._process(line) or self._in_stack(line)

    def _process(self, line: str) -> bool:
        process = _PROCESS.match(line)
        if process is None:
            return False
        self._in_head, self._python_said = True, False
        if process[1] in self._pids:  # another dump, in the same file
            self.stacks.clear()
            self._pids.clear()
        self._pids.add(process[1])
        return True

    def _in_stack(self, line: str) -> bool:
        if not line.strip() or _RULE.match(line):
            return True
        if not self.stacks:
            return False
        if line.startswith(_LOCALS):
            self._in_locals = True
            return True
        # Not for a match alone: trying each bracket of a long line for the last would take hours.
        found = _FRAME.match(line) if line.endswith(")") else None
        if found is None:
            # The rest of a name such as `a"` and `b`, or of a value of --locals.
            return not self.stacks[-1] or self._in_locals
        self._in_locals = False
        function = found["python"] or found["native"]
        # py-spy leaves out a line number that it doesn't know. More digits than ten are no line.
        self.stacks[-1].append(Frame(function, found["file"], int((found["line"] or "0")[:10])))
        return True
