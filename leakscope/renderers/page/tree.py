"""All stacks merged into one tree, from where threads were started to where they are now. Pure.

Frames in a row that the same threads share are one node, as in a debugger's parallel stacks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from leakscope.model import Frame, Frames
from leakscope.stacks import is_own_code, own_part

# More nodes than anyone opens; what is cut off is counted.
MOST_NODES = 1500
MOST_CHILDREN = 60
MOST_DEEP = 40


@dataclass(slots=True)
class Node:
    """Some frames in a row, the outermost first, and where their threads go on from there."""

    frames: Frames
    threads: int
    marked: int  # of these, those that are marked: leaked, say
    children: list[Node] = field(default_factory=list)
    cut_places: int = 0  # children that are not shown
    cut_threads: int = 0  # and how many threads are in them

    @property
    def title(self) -> Frame | None:
        """The frame that tells most: the innermost of the user's own code, else the innermost."""
        own = [frame for frame in self.frames if is_own_code(frame.filename)]
        return (own or self.frames or (None,))[-1]


@dataclass(slots=True)
class _Growing:
    """A node while the tree is put together: one frame each."""

    threads: int = 0
    marked: int = 0
    lines: Counter[Frame] = field(default_factory=Counter)
    below: dict[tuple[str, str], _Growing] = field(default_factory=dict)

    def count(self, threads: int, marked: int) -> None:
        """Count threads that pass here."""
        self.threads += threads
        self.marked += marked


class Held(NamedTuple):
    """Threads with one stack."""

    frames: Frames
    threads: int
    marked: int  # of these, those to be marked in the tree


def merged(stacks: Iterable[Held]) -> Node:
    """The tree of these threads' stacks; the root has no frames."""
    root = _Growing()
    for frames, threads, marked in stacks:
        node = root
        node.count(threads, marked)
        for frame in reversed(own_part(frames)):
            node = node.below.setdefault((frame.function, frame.filename), _Growing())
            node.count(threads, marked)
            node.lines[frame] += threads
    left = [MOST_NODES]
    return _node(root, (), left, 0)


def _node(growing: _Growing, frames: Frames, left: list[int], depth: int) -> Node:
    """The node, with those below it in one with it where all its threads go the same way."""
    while frames and len(growing.below) == 1:
        (only,) = growing.below.values()
        if only.threads != growing.threads:
            break
        growing, frames = only, (*frames, _commonest(only))
    left[0] -= 1
    node = Node(frames, growing.threads, growing.marked)
    most_first = sorted(growing.below.items(), key=lambda item: (-item[1].threads, item[0]))
    for i, (_, below) in enumerate(most_first):
        if i >= MOST_CHILDREN or depth >= MOST_DEEP or left[0] <= 0:
            node.cut_places = len(most_first) - i
            node.cut_threads = sum(cut.threads for _, cut in most_first[i:])
            break
        node.children.append(_node(below, (_commonest(below),), left, depth + 1))
    return node


def _commonest(growing: _Growing) -> Frame:
    most = max(growing.lines.values())
    return min(frame for frame, count in growing.lines.items() if count == most)


def nodes(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from nodes(child)
