"""Scores leakscope on live servers, some of which leak: `python -m tests.scenarios.score`.

Each scenario is watched live, a few at a time. Three naive rules judge the same recordings. Ends
with status 1 if leakscope missed a leak, or called one where there is none.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machine import README, machine, write_block
from tests.scenarios.rules import RULES, Told, alarms, told_by, upper_bound

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BLOCK = "score"  # in the README
SEED = 20260923
DURATION_S = 110
SLOW_DURATION_S = 180
READY_TIMEOUT_S = 90.0
# Of the threads that leakscope names, how many must be leaked ones for its place to be right.
RIGHT_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Scenario:
    """One server and its load."""

    name: str
    description: str
    leaks: bool
    leaked_function: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """What leakscope and the naive rules said of a scenario."""

    scenario: Scenario
    verdict: str
    leaks: int = 0
    located: float | None = None  # share of the threads it named that are leaked
    covered: float | None = None  # share of the leaked threads that it named, where known
    naive: tuple[int, ...] = ()  # groups that each naive rule calls leaking
    problem: str = ""

    @property
    def alarm(self) -> bool:
        """Whether leakscope calls it a leak."""
        return self.verdict == "leaking"

    @property
    def wrong(self) -> bool:
        """Whether it should not have, or should have."""
        return bool(self.problem) or self.alarm is not self.scenario.leaks

    @property
    def right_place(self) -> bool:
        """Whether it named the threads that leak."""
        return (self.located or 0.0) >= RIGHT_SHARE


def scenarios(names: Sequence[str], short_s: float | None) -> list[Scenario]:
    """The scenarios, longest first so that none runs on alone, else in an order of chance."""
    found = []
    for path in sorted(HERE.glob("leak_*.py")) + sorted(HERE.glob("ok_*.py")):
        if not names or path.stem in names:
            module = importlib.import_module(f"tests.scenarios.{path.stem}")
            long_s = SLOW_DURATION_S if getattr(module, "SLOW", False) else DURATION_S
            found.append(
                Scenario(
                    path.stem,
                    module.DESCRIPTION,
                    module.LEAKS,
                    module.LEAKED_FUNCTION,
                    short_s or long_s,
                )
            )
    random.Random(SEED).shuffle(found)
    return sorted(found, key=lambda scenario: -scenario.duration_s)


# --- one scenario ---------------------------------------------------------------------------------


class Running:
    """A scenario that runs: its PID, and the threads that it says are leaked."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.leaked: set[int] = set()
        self._process = process
        self._errors = errors
        self._pid = 0
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def pid(self) -> int:
        """The process to watch, once it is ready. Raises RuntimeError if it is not in time."""
        self._ready.wait(READY_TIMEOUT_S)
        if not self._pid:
            raise RuntimeError("not ready: " + self._errors.read_text(errors="replace")[-300:])
        return self._pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == "ready":
                self._pid = int(number)
                self._ready.set()
            elif word == "leaked":
                self.leaked.add(int(number))
        self._ready.set()


