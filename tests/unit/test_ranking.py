"""Thousands of reports into one list: what is merged, how it ranks, what is left out and said."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.checked import BadValue
from leakscope.cli import main
from leakscope.leaks import Cause, Culprit
from leakscope.policy import Trend
from leakscope.ranking import Found, Hit, Ranker, Ranking, found_in
from leakscope.renderers import json_rank, json_report, rank_text
from leakscope.report import Overall, Report
from leakscope.sources.reports import OtherLines, Unreadable, found_reports
from leakscope.wire import report_document
from tests.builders import (
    WATCH,
    frame,
    getting,
    group,
    hostile_report,
    key,
    leak,
    report,
    target,
)
from tests.documents import checked
from tests.hostile import HOSTILE, SURROGATE, harmful


def hit(id_: str = "aaa", *sizes: int, **fields: Any) -> Hit:
    given: dict[str, Any] = {
        "id": id_,
        "verdict": "leaking",
        "counts": {100 + i: size for i, size in enumerate(sizes)},
        "rate_per_min": 6.0,
        "wait": "queue.get",
        "site": frame(),
        "cause": None,
        "culprit": None,
    }
    return Hit(**(given | fields))


def found(*hits: Hit, **fields: Any) -> Found:
    given: dict[str, Any] = {
        "where": "pod.json",
        "instances": 1,
        "verdict": "leaking" if hits else "clean",
        "began_at": "2026-03-01T12:00:00.000Z",
        "ended_at": "2026-03-01T12:01:00.000Z",
        "hits": hits,
    }
    return Found(**(given | fields))


def ranking(*reports: Found) -> Ranking:
    ranker = Ranker()
    for each in reports:
        ranker.add(each)
    return ranker.ranking()


def leaking(size: int = 12, function: str = "consume", pid: int = 4711) -> Report:
    frames = getting(frame(function))
    inside = group(size, frames, Trend.LEAKING)
    threads = tuple(key(i, pid) for i in range(size))
    return report(inside, targets=(target(pid=pid),), leaks=(leak(inside, leaked=threads),))


def line_of(found: Report) -> str:
    (line,) = json_report.lines(found)
    return line


def alone(path: Path) -> Found | Unreadable | OtherLines:
    (only,) = found_reports(str(path))
    return only


# --- the order ------------------------------------------------------------------------------------


def test_the_same_leak_of_many_processes_is_one():
    (only,) = ranking(found(hit("aaa", 3)), found(hit("aaa", 4)), found()).leaks
    assert (only.instances, only.total, only.worst.count) == (2, 7, 4)
    assert only.rate_per_min == 12.0


def test_leaks_rank_by_the_root_mean_square_over_all_instances():
    """One instance near its end comes before many that have a little, of the same total."""
    spread = [found(hit("spread", 10)) for _ in range(10)]
    leaks = ranking(*spread, found(hit("heap", 100))).leaks
    assert [leak.id for leak in leaks] == ["heap", "spread"]
    assert leaks[0].rms == pytest.approx(sqrt(100**2 / 11))
    assert leaks[1].rms == pytest.approx(sqrt(10 * 10**2 / 11))


def test_the_same_size_in_more_instances_ranks_higher():
    reports = [found(hit("common", 9), hit("rare", 9)), found(hit("common", 9)), found()]
    assert [leak.id for leak in ranking(*reports).leaks] == ["common", "rare"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 500)), min_size=1), st.randoms())
def test_the_order_of_the_reports_does_not_matter(sizes, random):
    reports = [found(hit(id_, size), where=f"{id_}{size}") for id_, size in sizes]
    first = ranking(*reports)
    random.shuffle(reports)
    again = ranking(*reports)
    assert [(leak.id, leak.total, leak.worst.count) for leak in again.leaks] == [
        (leak.id, leak.total, leak.worst.count) for leak in first.leaks
    ]
    assert sum(leak.total for leak in again.leaks) == sum(size for _, size in sizes)


def test_processes_of_one_report_are_instances_each():
    both = ranking(found(hit("aaa", 3, 5), instances=4), found())
    assert (both.instances, both.instances_hit, both.reports) == (5, 2, 2)
    (only,) = both.leaks
    assert (only.instances, only.worst.pid) == (2, 101)


def test_a_process_that_is_known_by_its_leak_only_counts():
    assert ranking(found(hit("aaa", 3, 5), instances=1)).instances == 2


def test_it_was_seen_from_the_earliest_watch_to_the_latest():
    (only,) = ranking(
        found(hit("aaa", 1), began_at="2026-03-02T00:00:00.000Z", ended_at=None),
        found(hit("aaa", 1), began_at="2026-03-01T00:00:00.000Z"),
        found(hit("aaa", 1), began_at=None, ended_at="2026-02-01T00:00:00.000Z"),
    ).leaks
    assert only.first_seen == "2026-03-01T00:00:00.000Z"
    assert only.last_seen == "2026-03-01T12:01:00.000Z"


def test_what_is_told_of_it_is_told_of_the_worst_and_the_verdict_is_the_worst():
    (only,) = ranking(
        found(hit("aaa", 9, wait="lock", verdict="runaway"), where="worst.json"),
        found(hit("aaa", 3)),
    ).leaks
    assert (only.wait, only.worst.where, only.verdict) == ("lock", "worst.json", "leaking")


def test_memory_grows_with_leaks_and_not_with_reports():
    ranker = Ranker()

    def fill(reports: int) -> int:
        for number in range(reports):
            ranker.add(found(hit(f"id{number % 20}", number), where=f"pod-{number}.json"))
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = fill(200)
        assert fill(5000) - before < 10_000
    finally:
        tracemalloc.stop()


# --- what is read ---------------------------------------------------------------------------------


def test_a_report_that_leakscope_wrote_is_read(tmp_path):
    file = tmp_path / "pod-1.json"
    file.write_text(line_of(leaking()) + "\n")
    read = alone(file)
    assert isinstance(read, Found)
    assert (read.where, read.instances, read.verdict) == (str(file), 1, "leaking")
    (only,) = read.hits
    assert (only.counts, only.wait, only.rate_per_min) == ({4711: 12}, "queue.get", 61.0)
    assert only.site == frame()


def test_the_groups_are_not_needed_and_change_nothing(tmp_path):
    """Short of its groups, by another program's hand, or by a name with brackets: the same."""
    document = report_document(leaking(function="[[{["))
    forms = [
        line_of(leaking(function="[[{[")),
        json.dumps(document),
        json.dumps(document, sort_keys=True),
        json.dumps(document, indent=2),
        json.dumps(document | {"groups": []}, separators=(",", ":")),
    ]
    results = []
    for number, text in enumerate(forms):
        file = tmp_path / f"{number}.json"
        file.write_text(text)
        read = alone(file)
        assert isinstance(read, Found), read
        results.append(read._replace(where=""))
    assert results == [results[0]] * len(forms)


