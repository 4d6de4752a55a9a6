"""A target with secrets wherever one can be: arguments, environment, local variables.

The test starts it with arguments of its own; they are not looked at here.
"""

from __future__ import annotations

import threading

from command_loop import serve


def log_in(password: str, address: str) -> None:
    """Wait with the secrets on the stack."""
    attempts = 3
    headers = {"Authorization": "Bearer of-a-variable"}
    threading.Event().wait()
    print(password, address, attempts, headers)


def main() -> None:
    """Start the thread, then wait to be told to end."""
    arguments = ("hunter2-variable", "redis://me:hunter2-address@host/0")
    threading.Thread(target=log_in, args=arguments, daemon=True).start()
    serve({})


if __name__ == "__main__":
    main()
