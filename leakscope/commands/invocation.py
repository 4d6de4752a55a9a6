"""The command line that is being carried out."""

from __future__ import annotations

import click

from leakscope.redaction import MASK, Redaction, redacted


def made_by(redaction: Redaction) -> tuple[str, ...]:
    """The words of it, for reports; they are passed around, so what is secret in them is masked."""
    context = click.get_current_context(silent=True)
    arguments = context.find_root().obj if context else None
    if not arguments:
        return ()
    words = list(redacted(("leakscope", *arguments), redaction))
    if redaction is not Redaction.NONE:
        _mask_hook(words)
    return tuple(words)


def _mask_hook(words: list[str]) -> None:
    """Mask the command of --on-leak: the address of a chat's webhook is a secret as a whole."""
    end = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:end]):
        if word.startswith("--on-leak="):
            words[at] = f"--on-leak={MASK}"
        elif word == "--on-leak" and at + 1 < end:
            words[at + 1] = MASK