@pytest.mark.parametrize("blank", ["", " "])
def test_of_what_leakscope_writes_the_groups_are_not_even_parsed(tmp_path, blank):
    """They are most of a report: parsed, ten thousand reports would take several times as long."""
    separators = (f",{blank}", f":{blank}")
    text = json.dumps(report_document(leaking()), separators=separators)
    file = tmp_path / "pod.json"
    before, groups, after = text.partition(f'],{blank}"groups":{blank}[')
    file.write_text(before + groups + after.replace('"frames"', "not JSON"))
    read = alone(file)
    assert isinstance(read, Found), read
    assert len(read.hits) == 1


def test_gzip_is_read(tmp_path):
    file = tmp_path / "pod.json.gz"
    file.write_bytes(gzip.compress(line_of(leaking()).encode()))
    assert isinstance(alone(file), Found)


def test_of_a_watch_the_summary_is_read_and_of_many_reports_each(tmp_path):
    file = tmp_path / "watch.ndjson"
    others = '{"type":"start","schema_version":"1.0"}\n{"type":"sample"}\n'
    file.write_text(others + line_of(leaking()) + "\n" + line_of(report()) + "\n")
    first, second = found_reports(str(file))
    assert isinstance(first, Found)
    assert isinstance(second, Found)
    assert (first.where, second.where) == (f"{file}, line 3", f"{file}, line 4")
    assert (first.verdict, second.verdict) == ("leaking", "clean")


def test_cut_off_anywhere_it_is_no_report(tmp_path):
    line = line_of(leaking(3))
    for end in range(1, len(line), 7):
        file = tmp_path / "cut.json"
        file.write_text(line[:end])
        read = list(found_reports(str(file)))
        assert all(isinstance(one, Unreadable) for one in read), (end, read)
        assert len(read) == 1


