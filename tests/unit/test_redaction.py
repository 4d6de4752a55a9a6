"""What looks like a secret is masked, names stay, and what is none is shown as it is."""

from __future__ import annotations

import base64
import random
import shlex
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.redaction import MASK, Redaction, is_secret_name, redacted, redacted_value

AWS_ID = "AKIA" + "IOSFODNN7EXAMPLE"
AWS_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def masked(line: str, redaction: Redaction = Redaction.SECRETS) -> str:
    """A command line as one writes it; `***` needs no quotes to be read."""
    return " ".join(redacted(shlex.split(line), redaction))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        # options
        ("app.py --password hunter2", "app.py --password ***"),
        ("app.py --password=hunter2 --port 80", "app.py --password=*** --port 80"),
        ("app.py --db-password 'two words' run", "app.py --db-password *** run"),
        ("app.py -password hunter2", "app.py -password ***"),
        ("app.py --dbPassword hunter2", "app.py --dbPassword ***"),
        ("app.py --passwd x --api-key y --auth z", "app.py --passwd *** --api-key *** --auth ***"),
        ("app --client-secret x --credentials y", "app --client-secret *** --credentials ***"),
        ("app.py --token -Xf3", "app.py --token ***"),
        ("app.py --token --verbose", "app.py --token --verbose"),
        ("app.py --token", "app.py --token"),
        ("app.py --password ''", "app.py --password ***"),
        # assignments
        ("env DB_PASSWORD='two words' PORT=80 app", "env DB_PASSWORD=*** PORT=80 app"),
        ("java -Dspring.datasource.password=x", "java -Dspring.datasource.password=***"),
        ("app 'host=db password=a,b;c user=me'", "app host=db password=*** user=me"),
        ("app 'Server=db;Password=x;Database=y'", "app Server=db;Password=***"),
        # addresses
        ("celery -b redis://:pw@host:6379/0", "celery -b redis://:***@host:6379/0"),
        ("app postgres://bob:p/w@x@db/app", "app postgres://bob:***@db/app"),
        ("app postgres://bob@db/app", "app postgres://bob@db/app"),
        ("app https://0a1b@sentry.example/7", "app https://***@sentry.example/7"),
        ("app 'http://h/p?a=1&token=x&b=2'", "app http://h/p?a=1&token=***"),
        ("app 'bob:pw@tcp(db:3306)/app'", "app bob:***@tcp(db:3306)/app"),
        # short options, where it is sure what they mean
        ("mysql -phunter2 -h db", "mysql -p*** -h db"),
        ("python3 /usr/bin/mycli -p hunter2", "python3 /usr/bin/mycli -p ***"),
        ("python3 app.py -p 8000", "python3 app.py -p 8000"),
        ("http -a bob:pw example.org", "http -a *** example.org"),
        ("app --user bob:pw", "app --user bob:***"),
        ("gunicorn --user www-data", "gunicorn --user www-data"),
        # headers, code, JSON, commands in commands
        ("http X-Api-Key:abc", "http X-Api-Key:***"),
        ("curl -H 'Authorization: Bearer abc def'", "curl -H Authorization:***"),
        ("Authorization: Bearer abc", "Authorization: ***"),
        ("app Bearer abc", "app Bearer ***"),
        ("""sh -c 'exec env PASSWORD="a b" app --token x --port 1'""",
         "sh -c exec env PASSWORD=*** app --token *** --port 1"),
        ("sh -c 'PASSWORD=a app'", "sh -c PASSWORD=***"),
        ("""sh -c "bash -c 'app --password \\"a b\\" -v'" """, "sh -c bash -c 'app --password ***"),
        ("sh -c \"'app --password x y'\"", "sh -c 'app --password ***"),
        ("""python -c "connect(password='x y', port=1)" """,
         "python -c connect(password=*** port=1)"),
        ("""python -c "password = 'x'; go()" """, "python -c password ***"),
        ("""app '{"user": "me", "password": "a b"}'""", 'app {"user": "me", "password": ***'),
        ("""app '{"password":"x","port":1}'""", 'app {"password":***'),
        ("app password:hunter2 --token=>", "app password:*** --token=***"),
        ("app '-----BEGIN PRIVATE KEY----- MIIE'", "app ***"),
        # keys that can be told by themselves
        (f"app {AWS_ID} {AWS_KEY}", "app *** ***"),
        ("app ghp_0123456789abcdefABCDEF xoxb-1234-abcdefgh", "app *** ***"),
        ("app eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "app ***"),
        ("app 9f86d081884c7d659a2feaa0c55ad015", "app ***"),
        ("app s.0f8fad5b-d9cb-469f-a165-70867728950e", "app s.***"),
    ],
)  # fmt: skip
def test_secrets_are_masked(line, shown):
    assert masked(line) == shown