@contextlib.contextmanager
def running(scenario: Scenario, folder: Path) -> Iterator[Running]:
    """Run a scenario for as long as the block lasts."""
    errors = folder / f"{scenario.name}.err"
    with (
        errors.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", f"tests.scenarios.{scenario.name}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        try:
            yield Running(process, errors)
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.terminate()


def judged(scenario: Scenario, folder: Path) -> Result:
    """Run a scenario, watch it, and say how that went."""
    record = folder / f"{scenario.name}.jsonl.gz"
    try:
        with running(scenario, folder) as run:
            report = watched(run.pid(), scenario.duration_s, record)
            leaked = set(run.leaked)
        (folder / f"{scenario.name}.json").write_text(json.dumps(report))
        (folder / f"{scenario.name}.leaked").write_text(json.dumps(sorted(leaked)))
        return result_of(scenario, report, leaked, told_by(str(record)))
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        return Result(scenario, "failed", problem=str(error))


def watched(pid: int, duration_s: float, record: Path) -> dict[str, Any]:
    """What leakscope says of a process."""
    command = [sys.executable, "-m", "leakscope", "watch", str(pid), "--json"]
    options = [f"--duration={duration_s:g}s", "--interval=1s", f"--record={record}"]
    run = subprocess.run(
        [*command, *options],
        capture_output=True,
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=duration_s + 60,
    )
    documents = [json.loads(line) for line in run.stdout.splitlines()]
    if not documents or documents[-1]["type"] != "summary":
        raise RuntimeError(f"leakscope ended with {run.returncode}: {run.stderr[-300:]}")
    summary: dict[str, Any] = documents[-1]
    return summary


def result_of(scenario: Scenario, report: dict[str, Any], leaked: set[int], told: Told) -> Result:
    """What a report and a recording amount to."""
    if not leaked and scenario.leaks:
        pattern = re.compile(scenario.leaked_function)
        leaked = {tid for tid, names in told.names.items() if any(map(pattern.search, names))}
    named = {tid for leak in report["leaks"] for tid in leak["tids"]}
    # Of the leaked ones, those that are alive at the end can be named.
    living = leaked & {thread["tid"] for group in report["groups"] for thread in group["threads"]}
    return Result(
        scenario,
        report["verdict"],
        len(report["leaks"]),
        len(named & leaked) / len(named) if named else None,
        len(named & living) / len(living) if living else None,
        tuple(alarms(rule, told.courses.values()) for rule in RULES.values()),
    )


# --- the table ------------------------------------------------------------------------------------


def table(results: Sequence[Result]) -> str:
    """All that was found, as Markdown."""
    leaking = [result for result in results if result.scenario.leaks]
    healthy = [result for result in results if not result.scenario.leaks]
    lines = [
        f"Measured on {machine()}, with {len(leaking)} leaking and {len(healthy)} healthy servers "
        f"run live, each watched for {DURATION_S} or {SLOW_DURATION_S} s (`make score`).",
        "",
        "| rule | recall | precision | false alarms | 95 % bound | leaks per leaking scenario |",
        "|---|---|---|---|---|---|",
        row("leakscope", [r.leaks * r.alarm for r in leaking], [int(r.alarm) for r in healthy]),
    ]
    for number, rule in enumerate(RULES):
        counts = [[r.naive[number] if r.naive else 0 for r in part] for part in (leaking, healthy)]
        lines.append(row(rule, *counts))
    found = [result for result in leaking if result.alarm]
    lines += [
        "",
        f"Of the {len(found)} leaks that leakscope found, {sum(r.right_place for r in found)} are "
        f"in the right place, and {sum(r.leaks == 1 for r in found)} are told as exactly one leak.",
        "",
        "| scenario | what it is | verdict | leaks | named rightly | of the leaked named |",
        "|---|---|---|---|---|---|",
    ]
    lines += [line(result) for result in sorted(results, key=lambda r: r.scenario.name)]
    return "\n".join(lines)


def row(rule: str, leaking: Sequence[int], healthy: Sequence[int]) -> str:
    """A rule's line: what it called in each leaking and in each healthy scenario."""
    hits = sum(count > 0 for count in leaking)
    false = sum(count > 0 for count in healthy)
    cells = [
        rule,
        f"{hits / len(leaking):.2f}" if leaking else "-",
        f"{hits / (hits + false):.2f}" if hits + false else "-",
        f"{false} of {len(healthy)}",
        f"{upper_bound(false, len(healthy)):.0%}" if healthy else "-",
        f"{sum(leaking) / len(leaking):.1f}" if leaking else "-",
    ]
    return f"| {' | '.join(cells)} |"


def line(result: Result) -> str:
    """A scenario's line."""
    cells = [
        result.scenario.name,
        result.scenario.description,
        f"**{result.verdict}**" if result.wrong else result.verdict,
        str(result.leaks),
        "" if result.located is None else f"{result.located:.0%}",
        "" if result.covered is None or not result.alarm else f"{result.covered:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


# --- all of them ----------------------------------------------------------------------------------


def run_all(chosen: Sequence[Scenario], jobs: int, folder: Path) -> list[Result]:
    """Run the scenarios, so many at a time."""

    def run(scenario: Scenario) -> Result:
        result = judged(scenario, folder)
        mark = "WRONG" if result.wrong else "right"
        naive = " ".join(map(str, result.naive))
        print(
            f"{time.monotonic() - began:4.0f} s  {mark}  {scenario.name}: {result.verdict}, "
            f"{result.leaks} leaks, located {result.located}, covered {result.covered}, "
            f"naive {naive}  {result.problem}",
            flush=True,
        )
        return result

    began = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(run, chosen))


def main() -> int:
    """Run the scenarios; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios; all if none is named")
    parser.add_argument("--jobs", type=int, default=3, help="how many at a time (default 3)")
    parser.add_argument("--seconds", type=float, help="watch each for this long, not 120 or 180 s")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep recordings and reports here")
    options = parser.parse_args()
    chosen = scenarios(options.names, options.seconds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = run_all(chosen, options.jobs, folder)
    text = table(results)
    print(f"\n{text}")
    if not options.names and not options.seconds and write_block(BLOCK, text):
        print(f"\nWritten into {README}.")
    return int(any(result.wrong for result in results))


if __name__ == "__main__":
    sys.exit(main())
