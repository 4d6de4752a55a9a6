"""Where the program begins: `leakscope`, and `python -m leakscope`."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line.

    Imports leave next to no garbage, and searching all that they made for it takes 5 ms; the
    commands that go on turn the collector on again.
    """
    gc.disable()
    from leakscope.cli import main as run

    run()


if __name__ == "__main__":
    main()
