"""What of command lines and variables may be shown: what looks like a secret is masked. Pure.

Names are kept and values become `***`, so that a reader still sees that there was a password. When
in doubt a rule masks too much: a value too few can be asked for again, one that leaked can't be
called back. Not every secret looks like one, so this is a net and no promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

MASK = "***"


class Redaction(StrEnum):
    """What is masked."""

    SECRETS = "secrets"  # values that look like secrets, by their name or by themselves
    ALL = "all"  # every value: the program and the names of options stay
    NONE = "none"


def redacted(command: Sequence[str], redaction: Redaction = Redaction.SECRETS) -> tuple[str, ...]:
    """A command line with its values masked. Doing it twice changes no more."""
    if redaction is Redaction.NONE:
        return tuple(command)
    if redaction is Redaction.ALL:
        return (*(_program(word) for word in command[:1]), *map(_all_masked, command[1:]))
    return tuple(_words(list(command)))


def redacted_value(name: str, value: str, redaction: Redaction = Redaction.SECRETS) -> str:
    """The value of a variable, as text."""
    if redaction is Redaction.NONE:
        return value
    if redaction is Redaction.ALL or is_secret_name(name):
        return MASK
    return _text(value)


# --- names ----------------------------------------------------------------------------------------

# Parts of names that say that the value is a secret. The long ones count at the end of a longer
# word too (`dbpassword`, `AUTHTOKEN`); the short ones are parts of too many others (`author`).
_SECRET_PART = re.compile(
    r"\w*(?:password|passwd|passphrase|passcode|secret|token|credential|cookie)s?"
    r"|(?!bypass|compass)\w*pass|(?!monkey|hotkey|turkey)\w*keys?"
    r"|pw|pwd|pswd|creds?|auth|authori[sz]ation|authentication|oauth\d?|bearer|jwt|otp|pin"
    r"|dsn|webhook"  # addresses that are themselves the right to write there
)
# A name that ends so says where or how, not what: `--password-file /run/secrets/db`.
_NO_SECRET_AT_END = re.compile(
    r"algorithm|dir|file|host|length|method|mode|name|path|port|provider|size|timeout|ttl|type|ur[il]"
    r"|user|username"
    r"|\w+(?:file|path|dir)"  # `keyfile` of uvicorn: the same in one word
)
# A number of tokens is none (`--max-num-tokens 8192`), and a switch has no value (`--no-auth`).
_NUMBER = re.compile(r"count|limit|max|min|num")
_SWITCH = re.compile(r"allow|disable|enable|no|require|skip|use|with|without")

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d?|\d+")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a name says that its value is a secret: `--db-password`, `API_KEY`, `authToken`."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    if not parts or _NO_SECRET_AT_END.fullmatch(parts[-1]) or _SWITCH.fullmatch(parts[0]):
        return False
    if any(_NUMBER.fullmatch(part) for part in parts):
        return False
    return any(_SECRET_PART.fullmatch(part) for part in parts)


# --- words ----------------------------------------------------------------------------------------

# What surrounds a word in code, in JSON and in the text of a list.
_WRAPPING = "\"'`,;()[]{}"
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
_LONG_OPTION = re.compile(r"--[A-Za-z][\w.=-]*|-[A-Za-z]")
# `name =`, `name:`, with the value in a word of its own.
_OPEN_NAME = re.compile(r"""[\w.-]+["'\]]*\s*(?::|=|:=)""")
_SIGNS = frozenset((":", "=", ":=", "=>"))
# Of HTTP: the word after it is the secret.
_SCHEME = re.compile(r"(?:bearer|basic|digest)", re.IGNORECASE)
# `-pX` means a password in these programs, and a port or a path in others.
_SHORT_PASSWORDS = {
    "curl": "u",
    "http": "a",
    "https": "a",
    "iredis": "a",
    "ldapsearch": "w",
    "mariadb": "p",
    "mssql-cli": "P",
    "mycli": "p",
    "mysql": "p",
    "mysqladmin": "p",
    "mysqldump": "p",
    "redis-cli": "a",
    "sqlcmd": "P",
    "sshpass": "p",
}
# `--user name:password`, as HTTP clients have it.
_OPTION_OF_USER = re.compile(r"--(?:proxy-)?user")


