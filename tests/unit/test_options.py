"""What users type: durations, process ids, patterns."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from leakscope.commands import run, watch
from leakscope.commands.options import (
    Duration,
    OutFile,
    Pattern,
    Pid,
    option,
    seconds_of,
    view_of,
)
from leakscope.stacks import Level


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1m30s", 90),
        ("1d2h3m4s5ms", 93784.005),
        ("30", 30),
        ("0.25", 0.25),
        (".5s", 0.5),
        ("1.s", 1),
        ("1.5m", 90),
        ("30S", 30),
        (" 30s ", 30),
        ("5 m", 300),
        ("0", 0),
    ],
)
def test_durations(text, seconds):
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "m30", "30x", "30sec", "-5", "-5s", "+5s", "1,5s", "1e3", "nan", "inf",
     "5m30", "30 5", "5m and 30s", "1..5s", "0x10", "30s;"],
)  # fmt: skip
def test_what_is_no_duration(text):
    assert seconds_of(text) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("--max-cpu", "nan"), ("--max-cpu", "inf"), ("--max-cpu", "0"), ("--on-leak", ""),
     ("--on-leak", " ")],
)  # fmt: skip
def test_what_bounds_or_starts_nothing_is_refused(name, value):
    done = CliRunner().invoke(watch.command, ["1", name, value])
    assert done.exit_code == 2
    assert f"Invalid value for '{name}'" in done.output


# As of a variable of the shell that is not set.
EMPTY = [
    ("--ignore", "", "it is empty; .* leaves out everything"),
    ("--ignore", " ", "it is empty; .* leaves out everything"),
    *((name, "", "it is empty, and names no file")
      for name in ("--record", "--junit", "--html", "-o", "--textfile", "--baseline",
                   "--ignore-file")),
]  # fmt: skip


@pytest.mark.parametrize("command", [watch.command, run.command], ids=["watch", "run"])
@pytest.mark.parametrize(("name", "value", "said"), EMPTY)
def test_what_is_empty_is_refused_in_a_line_that_says_so(command, name, value, said):
    done = CliRunner().invoke(command, [name, value, "1"])
    assert done.exit_code == 2
    (line,) = [line for line in done.output.splitlines() if line.startswith("Error: ")]
    assert said in line


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_a_number_and_its_unit(number, unit):
    assert seconds_of(f"{number}{unit}") == pytest.approx(number * UNITS[unit])


@given(st.integers(0, 30 * 86400))
def test_a_duration_that_is_written_out_reads_back(seconds):
    minutes, s = divmod(seconds, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    assert seconds_of(f"{days}d{h}h{m}m{s}s") == seconds


@given(st.floats(0, 10**9))
def test_a_bare_number_is_seconds(seconds):
    assert seconds_of(f"{seconds:.9f}") == pytest.approx(seconds, abs=1e-8)


@given(st.text())
def test_any_text_is_a_duration_or_none(text):
    seconds = seconds_of(text)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("value", ["1s", 1, 1.0])
def test_an_option_takes_a_duration(value):
    assert Duration().convert(value, None, None) == 1.0


@pytest.mark.parametrize(
    "value", ["0", "0s", "0ms", "-1s", "soon", "9" * 400, 0, -1, float("inf"), float("nan")]
)
def test_an_option_refuses_what_is_no_span_of_time(value):
    with pytest.raises(click.BadParameter, match="is not a duration such as 500ms, 30s, 5m or 2h"):
        Duration().convert(value, None, None)


@pytest.mark.parametrize(("value", "pid"), [("1", 1), ("4194304", 4194304), (7, 7)])
def test_process_ids(value, pid):
    assert Pid().convert(value, None, None) == pid


@pytest.mark.parametrize(
    "value", ["0", "-1", "", "x", "1.5", "0x10", "2147483648", "9" * 30, "9" * 5000]
)
def test_what_is_no_process_id(value):
    with pytest.raises(click.BadParameter, match="is not a process id"):
        Pid().convert(value, None, None)


def test_patterns():
    assert Pattern().convert(r"^run_\d+$", None, None) == re.compile(r"^run_\d+$")


@pytest.mark.parametrize("value", ["(", "[", "*", "(?P<n>a)(?P<n>b)"])
def test_what_is_no_pattern(value):
    with pytest.raises(click.BadParameter, match="is not a regular expression"):
        Pattern().convert(value, None, None)


@pytest.mark.parametrize("level", Level)
def test_view(level):
    ignore = (re.compile("x"),)
    view = view_of(level.value, ignore)
    assert (view.level, view.ignore) == (level, ignore)


@click.command()
@option("-i", "--poll-interval", type=Duration(), default=1.0)
@option("--colour/--no-colour", default=True)
def example(poll_interval: float, colour: bool) -> None:
    """Say what was given."""
    click.echo(f"{poll_interval} {colour}")


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ([], {}, "1.0 True"),
        ([], {"LEAKSCOPE_POLL_INTERVAL": "500ms"}, "0.5 True"),
        (["-i", "2s"], {"LEAKSCOPE_POLL_INTERVAL": "500ms"}, "2.0 True"),
        ([], {"LEAKSCOPE_COLOUR": "0"}, "1.0 False"),
    ],
)
def test_every_option_has_a_variable_of_its_own(arguments, environment, said):
    result = CliRunner().invoke(example, arguments, env=environment)
    assert result.output.strip() == said


def test_a_variable_that_cannot_be_used_is_a_usage_problem():
    result = CliRunner().invoke(example, [], env={"LEAKSCOPE_POLL_INTERVAL": "soon"})
    assert result.exit_code == 2
    assert "is not a duration" in result.output


@click.command()
@option("-o", "--out", type=OutFile(allow_dash=True), default="-")
@option("--page", type=OutFile())
def writing(out: str, page: str | None) -> None:
    """Say what would be written."""
    click.echo(f"{out} {page}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "a", "--page", "b"], "a b"),
        (["-o", "/dev/null", "--page", "/dev/null"], "/dev/null /dev/null"),
        (["-o", "a", "-o", "b", "--page", "a"], "b a"),  # the last one of an option is its value
    ],
)
def test_each_option_has_a_file_of_its_own(arguments, said):
    result = CliRunner().invoke(writing, arguments)
    assert (result.exit_code, result.output.strip()) == (0, said)


def test_two_options_cannot_write_to_one_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a")
    result = CliRunner().invoke(writing, ["-o", f"{tmp_path}/./a", "--page", f"{tmp_path}/link"])
    assert result.exit_code == 2
    assert "is what --out writes to" in result.output


def test_standard_output_is_for_results_alone():
    result = CliRunner().invoke(writing, ["--page", "-"])
    assert result.exit_code == 2
    assert "/dev/stdout" in result.output
