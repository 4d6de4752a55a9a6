"""What a stack says must be the same whatever machine, folder and Python it was read on."""

from __future__ import annotations

import hashlib
import re

import pytest

from leakscope.model import Frame
from leakscope.stacks import (
    Level,
    entry,
    group_id,
    is_own_code,
    is_phantom,
    is_stdlib,
    last_part,
    own_part,
    portable_path,
    real_frames,
    site,
)
from tests.samples import (
    APP,
    BOOTSTRAP,
    CONDITION_WAIT,
    EVENT_WAIT,
    EXECUTOR_IDLE,
    EXECUTOR_STUCK,
    LIB,
    MAIN,
    POOL_TASKS,
    QUEUE_GET,
    THREAD_RUN,
    TIMER,
    as_read_on_38,
    own,
    run_by,
    started,
)

SITE_PACKAGES = "/srv/venv/lib/python3.11/site-packages"
REQUESTS = Frame("Session.send", f"{SITE_PACKAGES}/requests/sessions.py", 703)


@pytest.mark.parametrize(
    ("function", "last"),
    [
        ("wait", "wait"),
        ("Condition.wait", "wait"),
        ("make.<locals>.Inner.run", "run"),
        ("make.<locals>.<lambda>", "<lambda>"),
        ("<module>", "<module>"),
        ("", ""),
        ("odd.", "odd."),
    ],
)
def test_last_part_of_a_qualified_name(function, last):
    assert last_part(function) == last


@pytest.mark.parametrize(
    ("filename", "portable"),
    [
        ("/usr/lib/python3.11/threading.py", "threading.py"),
        ("/usr/lib64/python3.9/concurrent/futures/thread.py", "concurrent/futures/thread.py"),
        ("/opt/python/3.13.0/lib/python3.13t/queue.py", "queue.py"),
        ("/usr/lib/python311.zip/queue.py", "queue.py"),
        ("/srv/venv/lib/python3.11/site-packages/requests/api.py", "requests/api.py"),
        ("/usr/lib/python3/dist-packages/requests/api.py", "requests/api.py"),
        ("/usr/lib/python3.11/site-packages/a/site-packages/b.py", "b.py"),
        (r"C:\app\venv\Lib\site-packages\requests\api.py", "requests/api.py"),
        (r"C:\app\jobs.py", "jobs.py"),
        ("/srv/app/jobs.py", "jobs.py"),
        ("/srv/app.pyz/app/jobs.py", "jobs.py"),
        ("jobs.py", "jobs.py"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        ("", ""),
    ],
)
def test_portable_path(filename, portable):
    assert portable_path(filename) == portable


@pytest.mark.parametrize(
    ("filename", "is_own", "of_python"),
    [
        ("/srv/app/jobs.py", True, False),
        ("/srv/bin/tool.py", True, False),
        ("/srv/lib/jobs.py", True, False),
        ("<string>", True, False),
        ("/srv/venv/bin/gunicorn", False, False),
        ("/srv/venv/lib/python3.11/site-packages/requests/api.py", False, False),
        ("/usr/lib/python3/dist-packages/requests/api.py", False, False),
        ("/usr/lib/python3.11/threading.py", False, True),
        ("/usr/lib64/python3.11/asyncio/base_events.py", False, True),
        ("/usr/lib/python311.zip/queue.py", False, True),
        ("<frozen importlib._bootstrap>", False, True),
        ("<shim>", False, False),
        ("", False, False),
    ],
)
def test_whose_code_a_file_is(filename, is_own, of_python):
    assert (is_own_code(filename), is_stdlib(filename)) == (is_own, of_python)


@pytest.mark.parametrize(
    ("frame", "phantom"),
    [
        (Frame("run", "run", 0), True),
        (Frame("wait", "__init__", -3), True),
        (Frame("consume", "", 0), True),
        (Frame("<shim>", "<shim>", 0), True),
        (Frame("run", "run", 5), False),
        (Frame("consume", APP, 0), False),
        (own(), False),
    ],
)
def test_phantom_frames(frame, phantom):
    assert is_phantom(frame) is phantom


def test_phantom_frames_are_not_part_of_a_stack():
    phantoms = (Frame("__init__", "__init__", -1), Frame("<shim>", "<shim>", 0))
    assert real_frames((phantoms[0], *QUEUE_GET, phantoms[1])) == QUEUE_GET
    assert real_frames(phantoms) == ()


def test_a_stack_without_phantoms_is_given_back_itself():
    assert real_frames(QUEUE_GET) is QUEUE_GET


WORKER_RUN = own("Worker.run", 9)
ENTRIES = {
    "Thread(target=f)": (QUEUE_GET, own()),
    "Thread(target=f), f runs": (started(own()), own()),
    "subclass of Thread": (run_by(CONDITION_WAIT, EVENT_WAIT, WORKER_RUN), WORKER_RUN),
    "subclass of Thread, its run runs": (run_by(WORKER_RUN), WORKER_RUN),
    "Timer": (TIMER, TIMER[2]),
    "main thread": ((own("main", 3), *MAIN), MAIN[0]),
    "executor worker": (EXECUTOR_IDLE, EXECUTOR_IDLE[0]),
    "executor worker in a job": (EXECUTOR_STUCK, EXECUTOR_STUCK[2]),
    "Thread.run alone": (started(), THREAD_RUN),
}


@pytest.mark.parametrize(("frames", "outermost"), ENTRIES.values(), ids=ENTRIES)
def test_entry_is_the_function_that_the_thread_was_started_in(frames, outermost):
    assert entry(frames) == outermost
    assert entry(as_read_on_38(frames)) == as_read_on_38((outermost,))[0]


def test_entry_of_nothing_is_none():
    assert entry(()) is None


def test_entry_of_a_thread_that_is_only_being_started():
    assert entry(BOOTSTRAP) == BOOTSTRAP[-1]


def test_entry_is_never_a_phantom():
    assert entry((*QUEUE_GET, Frame("<shim>", "<shim>", 0))) == own()


def test_own_part_ends_with_the_entry():
    assert own_part(QUEUE_GET) == QUEUE_GET[:3]
    assert own_part(MAIN) == MAIN
    assert own_part(()) == ()


SITES = {
    "innermost of the user's own": (started(CONDITION_WAIT, own("inner"), own("outer")), "inner"),
    "own code below a library": (started(CONDITION_WAIT, REQUESTS, own("fetch")), "fetch"),
    "library, where no code is the user's": (started(CONDITION_WAIT, REQUESTS), "Session.send"),
    "only the standard library": (POOL_TASKS, "Condition.wait"),
    "leaked executor's worker": (EXECUTOR_IDLE, "_worker"),
}


@pytest.mark.parametrize(("frames", "function"), SITES.values(), ids=SITES)
def test_site_is_where_to_look_first(frames, function):
    found = site(frames)
    assert found is not None
    assert found.function == function


def test_site_of_nothing_is_none():
    assert site(()) is None


def test_site_is_not_the_launcher_of_a_console_script():
    launched = (REQUESTS, Frame("<module>", "/srv/venv/bin/gunicorn", 8))
    assert site(launched) == REQUESTS


def test_group_ids_never_change():
    """Dumps of last month are compared with those of today by these."""
    assert group_id(QUEUE_GET, Level.FUNCTION) == "60de988e1d19"
    assert group_id(QUEUE_GET, Level.ENTRY) == "entry-34556cdc8785"
    assert group_id(QUEUE_GET, Level.LINE) == "line-093d9d430205"


def test_group_id_is_a_hash_of_functions_and_portable_files():
    """Written out once more, so that others can compute it from what the report says."""
    text = "consume\0jobs.py\0run\0threading.py"
    frames = (own(), THREAD_RUN)
    assert group_id(frames, Level.FUNCTION) == hashlib.sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("level", "form"),
    [
        (Level.FUNCTION, r"[0-9a-f]{12}"),
        (Level.ENTRY, r"entry-[0-9a-f]{12}"),
        (Level.LINE, r"line-[0-9a-f]{12}"),
    ],
)
@pytest.mark.parametrize("frames", [QUEUE_GET, MAIN, (), started(own("\ud800\0é"))])
def test_form_of_group_ids(frames, level, form):
    assert re.fullmatch(form, group_id(frames, level))


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("frames", [QUEUE_GET, TIMER, EXECUTOR_STUCK, POOL_TASKS])
def test_group_id_is_the_same_for_bare_and_qualified_names(frames, level):
    assert group_id(as_read_on_38(frames), level) == group_id(frames, level)