def broken(**changes: Any) -> str:
    document = report_document(leaking())
    (first,) = document["leaks"]
    for name, value in changes.items():
        place = first if name in first else document
        place[name] = value
    return json.dumps(document, separators=(",", ":"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "bad.json: empty"),
        ("\n \n", "bad.json: empty"),
        ("[]", "no report of leakscope's"),
        ("null", "no report of leakscope's"),
        ("junk", "no report of leakscope's"),
        ("[", "no report of leakscope's"),
        ('{"a": 1}', "no report of leakscope's"),
        ('{"type": []}', "no report of leakscope's"),
        ('{"type":"access","path":"/"}', "no report of leakscope's"),
        ('{"a": junk', "not JSON: Expecting value"),
        ('{"type":"diff","schema_version":"1.0"}', "a document of the type diff, and no report"),
        ('{"type":"doctor","schema_version":"1.0"}', "a document of the type doctor"),
        ('{"type":"rank","schema_version":"1.0"}', "a document of the type rank"),
        ('{"type":"start"}\n{"type":"sample"}', "a watch without the summary"),
        ('{"schema_version":"1.0","type":"start"}', "a watch without the summary"),
        ('{"a":' * 5000, "maximum recursion depth"),
        ('{"type":"dump"}', "it lacks 'schema_version'"),
        ('{"type":"dump","schema_version":"2.0","leaks":[]}', "its version is 2.0"),
        (broken(verdict="fine"), "'fine' is no verdict"),
        (broken(by_process={"x": 3}), "'x' is not a process id"),
        (broken(by_process={"4711": -3}), "-3 is negative"),
        (broken(by_process={"4711": 1.5}), "1.5 is not a whole number"),
        (broken(by_process={}), "it has a leak without threads"),
        (broken(by_process={"4711": 0}), "it has a leak without threads"),
        (broken(rate_per_min="fast"), "'fast' is not a number"),
        (broken(began_at="yesterday"), "'yesterday' is no moment"),
        (broken(leaks={}), "an object is not a list"),
        (broken(site=[]), "a list is not an object"),
        (broken(cause={"id": "x"}), "it lacks 'certain'"),
        (broken(observed_s=1).replace('"observed_s":1', '"observed_s":NaN'), "not a number"),
        (json.dumps({"leakscope_recording": 1, "t": 1}), "leakscope replay"),
    ],
)
def test_what_is_no_report_is_said_in_one_line(tmp_path, text, why):
    file = tmp_path / "bad.json"
    file.write_text(text)
    read = alone(file)
    assert isinstance(read, Unreadable)
    assert read.why.startswith(str(file))
    assert why in read.why
    assert "\n" not in read.why


def test_a_broken_line_spoils_no_other(tmp_path):
    file = tmp_path / "many.ndjson"
    good = line_of(leaking())
    file.write_text(f"{good}\n{good[:500]}\n\n{good}\n")
    read = list(found_reports(str(file)))
    assert [type(one) for one in read] == [Found, Unreadable, Found]
    assert isinstance(read[1], Unreadable)
    assert "line 2" in read[1].why


def read_of(folder: Path, content: str) -> tuple[list[str], list[str], int]:
    """Where the reports of a text are, what was said of the rest, and how many other lines."""
    file = folder / "in.json"
    file.write_text(content, errors="surrogateescape")
    where, why, others = [], [], 0
    for said in found_reports(str(file)):
        if isinstance(said, Found):
            where.append(said.where.removeprefix(str(file)).removeprefix(", "))
        elif isinstance(said, Unreadable):
            why.append(said.why.removeprefix(str(file)).removeprefix(", "))
        else:
            others = said.lines
    return where, why, others


GOOD = line_of(leaking())
INDENTED = json.dumps(report_document(leaking(3)), indent=2)
SORTED = json.dumps(report_document(leaking(3)), sort_keys=True)
OF_A_WATCH = '{"type":"sample","schema_version":"1.0","groups":{}}'


@pytest.mark.parametrize("between", ["", " ", "\r\n"])
@pytest.mark.parametrize("first", [GOOD, INDENTED, SORTED, OF_A_WATCH])
def test_reports_that_no_line_ends_between_are_all_read(tmp_path, first, between):
    """As of `json.dump` into one file, or of `cat` or `jq -j` of many."""
    content = between.join([first, GOOD, INDENTED, GOOD, SORTED])
    where, why, others = read_of(tmp_path, content)
    assert (len(where), why, others) == (4 + (first != OF_A_WATCH), [], 0)