def _words(words: list[str]) -> Iterable[str]:
    """The words of a command line, or of a text that may hold one, with their secrets masked."""
    short: set[str] = set()
    mask_next = mask_after_colon = False
    for index, word in enumerate(words):
        bare = word.strip(_WRAPPING)
        following = words[index + 1].strip() if index + 1 < len(words) else ""
        if mask_next and not _LONG_OPTION.fullmatch(bare):
            yield MASK
        elif mask_after_colon and ":" in word and "://" not in word:
            yield f"{word.partition(':')[0]}:{MASK}"
        elif _names_the_rest(word, following):
            # How far the value goes can't be told, so it goes to the end.
            yield from (word, MASK)
            return
        elif bare[:2] in short:
            yield bare[:2] + (MASK if bare[2:] else "")
        else:
            yield _text(word) if re.search(r"\s", word) else _word(word)
        mask_next = _asks_for_secret(bare) or bare in short
        mask_after_colon = bool(_OPTION_OF_USER.fullmatch(bare))
        if letter := _SHORT_PASSWORDS.get(bare.rpartition("/")[2]):
            short.add(f"-{letter}")


def _asks_for_secret(bare: str) -> bool:
    if _SCHEME.fullmatch(bare):
        return True
    return bool(_OPTION.fullmatch(bare)) and is_secret_name(bare)


def _names_the_rest(word: str, following: str) -> bool:
    """Whether what comes after this word is the value of a secret."""
    bare = word.lstrip(_WRAPPING)
    if following in _SIGNS:
        return is_secret_name(bare)
    return bool(_OPEN_NAME.fullmatch(bare)) and is_secret_name(bare)


# A part of a text without spaces, or within quotes; backslashes as in a shell.
_QUOTED = re.compile(r"""(?:"(?:\\.|[^"\\])*"?|'[^']*'?|\\.|[^\s"'])+""", re.DOTALL)


def _text(text: str) -> str:
    """A text of several words, such as a command line for a shell, code, or a header."""
    for pattern in _ASSIGNMENTS:
        found = pattern.match(text)
        if found and _is_secret(found):
            return found[0] + MASK  # `--password=two words` is one argument
    if "-----BEGIN" in text:  # a key or a certificate as PEM
        return text[: text.index("-----BEGIN")] + MASK
    words = [(part.start(), part.end()) for part in _QUOTED.finditer(text)]
    if len(words) > 1:
        return _joined(text, words)
    # All of it is within one pair of quotes: which words belong together can't be told, so that
    # from the first secret on all is masked.
    words = [(part.start(), part.end()) for part in re.finditer(r"\S+", text)]
    if len(words) == 1:
        return _word(text)
    masked = _joined(text, words)
    at = masked.find(MASK)
    return masked if masked == text or at < 0 else masked[:at] + MASK


def _joined(text: str, spans: list[tuple[int, int]]) -> str:
    words = [text[begin:end] for begin, end in spans]
    masked = list(_words(words))
    said = text[: spans[0][0]] if spans else text
    for index, word in enumerate(masked):
        said += word
        if index + 1 < len(masked):
            said += text[spans[index][1] : spans[index + 1][0]]
    return said + (text[spans[-1][1] :] if spans and len(masked) == len(words) else "")


# `name=value` anywhere in a word: an option, a variable, a part of an address or of a DSN.
_EQUALS = re.compile(r"""(?<![\w.-])([\w.-]++)["'\]]*(?:=|:=)""")
# `"name":value` of JSON and code, `X-Name:value` of a header. A bare `auth:app` is a module.
_COLON = re.compile(r"""(?<![\w.-])(?:([\w.-]++)\\?["']|([A-Z][\w.]*-[\w.-]*|Authorization))\s*:""")
# The exception: no module that serves anything is called so.
_PASSWORD_COLON = re.compile(r"(?i)(?<![\w.-])(\w*(?:password|passwd|passphrase)):(?=.)")
_ASSIGNMENTS = (_EQUALS, _COLON, _PASSWORD_COLON)