@pytest.mark.parametrize("level", Level)
def test_group_id_is_the_same_wherever_the_app_and_python_are_installed(level):
    here = started(REQUESTS, own())
    there = tuple(
        frame._replace(
            filename=frame.filename.replace(LIB, "/usr/local/lib64/python3.13")
            .replace(SITE_PACKAGES, "/home/me/.local/lib/python3.13/site-packages")
            .replace("/srv/app", "/home/me/src")
        )
        for frame in here
    )
    assert there != here
    assert group_id(there, level) == group_id(here, level)


@pytest.mark.parametrize(
    ("level", "the_same"), [(Level.FUNCTION, True), (Level.ENTRY, True), (Level.LINE, False)]
)
def test_line_numbers_split_groups_only_at_the_line_level(level, the_same):
    elsewhere = started(*QUEUE_GET[:2], own(line=42))
    assert (group_id(elsewhere, level) == group_id(QUEUE_GET, level)) is the_same


@pytest.mark.parametrize("level", Level)
def test_phantom_frames_do_not_split_groups(level):
    torn = (Frame("get", "get", 0), *QUEUE_GET)
    assert group_id(torn, level) == group_id(QUEUE_GET, level)


def test_functions_and_files_split_groups():
    ids = {
        group_id(started(*QUEUE_GET[:2], frame), Level.FUNCTION)
        for frame in (own(), own("produce"), own(filename="/srv/app/mails.py"))
    }
    assert len(ids) == 3


def test_entry_level_joins_what_a_loop_does():
    busy = [started(own(f"step_{n}"), own("spin")) for n in range(3)]
    assert len({group_id(frames, Level.FUNCTION) for frames in busy}) == 3
    assert len({group_id(frames, Level.ENTRY) for frames in busy}) == 1
