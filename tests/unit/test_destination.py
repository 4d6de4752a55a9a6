"""Files are replaced whole or not at all, and nobody else decides where they are."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leakscope.errors import UsageProblem
from leakscope.output import ClosedPipe, Output

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")


def write(path: Path | str, text: str = "new\n") -> None:
    """A report into a file, as commands write it."""
    out = Output(str(path))
    out.lines(text.splitlines())
    out.close()


def grow(path: Path | str, text: str = "new\n") -> None:
    """Lines into a file that grows, as a watch writes them."""
    out = Output(str(path), grows=True)
    for line in text.splitlines():
        out.lines([line])
    out.close()


@pytest.fixture(params=[write, grow])
def put(request: pytest.FixtureRequest) -> Callable[..., None]:
    way: Callable[..., None] = request.param
    return way


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder such as /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def planted(link: Path, to: Path | str) -> Path:
    """A symlink of another user."""
    link.symlink_to(to)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    return link


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- replaced whole -------------------------------------------------------------------------------


@pytest.mark.usefixtures("umask")
def test_a_new_file_has_the_rights_that_the_umask_leaves(tmp_path, put):
    put(tmp_path / "report")
    assert mode_of(tmp_path / "report") == 0o640
    assert os.listdir(tmp_path) == ["report"]


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_keeps_the_rights_that_its_owner_gave_it(tmp_path, put, mode):
    (tmp_path / "report").touch(mode)
    (tmp_path / "report").chmod(mode)
    put(tmp_path / "report")
    assert mode_of(tmp_path / "report") == mode
    assert (tmp_path / "report").read_text() == "new\n"


@as_root
@pytest.mark.usefixtures("umask")
def test_the_rights_of_a_file_of_someone_else_are_not_taken_over(shared, put):
    report = shared / "report"
    report.touch()
    report.chmod(0o666)
    os.chown(report, NOBODY, NOBODY)
    put(report)
    assert (report.stat().st_uid, mode_of(report)) == (0, 0o640)


def test_whoever_reads_the_old_file_reads_on_in_it(tmp_path, put):
    (tmp_path / "report").write_text("old\n")
    with (tmp_path / "report").open() as reader:
        put(tmp_path / "report")
        assert reader.read() == "old\n"
    assert (tmp_path / "report").read_text() == "new\n"


def test_another_name_of_the_file_is_not_written_to(tmp_path, put):
    (tmp_path / "precious").write_text("old\n")
    os.link(tmp_path / "precious", tmp_path / "report")
    put(tmp_path / "report")
    assert (tmp_path / "precious").read_text() == "old\n"


def test_nothing_is_written_before_all_of_it_can_be(tmp_path):
    (tmp_path / "report").write_text("old\n")
    out = Output(str(tmp_path / "report"))
    out.lines(["one"])
    assert (tmp_path / "report").read_text() == "old\n"
    out.lines(["two"])
    out.close()
    assert (tmp_path / "report").read_text() == "one\ntwo\n"


def test_what_grows_is_seen_as_it_comes(tmp_path):
    (tmp_path / "report").write_text("old\n")
    out = Output(str(tmp_path / "report"), grows=True)
    assert (tmp_path / "report").read_text() == "old\n"
    for number in range(3):
        out.lines([str(number)])
        assert (tmp_path / "report").read_text() == "0\n1\n2\n"[: 2 * number + 2]
    assert os.listdir(tmp_path) == ["report"]
    out.close()


def test_a_file_that_is_emptied_goes_on_at_its_beginning(tmp_path):
    """As logrotate's copytruncate does it: else the file begins with zeros."""
    out = Output(str(tmp_path / "report"), grows=True)
    out.lines(["one"])
    os.truncate(tmp_path / "report", 0)
    out.lines(["two"])
    out.close()
    assert (tmp_path / "report").read_text() == "two\n"


@pytest.mark.parametrize("grows", [False, True])
def test_without_results_there_is_no_file(tmp_path, grows):
    Output(str(tmp_path / "report"), grows=grows).close()
    assert os.listdir(tmp_path) == []


# --- links ----------------------------------------------------------------------------------------


def test_an_own_link_is_followed_and_stays(tmp_path, put):
    real = tmp_path / "logs" / "of-today"
    real.parent.mkdir()
    real.write_text("old\n")
    (tmp_path / "current").symlink_to("logs")
    (tmp_path / "report").symlink_to(tmp_path / "current" / ".." / "logs" / "of-today")
    put(tmp_path / "report")
    assert (tmp_path / "report").is_symlink()
    assert real.read_text() == "new\n"


def test_an_own_link_to_nothing_makes_what_it_names(tmp_path, put):
    (tmp_path / "report").symlink_to("real")
    put(tmp_path / "report")
    assert (tmp_path / "real").read_text() == "new\n"


@as_root
@pytest.mark.parametrize("there", [True, False])
def test_a_planted_link_is_refused(shared, tmp_path, put, there):
    precious = tmp_path / "precious"
    if there:
        precious.write_text("old\n")
    with pytest.raises(UsageProblem, match=r"a symlink of another user \(uid 65534\)"):
        put(planted(shared / "report", precious))
    assert os.listdir(shared) == ["report"]
    assert precious.read_text() == "old\n" if there else not precious.exists()


