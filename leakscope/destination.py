"""Where a file is written to: through nobody else's symlink, and whole or as it grows.

Files are never opened for writing by their name. Each is made new beside it and then takes the
name, so that a link, a pipe or an open file that someone has put there gets nothing of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import stat
from collections.abc import Iterator

from leakscope.errors import UsageProblem

# As many as the kernel follows.
_MOST_LINKS = 40
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A folder that may be searched need not be one that may be read; O_PATH asks for no more.
_PASSED_THROUGH = _FOLDER | getattr(os, "O_PATH", os.O_RDONLY)
# Appending, so that it goes on at the end when someone has emptied it (logrotate's copytruncate).
_NEW = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITER = os.O_WRONLY | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
# In /proc, what holds the links `cwd` and `root`.
_PROCESS = re.compile(r"/proc/\d+(?:/task/\d+)?")
_ENDING_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}


class Destination:
    """A file to write. What is there now stays until there is something to put in its place."""

    def __init__(self, path: str) -> None:
        """Raises UsageProblem at once when nothing can be written there, not after hours."""
        self.path = path
        self._descriptor: int | None = None  # of this process, as named by /dev/stdout
        with self._told():
            self._folder = os.open("/" if path.startswith("/") else ".", _PASSED_THROUGH)
            try:
                self._name = self._found(path)
                # Whether it is a file of our own making, and no pipe, device or open file.
                self.is_own = self._descriptor is None and self._is_plain()
                if self.is_own:
                    self._try_folder()
            except BaseException:
                self.close()
                raise

    def write(self, content: bytes) -> None:
        """Write all of it, or nothing. Raises UsageProblem, or BrokenPipeError."""
        with self._told():
            if self.is_own:
                with self._new() as handle:
                    _write(handle, content)
                    os.fsync(handle)  # some disks tell only now that they are full
            else:
                handle = self._begun(content)
            os.close(handle)

    def open(self, first: bytes) -> int:
        """A descriptor to write to as things come, of a file that begins with this, or of none.

        Raises UsageProblem, or BrokenPipeError.
        """
        with self._told():
            if not self.is_own:
                return self._begun(first)
            with self._new() as handle:
                _write(handle, first)
            return handle

    def close(self) -> None:
        """Give back the folder."""
        os.close(self._folder)

    def problem(self, error: OSError) -> UsageProblem:
        """What a failure to write there is told as."""
        advice = ""
        if error.errno in (errno.EACCES, errno.EPERM, errno.EBUSY) and self._descriptor is None:
            advice = (
                "It is made new in its folder, which must be writable; /dev/stdout and `> FILE` "
                "write into a file that is there."
            )
        return UsageProblem(f"cannot write to {self.path}: {error.strerror or error}", advice)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self.problem(error) from None

    # --- finding it -------------------------------------------------------------------------------

    def _found(self, path: str) -> str:
        """The name in the folder, to which this goes; every link on the way is looked at."""
        where = "/" if path.startswith("/") else os.getcwd()
        left = [part for part in path.split("/") if part not in ("", ".")]
        if path.endswith("/") or not left:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        links = 0
        while True:
            part = left.pop(0)
            if not left and self._is_own_descriptor(where, part):
                return part
            if left and part in ("cwd", "root") and _PROCESS.fullmatch(where):
                # It leads where the text of the link does not, into a container's files for one.
                self._go(part, _PASSED_THROUGH & ~os.O_NOFOLLOW)
                where = os.path.join(where, part)
                continue
            said = _status(self._folder, part)
            if said is not None and stat.S_ISLNK(said.st_mode):
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                to = self._followed(part, said)
                if to.startswith("/"):
                    self._go("/")
                    where = "/"
                left = [step for step in to.split("/") if step not in ("", ".")] + left
                if not left:
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            elif not left:
                return part
            else:
                self._go(part)
                where = os.path.normpath(os.path.join(where, part))

    def _go(self, name: str, flags: int = _PASSED_THROUGH) -> None:
        """Into the folder of that name."""
        folder = os.open(name, flags, dir_fd=self._folder)
        os.close(self._folder)
        self._folder = folder

    def _is_own_descriptor(self, where: str, part: str) -> bool:
        """Whether this names an open file of our own: what it leads to is ours already.

        It looks like a link, but the way to it may not exist, or be closed to us.
        """
        if part.isdigit():
            with contextlib.suppress(OSError):
                # As that /proc counts processes, which may be that of another PID namespace.
                if where == f"/proc/{os.readlink('/proc/self')}/fd":
                    self._descriptor = int(part)
        return self._descriptor is not None

    def _followed(self, name: str, link: os.stat_result) -> str:
        """What a symlink says. Raises UsageProblem for one that someone else has planted."""
        self._refuse_planted(link, "a symlink")
        to = os.readlink(name, dir_fd=self._folder)
        now = _status(self._folder, name)
        if now is None or (now.st_ino, now.st_ctime_ns) != (link.st_ino, link.st_ctime_ns):
            raise OSError(errno.ELOOP, "a symlink on the way changes")
        return to

    def _refuse_planted(self, found: os.stat_result, what: str) -> None:
        """Refuse what someone else has put into a folder that is not theirs.

        Whoever owns a folder may say what its names mean, and so may root. Others can put a link
        into a folder that they share with us, such as /tmp, and have us write where it leads.
        """
        if found.st_uid not in (os.geteuid(), 0, os.stat(self._folder).st_uid):
            raise UsageProblem(
                f"cannot write to {self.path}: it leads through {what} of another user (uid "
                f"{found.st_uid}), put in a folder that is not theirs",
                "Name the file itself, or another folder.",
            )

    def _is_plain(self) -> bool:
        """Whether there is a regular file or nothing; else it is a pipe or a device."""
        said = _status(self._folder, self._name)
        if said is None or stat.S_ISREG(said.st_mode):
            return True
        if stat.S_ISDIR(said.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        self._refuse_planted(said, "a pipe or device")
        return False

    def _try_folder(self) -> None:
        """Make a file there and take it away: who may do what has more rules than can be asked."""
        with _until_done():
            temporary = _name_of_temporary()
            os.close(os.open(temporary, _NEW, 0o600, dir_fd=self._folder))
            os.unlink(temporary, dir_fd=self._folder)
        there, folder = _status(self._folder, self._name), os.stat(self._folder)
        owners = (0, folder.st_uid) if there is None else (0, folder.st_uid, there.st_uid)
        if there is not None and folder.st_mode & stat.S_ISVTX and os.geteuid() not in owners:
            # In a sticky folder nobody replaces a file of someone else.
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    # --- writing it -------------------------------------------------------------------------------

    def _begun(self, content: bytes) -> int:
        """A pipe, a device, or what is open already, with this written to it."""
        if self._descriptor is not None:
            handle = os.dup(self._descriptor)
        else:
            handle = os.open(self._name, _WRITER, dir_fd=self._folder)
        try:
            _write(handle, content)
        except BaseException:
            os.close(handle)
            raise
        return handle

    @contextlib.contextmanager
    def _new(self) -> Iterator[int]:
        """A new file, that takes the name if the block ends well, and is gone if not."""
        with _until_done():
            temporary = _name_of_temporary()
            handle = os.open(temporary, _NEW, 0o666, dir_fd=self._folder)  # less the umask
            try:
                self._take_over_rights(handle)
                yield handle
                folder = self._folder
                os.replace(temporary, self._name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.close(handle)
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=self._folder)
                raise

    def _take_over_rights(self, handle: int) -> None:
        """Whoever made a file that only they can read wants it to stay so.

        Of a file of someone else, who might want to read along, nothing is taken over.
        """
        before = _status(self._folder, self._name)
        if before is None or not stat.S_ISREG(before.st_mode) or before.st_uid != os.geteuid():
            return
        mode = stat.S_IMODE(before.st_mode) & 0o777
        if mode != stat.S_IMODE(os.fstat(handle).st_mode):
            os.fchmod(handle, mode)


class Growing:
    """A file that grows by whole pieces: what of one fits no more is taken away again."""

    def __init__(self, destination: Destination, first: bytes) -> None:
        """Raises UsageProblem, or BrokenPipeError, when not even the first piece fits."""
        self._destination = destination
        self._handle = destination.open(first)

    def add(self, piece: bytes) -> None:
        """Write a piece. Raises OSError, and then the file ends with the piece before."""
        left = memoryview(piece)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError:
            self._take_away(len(piece) - len(left))
            raise

    def close(self) -> None:
        """Close it, with all that was added."""
        os.close(self._handle)

    def _take_away(self, number: int) -> None:
        """Take bytes off the end, unless that is gone down a pipe or belongs to others too."""
        if self._destination.is_own and number:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, os.fstat(self._handle).st_size - number)


def _name_of_temporary() -> str:
    # Of 255 bytes that a name may have at most; the beginning tells whose it is.
    return f".leakscope-{os.urandom(8).hex()}.tmp"


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]  # which may have taken but a part


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _until_done() -> Iterator[None]:
    """Keep signals that end the program for after this, so that it leaves nothing half done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