@pytest.mark.parametrize(
    "line",
    [
        "python3 service.py",
        "python3 -m gunicorn -w 3 --bind 0.0.0.0:8000 --user www-data app:create_app()",
        "uvicorn myapp.auth:app --ssl-keyfile /etc/tls/key.pem --port 8443",
        "uvicorn tokens:app --no-auth",
        "celery -A proj worker --pool=threads --concurrency=20 -n worker1@%h -Q high,low",
        "python3 -c from multiprocessing.spawn import spawn_main; "
        "spawn_main(tracker_fd=5, pipe_handle=7) --multiprocessing-fork",
        "vllm serve --tokenizer bert --max-num-batched-tokens 8192",
        "app --password-file /run/secrets/db --token-url http://idp/token --auth-type basic",
        "app --author me --keyspace users --monkey 1 --bypass x --compass n",
        "/opt/venvs/0f8fad5bd9cb469fa16570867728950e/bin/python3 app.py",
        "app --settings=company.services.orders.settings_production_2024",
        "app SomeVeryLongHandlerFactoryName some_very_long_handler_factory_name_v2",
        "app --log /var/log/app-2026-11-23/worker-10.log --date 2026-11-23T10:00:00Z",
        "gunicorn: master [orders]",
        "app name:tag localhost:8000 a@b.example *** --password ***",
    ],
)
def test_what_is_no_secret_is_shown(line):
    words = line.split(" ")
    assert redacted(words) == tuple(words)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("python3 app.py --port 80 --name=x -v", "python3 *** --port *** --name=*** -v"),
        ("python3 app.py -p80 KEY=v --a b", "python3 *** -p*** KEY=*** --a ***"),
        ("'gunicorn: master [orders]' x", "gunicorn: ***"),
        ("'' x", " ***"),
    ],
)  # fmt: skip
def test_all_keeps_the_program_and_names(line, shown):
    assert masked(line, Redaction.ALL) == shown


def test_none_changes_nothing():
    assert masked("app --password hunter2", Redaction.NONE) == "app --password hunter2"


@pytest.mark.parametrize("redaction", Redaction)
def test_no_command_is_no_command(redaction):
    assert redacted((), redaction) == ()


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("password", True),
        ("API_KEY", True),
        ("authToken", True),
        ("MYSQLPASS", True),
        ("--no-password", False),
        ("max_tokens", False),
        ("keyfile", False),
        ("", False),
        ("***", False),
    ],
)
def test_names(name, is_secret):
    assert is_secret_name(name) is is_secret


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("password", '"hunter2"', MASK),
        ("url", '"redis://:pw@host/0"', '"redis://:***@host/0"'),
        ("argv", '["app.py", "--password", "hunter2"]', '["app.py", "--password", ***'),
        ("config", '{"password": "hunter2"}', '{"password": ***'),
        ("header", '"Authorization: Bearer abc"', '"Authorization: ***'),
        ("jobs", "<Queue at 0x7f2d3c5e9a10>", "<Queue at 0x7f2d3c5e9a10>"),
        ("count", "41", "41"),
    ],
)
def test_values_of_variables(name, value, shown):
    assert redacted_value(name, value) == shown
    assert redacted_value(name, value, Redaction.NONE) == value
    assert redacted_value(name, value, Redaction.ALL) == MASK


# --- by themselves --------------------------------------------------------------------------------


def tokens(draw: random.Random, number: int) -> list[str]:
    """Keys as they are made: hexadecimal, base64 and its form for addresses, 24 bytes or more."""
    made = []
    for _ in range(number):
        key = draw.randbytes(draw.choice([24, 30, 32, 40]))
        made += [key.hex(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()]
    return made


def test_random_keys_are_told_by_themselves():
    made = tokens(random.Random(4), 1000)
    missed = [token for token in made if redacted(["app", token])[1] != MASK]
    assert len(missed) / len(made) < 0.03, missed[:10]


def test_names_and_paths_are_not_taken_for_keys():
    library = Path(random.__file__).parent
    paths = [path.relative_to(library).as_posix() for path in library.rglob("*.py")]
    names = [path.removesuffix(".py").replace("/", ".") for path in paths]
    words = [*paths, *names, *sys.stdlib_module_names]
    assert len(words) > 500
    masked_ones = [
        word for word, shown in zip(words, redacted(words), strict=True) if word != shown
    ]
    assert len(masked_ones) / len(words) < 0.005, masked_ones[:10]


WORDS = st.one_of(
    st.text(),
    st.sampled_from(["--password", "--token=", "a=", "'", '"', "\\", ":", "=", "Bearer", "mysql"]),
    st.from_regex(r"[a-z:/@\"' =-]{0,30}", fullmatch=True),
)


@given(st.lists(WORDS, max_size=6), st.sampled_from(Redaction))
def test_any_words_can_be_masked_and_then_stay_as_they_are(words, redaction):
    once = redacted(words, redaction)
    assert len(once) <= len(words) + 1
    assert redacted(once, redaction) == once


@given(
    st.sampled_from(["--password", "--api-key", "-token", "--db-secret"]),
    st.text(
        alphabet=st.characters(
            codec="utf-8",
            exclude_characters="-*",
        ),
        min_size=1,
    ),
)
def test_the_value_of_an_option_is_never_shown(option, value):
    # A lone colon may stand between a name and a value, and then what follows is masked too.
    assert redacted(["app", option, value, "x"])[:3] == ("app", option, MASK)
    assert redacted(["app", f"{option}={value}", "x"])[1:] == (f"{option}={MASK}", "x")


@pytest.mark.parametrize(
    "word",
    ["a" * 200_000, "=" * 200_000, "'" * 200_000, '"\\' * 100_000, "a:" * 100_000,
     "http://" * 30_000, "http://a:" * 30_000 + "@", "a b " * 50_000, "x=1 " * 50_000,
     "-a" * 100_000, "\\" * 200_001, "A-" * 100_000, "token " * 30_000],
    ids=lambda word: word[:10],
)  # fmt: skip
def test_a_hostile_word_takes_no_time(word):
    began = time.process_time()
    redacted(["app", word])
    # Linear ones take a tenth of that; a square of this length would take minutes.
    assert time.process_time() - began < 5