@as_root
def test_a_planted_link_on_the_way_is_refused(shared, tmp_path, put):
    (tmp_path / "private").mkdir()
    planted(shared / "folder", tmp_path / "private")
    with pytest.raises(UsageProblem, match="a symlink of another user"):
        put(shared / "folder" / "report")
    (tmp_path / "mine").symlink_to(shared / "folder" / "report")
    with pytest.raises(UsageProblem, match="a symlink of another user"):
        put(tmp_path / "mine")
    assert os.listdir(tmp_path / "private") == []


@as_root
def test_a_link_planted_while_a_watch_goes_on_is_replaced(shared, tmp_path):
    (tmp_path / "precious").write_text("old\n")
    out = Output(str(shared / "report"))
    planted(shared / "report", tmp_path / "precious")
    out.lines(["new"])
    out.close()
    assert (shared / "report").read_text() == "new\n"
    assert mode_of(shared / "report") & 0o022 == 0
    assert (tmp_path / "precious").read_text() == "old\n"


def test_a_link_that_is_changed_under_our_eyes_is_refused(tmp_path, monkeypatch, put):
    def change_then_read(name: str, *, dir_fd: int) -> str:
        os.unlink(name, dir_fd=dir_fd)
        os.symlink("elsewhere", name, dir_fd=dir_fd)
        return read(name, dir_fd=dir_fd)

    read = os.readlink
    (tmp_path / "report").symlink_to("real")
    monkeypatch.setattr(os, "readlink", change_then_read)
    with pytest.raises(UsageProblem, match="a symlink on the way changes"):
        put(tmp_path / "report")
    assert os.listdir(tmp_path) == ["report"]


@as_root
def test_who_owns_a_folder_may_have_links_in_it(tmp_path, put):
    folder = tmp_path / "of-nobody"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    put(planted(folder / "report", "real"))
    assert (folder / "real").read_text() == "new\n"


@as_root
def test_a_link_of_root_is_followed_anywhere(shared, tmp_path, put):
    os.chown(shared, NOBODY, NOBODY)
    (shared / "report").symlink_to(tmp_path / "real")
    put(shared / "report")
    assert (tmp_path / "real").read_text() == "new\n"


def test_links_that_lead_in_a_circle_are_told(tmp_path, put):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UsageProblem, match="Too many levels of symbolic links"):
        put(tmp_path / "a")


@pytest.mark.parametrize("path", [".", "..", "sub", "sub/", "link", "to-root", "/"])
def test_a_folder_is_no_file(tmp_path, monkeypatch, put, path):
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("link").symlink_to("sub")
    Path("to-root").symlink_to("/")
    with pytest.raises(UsageProblem, match=f"cannot write to {path}: Is a directory"):
        put(path)


@pytest.mark.parametrize("path", ["none/report", "file/report"])
def test_a_folder_that_is_none(tmp_path, monkeypatch, put, path):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(UsageProblem, match=r"No such file or directory|Not a directory"):
        put(path)


@pytest.mark.parametrize("way", ["self/root", "{}/root", "{0}/task/{0}/root", "self/cwd/.."])
def test_the_files_as_a_process_sees_them(tmp_path, monkeypatch, put, way):
    """The text of these links is not where they lead, in a container's /proc/PID/root for one."""
    monkeypatch.chdir("/usr")
    put(f"/proc/{way.format(os.getpid())}{tmp_path}/report")
    assert (tmp_path / "report").read_text() == "new\n"


# --- what is no file ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/dev/null", "/proc/self/fd/{}", "/dev/fd/{}", "link"])
def test_devices_and_open_files_can_be_written_to(tmp_path, monkeypatch, put, path):
    monkeypatch.chdir(tmp_path)
    with Path("open").open("w") as file:
        path = path.format(file.fileno())
        Path("link").symlink_to(f"/dev/fd/{file.fileno()}")
        put(path)
    assert Path("open").read_text() == ("" if path == "/dev/null" else "new\n")


def test_what_is_before_in_an_open_file_stays(tmp_path, put):
    with (tmp_path / "open").open("w") as file:
        file.write("old\n")
        file.flush()
        put(f"/dev/fd/{file.fileno()}")
    assert (tmp_path / "open").read_text() == "old\nnew\n"


def test_a_pipe_with_a_name_can_be_written_to(tmp_path, put):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=put, args=(tmp_path / "pipe",))
    writer.start()
    assert (tmp_path / "pipe").read_text() == "new\n"
    writer.join()
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@as_root
def test_a_planted_pipe_is_refused(shared, put):
    os.mkfifo(shared / "report")
    os.chown(shared / "report", NOBODY, NOBODY)
    with pytest.raises(UsageProblem, match="a pipe or device of another user"):
        put(shared / "report")


def test_a_reader_of_a_pipe_that_has_gone(put):
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(ClosedPipe):
        put(f"/dev/fd/{writer}")
    os.close(writer)


def test_a_full_disk_is_told(put):
    with pytest.raises(UsageProblem, match=r"^cannot write to /dev/full: No space left on device$"):
        put("/dev/full")