@pytest.mark.parametrize("behind", [f", {GOOD}", " and more", f" and {GOOD}", "]}", '"text"'])
def test_what_stands_behind_a_report_on_its_line_is_said(tmp_path, behind):
    where, why, others = read_of(tmp_path, f"{GOOD}{behind}\n{GOOD}")
    assert (where, why, others) == (["", "line 2"], [], 1)


@pytest.mark.parametrize("indent", [None, 1, "\t"])
def test_a_list_of_reports_is_read(tmp_path, indent):
    """As of `jq -s`."""
    content = json.dumps([report_document(leaking(size)) for size in (3, 4, 5)], indent=indent)
    assert read_of(tmp_path, content) == (["", "", ""], [], 0)
    assert read_of(tmp_path, f"[\n{GOOD},\n{GOOD}\n]\n") == (["line 2", "line 3"], [], 0)


PREFIXES = ["[pod/web-1/leakscope] ", "web-1  | ", "2026-11-28T12:00:00.123456Z stdout F ", "a: "]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_of_each_line_hides_no_report(tmp_path, prefix):
    """As of `kubectl logs --prefix`, `docker compose logs` and `kubectl logs --timestamps`."""
    lines = ["ready", OF_A_WATCH, GOOD, GOOD[:500], GOOD, '{"level": "info"}', SORTED, GOOD]
    where, why, others = read_of(tmp_path, "".join(f"{prefix}{line}\n" for line in lines))
    assert where == ["line 3", "line 5", "line 8"]
    (only,) = why
    assert only.startswith("line 4: ")
    assert others == 3  # a report whose keys are in another order is not known by its type


@pytest.mark.parametrize("front", ['{"log": ', '"pod": ', '"'])
def test_a_report_within_other_json_is_no_prefixed_one(tmp_path, front):
    where, why, others = read_of(tmp_path, f"{front}{GOOD}\n{GOOD}\n")
    assert (where, len(why) + others) == (["line 2"], 1)


def test_the_comma_of_a_list_is_no_prefix(tmp_path):
    assert read_of(tmp_path, f"[{GOOD}\n, {GOOD}\n]\n") == (["", ""], [], 0)


@given(st.lists(st.text('[]{}"\\,:a', max_size=6), min_size=1, max_size=3), st.booleans())
def test_no_name_makes_two_reports_look_like_one(tmp_path_factory, names, in_lines):
    folder = tmp_path_factory.mktemp("names")
    ends = "\n" if in_lines else ""
    content = ends.join(line_of(leaking(2, function=name)) for name in names)
    where, why, others = read_of(folder, content)
    assert (len(where), why, others) == (len(names), [], 0)


@pytest.mark.parametrize(
    "other",
    [
        "metrics are at http://127.0.0.1:9464/metrics",
        "2026-11-28 12:00:00 INFO ready",
        "17",
        '"text"',
        "null",
        "[1, 2]",
        "[2026-11-28 12:00:00 +0000] [7] [INFO] Booting worker",
        "[INFO] ready",
        "{bad",
        "{'level': 'info'}",
        '{"level": "info"}',
        '{"type": "access", "path": "/"}',
        "}",
        "\udcff\x00",
    ],
)
@pytest.mark.parametrize("report", [GOOD, INDENTED, SORTED])
def test_a_line_of_a_log_spoils_no_report(tmp_path, report, other):
    """As of `kubectl logs`: it may stand before all reports, between them and behind them."""
    content = "\n".join([other, report, other, other, report, report, other, ""])
    where, why, others = read_of(tmp_path, content)
    assert (len(where), why, others) == (3, [], 4)


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ('{"level": oops', 1),
        (GOOD[:500], 1),
        (GOOD[: GOOD.index('"groups":[') + 10], 1),
        (GOOD[: GOOD.index('"leaks":[') + 9], 1),
        (INDENTED[: INDENTED.index('"groups": [') + 11], 1),
        ("{", 1),
        ('{\n  "type": "dump",\n  oops\n}', 3),
        (broken(verdict="fine"), 1),
    ],
)
@pytest.mark.parametrize("report", [GOOD, INDENTED, SORTED])
def test_what_is_broken_spoils_none_that_begins_behind_it(tmp_path, report, broken, line):
    content = "\n".join([report, broken, report, report, ""])
    where, why, _ = read_of(tmp_path, content)
    assert len(where) == 3
    (only,) = why
    assert only.startswith(f"line {report.count(chr(10)) + 1 + line}: ")


