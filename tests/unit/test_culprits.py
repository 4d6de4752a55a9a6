"""Each known culprit is told by the places of its own code and by its threads' names."""

from __future__ import annotations

import re

import pytest

from leakscope.culprits import ROWS, culprit_of
from leakscope.leaks import Culprit
from leakscope.model import Frame, Frames
from leakscope.stacks import last_part
from tests.builders import LIB, frame, started

WAIT = Frame("Condition.wait", f"{LIB}/threading.py", 327)
PLACES = [(row.culprit, where) for row in ROWS for where in row.places]

# A name of each pattern, as the library gives it.
NAMES = {
    "pymongo": "pymongo_kill_cursors_thread",
    "opentelemetry-sdk": "OtelBatchSpanRecordProcessor",
    "launchdarkly-server-sdk": "ldclient.flush.3",
    "APScheduler": "APScheduler",
    "paho-mqtt": "paho-mqtt-client-",
    "discord.py": "keep-alive-handler:shard-0",
    "elastic-apm": "eapm metrics collect timer",
    "google-cloud-pubsub": "Thread-LeaseMaintainer",
    "sentry-sdk": "sentry-sdk.BackgroundWorker",
    "pykafka": "12: pykafka.SimpleConsumer.fetcher for topic b'a'",
    "more-executors": "RetryExecutor-default",
    "stomp.py": "StompHeartbeatThread-4",
}


def at(where: str, folder: str = f"{LIB}/site-packages/", function: str | None = None) -> Frame:
    """The frame of a place, in this folder or function if one is given."""
    path, _, own = where.partition(":")
    return Frame(function or own, f"{folder}{path}.py", 7)


def waits_in(*inner: Frame) -> Frames:
    return started(WAIT, *inner)


@pytest.mark.parametrize(("culprit", "where"), PLACES, ids=lambda value: str(value)[:60])
def test_a_stack_that_fits(culprit: Culprit, where: str):
    assert culprit_of(waits_in(at(where)), ()) is culprit
    # Pythons before 3.11 say no classes, and Debian keeps packages elsewhere.
    bare = at(where, "/usr/lib/python3/dist-packages/", last_part(at(where).function))
    assert culprit_of(waits_in(bare), ()) is culprit


@pytest.mark.parametrize(("culprit", "where"), PLACES, ids=lambda value: str(value)[:60])
def test_a_stack_that_nearly_fits(culprit: Culprit, where: str):
    assert culprit_of(waits_in(at(where, "/srv/app/")), ()) is None
    assert culprit_of(waits_in(at(where, function="Other.other")), ()) is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.culprit.library)
def test_a_callback_of_the_user_that_hangs_is_no_fault_of_the_library(row):
    frames = waits_in(frame("on_message"), at(row.places[0]))

    assert (culprit_of(frames, ()) is row.culprit) is row.calls_user


def test_functions_inside_functions_are_found():
    nested = at("grpc/_channel:_consume_request_iterator.<locals>.consume_request_iterator")

    found = culprit_of(waits_in(nested), ())

    assert found is not None
    assert found.library == "grpcio"


def test_what_a_library_itself_waits_in_does_not_clear_it():
    inner = Frame("HTTPResponse.read", f"{LIB}/http/client.py", 466)

    found = culprit_of(started(inner, at("posthog/consumer:Consumer.run")), ())

    assert found is not None
    assert found.library == "posthog"


@pytest.mark.parametrize(("library", "name"), NAMES.items())
def test_names_tell_where_the_stack_does_not(library, name):
    found = culprit_of(started(), [name, name, None, "Thread-1"])

    assert found is not None
    assert found.library == library
    assert culprit_of(started(), [name, "Thread-1"]) is None
    assert culprit_of(started(), [f"my-{name}"] * 3) is None


def test_every_pattern_of_names_is_exercised():
    named = {row.culprit.library for row in ROWS if row.names}

    assert named == NAMES.keys()


def test_no_names_no_culprit():
    assert culprit_of(started(), ()) is None
    assert culprit_of(started(), [None, None]) is None


def test_no_place_is_in_two_rows():
    places = [where for _, where in PLACES]

    assert len(set(places)) == len(places)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.culprit.library)
def test_how_rows_are_worded(row):
    culprit = row.culprit

    assert row.places
    assert culprit.what.endswith(".")
    assert culprit.cure.endswith(".")
    assert "`" in culprit.cure
    assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", culprit.source)
