"""The command line that is being carried out."""

from __future__ import annotations

import click

from leakscope.redaction import Redaction, redacted


def made_by(redaction: Redaction) -> tuple[str, ...]:
    """The words of it, for reports; they are passed around, so what is secret in them is masked."""
    context = click.get_current_context(silent=True)
    arguments = context.find_root().obj if context else None
    return redacted(("leakscope", *arguments), redaction) if arguments else ()