PIECES = {
    "good": (GOOD, 1),
    "indented": (INDENTED, 1),
    "sorted": (SORTED, 1),
    "of a watch": (OF_A_WATCH, 0),
    "log": ("2026-11-28 INFO foo", 0),
    "cut": (GOOD[:700], 0),
    "cut indented": (INDENTED[:700], 0),
    "open": ('{"a": [', 0),
    "blank": ("", 0),
}


@given(st.lists(st.sampled_from(sorted(PIECES))))
def test_whatever_else_is_in_a_stream_all_its_whole_reports_are_read(tmp_path_factory, names):
    content = "".join(PIECES[name][0] + "\n" for name in names)
    where, why, others = read_of(tmp_path_factory.mktemp("stream"), content)
    assert len(where) == sum(PIECES[name][1] for name in names)
    cut = sum(name in ("cut", "cut indented", "open") for name in names)
    if where or cut:
        assert len(why) == cut
        # A line of a log behind what was cut off may be taken for what went on.
        assert others <= names.count("log")


@given(st.lists(st.text('{}[]":,\\a1 \t', max_size=8), max_size=6))
def test_no_lines_hide_a_report(tmp_path_factory, lines):
    content = "\n".join([*lines, GOOD, *lines, INDENTED, *lines, SORTED, *lines])
    assert len(read_of(tmp_path_factory.mktemp("hidden"), content)[0]) == 3


def test_deep_lines_take_no_time_that_grows_with_their_square(tmp_path):
    """Each may be the beginning of a document, and each is within all that stand before it."""
    where, why, _ = read_of(tmp_path, '{"a":\n' * 20_000 + GOOD)
    assert (where, len(why)) == (["line 20001"], 20_000)
    where, why, _ = read_of(tmp_path, ' {"a":\n' * 20_000 + GOOD)
    assert where == ["line 20001"]
    assert why


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*report_document(leaking()), "id", "site", "4711", "x"]), inner
    ),
    max_leaves=20,
))  # fmt: skip
def test_anything_else_is_refused_and_nothing_breaks(value):
    document = report_document(leaking()) | (value if isinstance(value, dict) else {})
    for name in ("leaks", "targets"):
        for candidate in (document, document | {name: value}):
            try:
                ranking(found_in(candidate, "x"))
            except (BadValue, KeyError):
                continue


# --- what is shown --------------------------------------------------------------------------------


def ranked(*argv: str, capsys: Any) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["rank", *argv])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def test_the_document_keeps_to_the_schema():
    cause = Cause("x", True, "Why.", "Cure.")
    culprit = Culprit("lib", "what", "cure", "a/b#1")
    shown = ranking(
        found(hit("aaa", 3, cause=cause)),
        found(hit("bbb", 9, culprit=culprit, site=None, wait=None), began_at=None, ended_at=None),
        found(),
    )
    (line,) = json_rank.lines(shown)
    document = checked(line)
    assert document["verdicts"] == {"leaking": 2, "clean": 1}
    assert [leak["id"] for leak in document["leaks"]] == ["bbb", "aaa"]
    assert document["leaks"][0]["worst"] == {"count": 9, "pid": 100, "where": "pod.json"}
    checked(*json_rank.lines(ranking(found())))


def test_the_text_has_a_table_and_tells_of_the_first():
    cause = Cause("x", True, "Why so.", "Do this.")
    shown = ranking(found(hit("aaa", 30, 40, cause=cause), instances=2), found(hit("bbb", 4)))
    assert list(rank_text.lines(replace(shown, unreadable=2, other_lines=1))) == [
        "LEAKING: 2 leaks in 3 of 3 instances (2 reports read, 2 unreadable, 1 other line)",
        "",
        " rms  instances  total  worst  first seen            verdict  wait       id   where",
        "28.9          2     70     40  2026-03-01 12:00:00Z  leaking  queue.get  aaa  "
        "app/jobs.py:41 consume",
        " 2.3          1      4      4  2026-03-01 12:00:00Z  leaking  queue.get  bbb  "
        "app/jobs.py:41 consume",
        "",
        "LEAK 1  70 threads  +6.0/min  [queue.get]  app/jobs.py:41 consume",
        "  why         Why so.",
        "  cure        Do this.",
        "  instances   2 of 3",
        "  worst       40 threads in process 101, pod.json",
        "  seen        from 2026-03-01 12:00:00Z to 2026-03-01 12:01:00Z",
        "  at          /srv/app/jobs.py:41 consume",
        "  group       aaa",
        "",
        "LEAK 2  4 threads  +6.0/min  [queue.get]  app/jobs.py:41 consume",
        "  instances   1 of 3",
        "  worst       4 threads in process 100, pod.json",
        "  seen        from 2026-03-01 12:00:00Z to 2026-03-01 12:01:00Z",
        "  at          /srv/app/jobs.py:41 consume",
        "  group       bbb",
    ]