def _is_secret(assignment: re.Match[str]) -> bool:
    return any(name is not None and is_secret_name(name) for name in assignment.groups())


# `scheme://user:password@`, to the last `@`: a password may hold any character.
_PASSWORD_OF_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*+://[^\s/:@]*):\S*@")
# `https://token@`: in databases' addresses it is a user, here a key.
_USER_OF_HTTP = re.compile(r"(https?://)[^\s/@]+@", re.IGNORECASE)
# `user:password@host` without a scheme.
_PASSWORD_AT_HOST = re.compile(r"(?<![\w/.-])([\w.+-]++:)(?!//)[^\s@]+@(?=[\w\[(])")
# The forms of keys that say of themselves what they are.
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}"  # AWS
    r"|gh[oprsu]_\w{16,}|github_pat_\w+|glpat-[\w-]{10,}|xox[a-z]-[\w-]{8,}"
    r"|[rs]k[-_][\w-]{16,}|AIza[\w-]{20,}|hf_\w{16,}|npm_\w{16,}|pypi-[\w-]{16,}"
    r"|SG\.[\w-]{16,}\.[\w-]+|ya29\.[\w-]+|eyJ[\w-]{8,}(?:\.[\w-]*)*"  # the last: JWT
    r")"
)
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{20,}")


def _word(word: str) -> str:
    """One word, with the secrets in it masked."""
    for pattern in _ASSIGNMENTS:
        if found := next(filter(_is_secret, pattern.finditer(word)), None):
            return _word(word[: found.start()]) + found[0] + MASK
    if "@" in word:
        # None of these can end after the last one; and a long word is read but once.
        end = word.rindex("@") + 2
        head = _PASSWORD_OF_URL.sub(rf"\1:{MASK}@", word[:end])
        head = _USER_OF_HTTP.sub(rf"\1{MASK}@", head)
        word = _PASSWORD_AT_HOST.sub(rf"\1{MASK}@", head) + word[end:]
    return _RUN.sub(_masked_if_random, _KEY.sub(MASK, word))


# Names are made of words: of their characters one in ten to one in six is of another kind (small,
# capital, digit) than the one before. Of random letters and digits it is nearly every second.
_LEAST_RANDOM_SHARE = 0.25
# Of the secret half of an AWS key: of all three kinds, and no shorter and no longer, ever.
_AWS_SECRET_LENGTH = 40


def _masked_if_random(run: re.Match[str]) -> str:
    """`***` for a run of characters that is no name and no path, but looks drawn at random."""
    text = run[0]
    if text.startswith("/") and text.count("/") > 1:
        return text  # a path; a key in base64 that looks like one is one in a hundred
    kinds = [_kind(char) for char in text if char.isalnum()]
    if len(text) == _AWS_SECRET_LENGTH and len(set(kinds)) == 3:
        return MASK
    changes = sum(
        # A capital at the beginning of a word is no change: `SomeLongName` is a name.
        before != now and (before, now) != ("A", "a")
        for before, now in pairwise(kinds)
    )
    return MASK if changes >= _LEAST_RANDOM_SHARE * len(text) else text


def _kind(char: str) -> str:
    return "0" if char.isdigit() else "A" if char.isupper() else "a"


# --- all values -----------------------------------------------------------------------------------


def _program(word: str) -> str:
    """What runs; a process may have written anything into its own title, so no more than that."""
    return (word.split() or [""])[0]


_NAMED = re.compile(r"(--?[A-Za-z][\w.-]*=|[A-Za-z_]\w*=)")


def _all_masked(word: str) -> str:
    if named := _NAMED.match(word):
        return named[0] + MASK
    if word.startswith("--") and _OPTION.fullmatch(word):
        return word
    if re.match(r"-[A-Za-z]", word):
        return word[:2] + (MASK if word[2:] else "")
    return MASK
