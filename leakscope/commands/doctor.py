"""`leakscope doctor`: what can be seen of a process, what can't, and what to do about it."""

from __future__ import annotations

import click

from leakscope.commands.options import Pid, format_option, set_up_log, writing_options


@click.command("doctor", short_help="What can and can't be seen of a process, and why.")
@click.argument("pid", type=Pid(), required=False)
@format_option("text", "json", "ndjson")
@writing_options
def command(
    pid: int | None, format_: str, output: str, color: str, quiet: bool, verbose: bool
) -> int:
    """Say what leakscope can and can't see of a process, why, and what to do about it.

    It makes one dump for trial, without stopping the process. Without PID it looks at the only
    Python process that this user can look at. The exit status is 0 if the threads can be read.

    \b
    leakscope doctor 4711
    leakscope doctor 4711 --json | jq '.checks[] | select(.status != "ok")'
    """
    set_up_log(verbose=verbose)
    from leakscope.commands.targets import pid_or_only
    from leakscope.doctor import checkup
    from leakscope.output import Output
    from leakscope.sources.examining import examine

    out = Output(output)
    found = checkup(examine(pid_or_only(pid)))
    if format_ == "text":
        from leakscope.commands.printing import print_lines
        from leakscope.renderers.doctor_text import doctor_lines

        print_lines(out, doctor_lines(found), color)
    else:
        from leakscope.wire import doctor_document, encode

        out.lines([encode(doctor_document(found))])
    out.close()
    return found.exit_status