def test_no_leak_is_said_and_what_may_be_one():
    shown = ranking(found(), found(verdict="growing"), found(verdict="unknown"))
    assert list(rank_text.lines(shown)) == [
        "no leak in 3 instances (3 reports read; 1 growing and 1 unknown)"
    ]


@pytest.mark.parametrize("text", [*HOSTILE.values(), SURROGATE])
def test_no_name_of_a_target_reaches_a_terminal(text):
    shown = ranking(found_in(report_document(hostile_report(text)), text))
    lines = list(rank_text.lines(shown))
    assert not any(map(harmful, lines))
    assert all(len(line.splitlines()) <= 1 for line in lines)


def test_a_leak_makes_the_status_1_and_a_verdict_if_that_was_asked_for(tmp_path, capsys):
    bad, well = tmp_path / "bad.json", tmp_path / "well.json"
    bad.write_text(line_of(leaking()))
    well.write_text(line_of(report(verdict=Overall.GROWING)))
    assert ranked(str(bad), str(well), capsys=capsys)[0] == 1
    assert ranked(str(bad), "--exit-zero", capsys=capsys)[0] == 0
    assert ranked(str(well), capsys=capsys)[0] == 0
    assert ranked(str(well), "--fail-on", "growing", capsys=capsys)[0] == 1
    assert ranked(str(well), "--fail-on", "unknown", capsys=capsys)[0] == 0


def test_broken_inputs_are_said_and_counted_and_not_fatal_unless_all_are(tmp_path, capsys):
    junk, well = tmp_path / "junk\x1b[2J.json", tmp_path / "well.json"
    junk.write_text("{")
    well.write_text(line_of(WATCH))
    missing = str(tmp_path / "missing.json")
    status, out, err = ranked(str(junk), missing, str(well), capsys=capsys)
    assert status == 1
    assert "(1 report read, 2 unreadable)" in out
    assert err.splitlines()[2:] == ["leakscope: 1 report read, 2 unreadable"]
    assert not harmful(err)
    status, out, err = ranked(str(junk), missing, capsys=capsys)
    assert (status, out) == (2, "")
    assert "there is no report to rank" in err
    status, out, err = ranked(str(junk), str(well), "--quiet", capsys=capsys)
    assert (status, err) == (1, "")


def test_of_the_lines_of_a_log_one_line_is_said_and_all_are_counted(tmp_path, capsys):
    file = tmp_path / "pod.log"
    file.write_text(f"{GOOD}\n" + "2026-11-28 INFO ready\n" * 5000 + GOOD[:700])
    status, out, err = ranked(str(file), "--json", capsys=capsys)
    document = checked(out)
    assert (status, document["reports"]) == (1, 1)
    assert (document["unreadable"], document["other_lines"]) == (1, 5000)
    assert err.splitlines() == [
        f"leakscope: left out: {file}, line 5002: not JSON: Expecting value",
        f"leakscope: left out: {file}, line 2 and 4999 more: no report begins there",
        "leakscope: 1 report read, 1 unreadable, 5000 other lines",
    ]


def test_a_rate_that_is_not_known_is_not_taken_for_none(tmp_path, capsys):
    file = tmp_path / "pods.json"
    unknown = broken(rate_per_min=None)
    file.write_text(f"{unknown}\n{unknown}\n")
    document = checked(ranked(str(file), "--json", capsys=capsys)[1])
    (only,) = document["leaks"]
    assert (only["rate_per_min"], only["rate_unknown"]) == (None, 2)
    assert "LEAK 1  24 threads  rate unknown  [" in ranked(str(file), capsys=capsys)[1]
    file.write_text(f"{unknown}\n{GOOD}\n{unknown}\n")
    (only,) = checked(ranked(str(file), "--json", capsys=capsys)[1])["leaks"]
    assert (only["rate_per_min"], only["rate_unknown"]) == (61.0, 2)
    assert "  +61.0/min, unknown of 2 instances  [" in ranked(str(file), capsys=capsys)[1]


def test_standard_input_is_read_once(capsys):
    assert ranked("-", "-", capsys=capsys)[0] == 2
