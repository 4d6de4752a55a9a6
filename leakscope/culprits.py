"""Known culprits: libraries whose threads are known to leak when they are used in some way.

A library is recognised by a place in its code, or by the names that it gives its threads. The files
and functions below were read in the versions that the rows' comments name. What has no place of
its own on the stack is not here: kubernetes' `ApiClient` leaks threads of `multiprocessing.pool`,
requests-futures, influxdb-client and asgiref leak idle workers of the standard executors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from leakscope.leaks import Culprit
from leakscope.model import Frames
from leakscope.places import passes, place, rests_in


class Row(NamedTuple):
    """One line of the table: a stack that rests in one of the places, or most names, tell it."""

    culprit: Culprit
    places: tuple[str, ...]
    names: str | None = None  # a pattern of the whole thread name
    calls_user: bool = False  # what leaks hangs in code of the user's that the library calls


ROWS = (
    # paramiko 5.1.0: Transport is a Thread itself.
    Row(
        Culprit(
            "paramiko",
            "A Transport that is never closed keeps its thread, also after a failed login.",
            "Use `with paramiko.SSHClient() as client:`, or call `transport.close()` in a "
            "`finally`, also when `connect()` raises.",
            "paramiko/paramiko#2214",
        ),
        ("paramiko/transport:Transport.run",),
    ),
    # pymongo 4.20.0, both a monitor and the kill-cursors thread of a client.
    Row(
        Culprit(
            "pymongo",
            "Each MongoClient keeps monitor threads until it is closed.",
            "Make one `MongoClient` per process and share it (it is thread-safe), or call "
            "`client.close()`.",
            "mongodb/motor#44",
        ),
        ("pymongo/periodic_executor:PeriodicExecutor._run",),
        r"pymongo_\w+",
    ),
    # posthog 7.91.1.
    Row(
        Culprit(
            "posthog",
            "Each Posthog client keeps a consumer thread until it is shut down.",
            "Make one `Posthog(...)` per process, or call `client.shutdown()`.",
            "mem0ai/mem0#3597",
        ),
        ("posthog/consumer:Consumer.run", "posthog/poller:Poller.run"),
    ),
    # langfuse 2.60.0 (ingestion_consumer, prompt_cache) and 5.0.4 (score_consumer, _utils).
    Row(
        Culprit(
            "langfuse",
            "Each Langfuse client or callback handler keeps its consumer threads.",
            "Share one client (`langfuse.get_client()`, or one `Langfuse(...)` in v2), or call "
            "`client.shutdown()`.",
            "langflow-ai/langflow#9066",
        ),
        (
            "langfuse/_task_manager/ingestion_consumer:IngestionConsumer.run",
            "langfuse/_task_manager/score_consumer:ScoreConsumer.run",
            "langfuse/_task_manager/media_upload_consumer:MediaUploadConsumer.run",
            "langfuse/prompt_cache:PromptCacheRefreshConsumer.run",
            "langfuse/_utils/prompt_cache:PromptCacheRefreshConsumer.run",
        ),
    ),
    # opentelemetry-sdk 1.45.2 (_shared_internal) and 1.30.0 (a processor each).
    Row(
        Culprit(
            "opentelemetry-sdk",
            "Each batch processor keeps a worker until its provider is shut down.",
            "Make one `TracerProvider` per process, or call `provider.shutdown()` when it is "
            "replaced.",
            "BerriAI/litellm#19946",
        ),
        (
            "opentelemetry/sdk/_shared_internal/__init__:BatchProcessor.worker",
            "opentelemetry/sdk/trace/export/__init__:BatchSpanProcessor.worker",
            "opentelemetry/sdk/_logs/_internal/export/__init__:BatchLogRecordProcessor.worker",
        ),
        r"OtelBatch\w+Processor",
    ),
    # opentelemetry-sdk 1.45.2 and 1.30.0.
    Row(
        Culprit(
            "opentelemetry-sdk",
            "Each periodic metric reader keeps a ticker until its provider is shut down.",
            "Make one `MeterProvider` per process, or call `provider.shutdown()` when it is "
            "replaced.",
            "mlflow/mlflow#25206",
        ),
        (
            "opentelemetry/sdk/metrics/_internal/export/__init__"
            ":PeriodicExportingMetricReader._ticker",
        ),
        "OtelPeriodicExportingMetricReader",
    ),
    # launchdarkly-server-sdk 9.20.0: event processor, its flush workers, its timers.
    Row(
        Culprit(
            "launchdarkly-server-sdk",
            "Each LDClient keeps a dispatcher, flush workers and timers, also when its "
            "construction failed.",
            "Make one client per process (`ldclient.set_config(...)`, `ldclient.get()`), or call "
            "`client.close()`.",
            "launchdarkly/python-server-sdk#497",
        ),
        (
            "ldclient/impl/events/event_processor:EventDispatcher._run_main_loop",
            "ldclient/impl/fixed_thread_pool:FixedThreadPool._run_worker",
            "ldclient/impl/repeating_task:RepeatingTask._run",
            "ldclient/impl/datasource/streaming:StreamingUpdateProcessor.run",
        ),
        r"ldclient\..+",
    ),
    # APScheduler 3.11.3: BackgroundScheduler runs BlockingScheduler's loop.
    Row(
        Culprit(
            "APScheduler",
            "Each BackgroundScheduler that was started keeps its thread until it is shut down.",
            "Start one scheduler per process and add jobs to it, or call "
            "`scheduler.shutdown()` before a new one is started.",
            "omroy07/AI-Money-Mentor#588",
        ),
        ("apscheduler/schedulers/blocking:BlockingScheduler._main_loop",),
        "APScheduler",
    ),
    # redis 8.1.0.
    Row(
        Culprit(
            "redis",
            "Each `pubsub.run_in_thread()` keeps a thread until it is stopped.",
            "Keep what `run_in_thread()` returns; call `thread.stop()` and `thread.join()` before "
            "subscribing again.",
            "redis/redis-py#576",
        ),
        ("redis/client:PubSubWorkerThread.run",),
    ),
    # paho-mqtt 2.2.0.
    Row(
        Culprit(
            "paho-mqtt",
            "Each client with `loop_start()` keeps its loop thread; a reconnect with a new client "
            "leaves the old one running.",
            "Call `client.loop_stop()` and `client.disconnect()` before a new client is made, or "
            "`client.reconnect()` on the one that is there.",
            "MetPX/sarracenia#1622",
        ),
        ("paho/mqtt/client:Client._thread_main", "paho/mqtt/client:Client.loop_forever"),
        r"paho-mqtt-client-.*",
    ),
    # discord.py 2.7.1.
    Row(
        Culprit(
            "discord.py",
            "A gateway connection that is resumed leaves its keep-alive thread behind.",
            "Upgrade discord.py; in code of your own, call `keep_alive.stop()` before the gateway "
            "reconnects.",
            "Rapptz/discord.py#309",
        ),
        ("discord/gateway:KeepAliveHandler.run",),
        r"(voice-)?keep-alive-handler:.*",
    ),
    # elastic-apm 6.26.2.
    Row(
        Culprit(
            "elastic-apm",
            "Each APM client keeps its interval timers and its event processor.",
            "Make one `elasticapm.Client` per process, and call `client.close()` on one that is "
            "replaced; upgrade from 4.2.1 or older.",
            "elastic/apm-agent-python#450",
        ),
        (
            "elasticapm/utils/threading:IntervalTimer.run",
            "elasticapm/transport/base:Transport._process_queue",
        ),
        r"eapm .+",
    ),
    # grpcio 1.85.1: a function inside _consume_request_iterator.
    Row(
        Culprit(
            "grpcio",
            "A streaming call keeps a thread that waits for the next request from the iterator "
            "that it was given, also after the call has ended.",
            "Make the request iterator end when the call does: put a sentinel into its queue from "
            "`call.add_callback(...)`, and call `call.cancel()` before a reconnect.",
            "grpc/grpc#21995",
        ),
        ("grpc/_channel:consume_request_iterator",),
        calls_user=True,
    ),
    # google-cloud-pubsub 2.44.0.
    Row(
        Culprit(
            "google-cloud-pubsub",
            "Each streaming pull keeps a leaser and a heartbeater until it is cancelled.",
            "Keep the future of `subscriber.subscribe(...)`; call `future.cancel()` and "
            "`future.result()`, and use `with subscriber:`.",
            "googleapis/google-cloud-python#4563",
        ),
        (
            "google/cloud/pubsub_v1/subscriber/_protocol/leaser:Leaser.maintain_leases",
            "google/cloud/pubsub_v1/subscriber/_protocol/heartbeater:Heartbeater.heartbeat",
        ),
        r"Thread-(LeaseMaintainer|Heartbeater|CallbackRequestDispatcher)",
    ),
    # sentry-sdk 2.75.0; reported of its predecessor, raven, whose client did the same.
    Row(
        Culprit(
            "sentry-sdk",
            "Each client keeps a background worker until it is closed.",
            "Call `sentry_sdk.init(...)` once per process, or `client.close()` on a client of "
            "your own.",
            "getsentry/raven-python#837",
        ),
        ("sentry_sdk/worker:BackgroundWorker._target",),
        r"sentry-sdk\.BackgroundWorker",
    ),
    # pykafka 2.8.0: functions inside methods.
    Row(
        Culprit(
            "pykafka",
            "Producers and consumers leave their queue readers, fetchers and commit loops behind.",
            "Call `producer.stop()` and `consumer.stop()`, and keep one of each per topic.",
            "Parsely/pykafka#255",
        ),
        (
            "pykafka/producer:queue_reader",
            "pykafka/simpleconsumer:fetcher",
            "pykafka/simpleconsumer:autocommitter",
            "pykafka/managedbalancedconsumer:fetcher",
        ),
        r"\d+: pykafka\..+",
    ),
    # sdc11073 3.0.0.
    Row(
        Culprit(
            "sdc11073",
            "Each consumer connection keeps a request handler thread that has no way to stop.",
            "It has no stop in 3.0.0: make one `SdcConsumer` per device and reuse it.",
            "Draegerwerk/sdc11073#519",
        ),
        ("sdc11073/consumer/request_handler_deferred:DispatchKeyRegistryDeferred._read_queue",),
    ),
    # uamqp 1.6.11.
    Row(
        Culprit(
            "uamqp",
            "Each client with a keep-alive interval keeps a thread until it is closed.",
            "Call `client.close()` in a `finally`, or share one client.",
            "Azure/azure-uamqp-python#197",
        ),
        ("uamqp/client:AMQPClient._keep_alive",),
    ),
    # more-executors 2.11.4.
    Row(
        Culprit(
            "more-executors",
            "Each retry, throttle, poll or timeout executor keeps a thread until it is shut down.",
            "Use `with Executors.thread_pool().with_retry() as executor:`, or make one and share "
            "it.",
            "rohanpm/more-executors#87",
        ),
        (
            "more_executors/_impl/retry:_submit_loop",
            "more_executors/_impl/throttle:_submit_loop",
            "more_executors/_impl/poll:_poll_loop",
            "more_executors/_impl/timeout:TimeoutExecutor._job_loop",
        ),
        r"(Retry|Throttle|Poll|Timeout)Executor-.*",
    ),
    # jupyter_client 8.10.0.
    Row(
        Culprit(
            "jupyter_client",
            "Each kernel client keeps a heartbeat thread until its channels are stopped.",
            "Call `client.stop_channels()` when a kernel is shut down or replaced.",
            "spyder-ide/spyder#13328",
        ),
        ("jupyter_client/channels:HBChannel.run",),
    ),
    # websockets 17.4; also the server's side, where the client holds the connection open.
    Row(
        Culprit(
            "websockets",
            "Each connection of `websockets.sync` keeps a reader thread until it is closed.",
            "Use `with connect(uri) as websocket:`, or call `websocket.close()` before connecting "
            "again.",
            "python-websockets/websockets#1455",
        ),
        (
            "websockets/sync/connection:Connection.recv_events",
            "websockets/sync/connection:Connection.keepalive",
        ),
    ),
    # watchdog 7.1.0.
    Row(
        Culprit(
            "watchdog",
            "Each Observer that was started keeps a dispatcher and an emitter per watch.",
            "Call `observer.stop()` and `observer.join()` before a new one is started, or add "
            "watches to one observer with `observer.schedule(...)`.",
            "nuxeo/nuxeo-drive#813",
        ),
        (
            "watchdog/observers/api:EventEmitter.run",
            "watchdog/observers/api:EventDispatcher.run",
            "watchdog/observers/inotify_c:InotifyFD.run",
        ),
    ),
    # stomp.py 9.0.0.
    Row(
        Culprit(
            "stomp.py",
            "A connection that is not disconnected keeps its heartbeat loop.",
            "Call `connection.disconnect()` before connecting again; upgrade from versions before "
            "4.0.14.",
            "jasonrbriggs/stomp.py#26",
        ),
        ("stomp/listener:HeartbeatListener.__heartbeat_loop",),
        r"StompHeartbeat.*",
    ),
)

_PLACES = tuple((row, tuple(map(place, row.places))) for row in ROWS)


def culprit_of(frames: Frames, names: Sequence[str | None]) -> Culprit | None:
    """The known culprit that these threads belong to; the stack is asked before the names."""
    for row, places in _PLACES:
        is_told_by = passes if row.calls_user else rests_in
        if any(is_told_by(frames, where) for where in places):
            return row.culprit
    known = [name for name in names if name]
    for row in ROWS:
        if row.names and known:
            named = sum(bool(re.fullmatch(row.names, name)) for name in known)
            if named > len(known) / 2:
                return row.culprit
    return None
