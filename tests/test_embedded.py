"""The embedded PostgreSQL survives what happens to servers, to applications and to machines."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import embedded
from embedded import account, binaries, cluster, launch, processes

ROOT = Path(__file__).resolve().parents[1]
AS_ROOT = os.geteuid() == 0
APPLICATION = """
import pathlib, sys
import embedded
{before}
server = embedded.start(pathlib.Path(sys.argv[1]), durable=False)
print("started" if server.started else "joined", server.url(), flush=True)
sys.stdin.read()
"""


class Application:
    """Another process that uses the server, until it is told to leave or is killed."""

    def __init__(self, state: Path, before: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", APPLICATION.format(before=before), str(state)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> str:
        """`started` or `joined`, once it has the server."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().split(" ")[0]

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0

    def kill(self) -> None:
        with self.process:  # closes the pipes
            self.process.kill()


@pytest.fixture
def state() -> Iterator[Path]:
    """A state directory; whatever server still runs there is killed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="makegood-test-")).resolve()
    directory.chmod(0o711)
    yield directory
    for pid in servers(directory):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(directory)


@pytest.fixture
def application(state: Path) -> Iterator[Callable[..., Application]]:
    """Make applications on `state`; those that are still there at the end are killed."""
    made: list[Application] = []

    def make(before: str = "") -> Application:
        made.append(Application(state, before))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def servers(state: Path) -> list[int]:
    """The live servers (not their children) whose data lies below this directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if arguments[0].endswith("/postgres") and arguments[2].startswith(f"{state}/"):
            found.append(int(entry.name))
    return found


def query(server: embedded.EmbeddedServer, statement: str) -> str:
    with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as connection:
        result = connection.execute(statement)  # type: ignore[arg-type]
        row = result.fetchone() if result.description else None
        return "" if row is None else str(row[0])


def data_directory(state: Path) -> Path:
    (found,) = (path for path in (state / "postgresql").iterdir() if path.name.isdigit())
    return found


def wait_until_dead(pid: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} does not end")


def kill_server(state: Path) -> int:
    (pid,) = servers(state)
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    return pid


def test_the_first_start_makes_a_safe_database_that_the_network_cannot_reach(state: Path) -> None:
    server = embedded.start(state)
    assert server.started
    settings = "current_setting('fsync') || ' ' || current_setting('full_page_writes') || ' ' "
    settings += "|| current_setting('synchronous_commit') || ' ' || current_setting('TimeZone') || ' '"
    assert query(server, f"SELECT {settings} || current_setting('server_encoding')") == "on on on UTC UTF8"
    assert query(server, "SELECT 'a' < 'B'") == "False", "the sort order is the environment's"
    assert query(server, "SHOW listen_addresses") == ""
    assert query(server, "SELECT upper('ä')") == "Ä"
    socket_directory = state / "postgresql" / "run"
    assert stat.S_IMODE(socket_directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(data_directory(state).stat().st_mode) == 0o700
    server.stop()
    assert servers(state) == []


def test_the_wheel_is_preferred_and_its_package_is_never_imported() -> None:
    assert "pginstall18" in str(next(binaries.installed(account.server_account())).directory)
    assert binaries.WHEEL not in sys.modules


def test_data_outlives_a_stop(state: Path) -> None:
    server = embedded.start(state)
    query(server, "CREATE TABLE kept AS SELECT 7 AS value")
    server.stop()
    server = embedded.start(state)
    assert server.started
    assert query(server, "SELECT value FROM kept") == "7"
    server.stop()


def test_who_joins_does_not_stop_the_server_under_who_started_it(
    state: Path, application: Callable[..., Application]
) -> None:
    first = application()
    assert first.answer() == "started"
    server = embedded.start(state)
    assert not server.started
    server.stop()
    assert len(servers(state)) == 1
    first.leave()
    assert servers(state) == []


def test_the_last_one_to_leave_stops_the_server(state: Path, application: Callable[..., Application]) -> None:
    first, second = application(), application()
    assert sorted([first.answer(), second.answer()]) == ["joined", "started"]
    first.leave()
    assert len(servers(state)) == 1
    second.leave()
    assert servers(state) == []


def test_the_server_can_be_stopped_under_those_who_use_it(
    state: Path, application: Callable[..., Application]
) -> None:
    server = embedded.start(state, durable=False)
    assert application().answer() == "joined"
    server.stop(even_in_use=True)
    assert servers(state) == []


def test_many_starters_at_once_make_one_server(state: Path, application: Callable[..., Application]) -> None:
    made = [application() for _ in range(4)]
    assert sorted(one.answer() for one in made) == ["joined", "joined", "joined", "started"]
    assert len(servers(state)) == 1


def test_a_killed_server_is_started_again_with_its_committed_rows(state: Path) -> None:
    server = embedded.start(state)
    query(server, "CREATE TABLE kept AS SELECT 7 AS value")
    killed = kill_server(state)
    assert not server.usable()
    again = embedded.start(state)
    assert again.started
    assert servers(state) != [killed]
    assert query(again, "SELECT value FROM kept") == "7"
    again.stop(even_in_use=True)
    server.stop()


def test_a_query_that_outlives_its_killed_server_is_ended(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ORPHAN_SECONDS", 0.2)
    server = embedded.start(state, durable=False)
    connection = psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True)
    connection.pgconn.send_query(b"DO $$ BEGIN LOOP END LOOP; END $$")
    orphan = connection.info.backend_pid
    kill_server(state)
    assert Path(f"/proc/{orphan}").exists()
    again = embedded.start(state, durable=False)
    wait_until_dead(orphan)
    assert query(again, "SELECT 1") == "1"
    connection.close()
    again.stop(even_in_use=True)
    server.stop()


def test_a_killed_application_leaves_a_server_that_the_next_one_takes_over(
    state: Path, application: Callable[..., Application]
) -> None:
    first = application()
    assert first.answer() == "started"
    before = servers(state)
    first.kill()
    assert servers(state) == before
    second = application()
    assert second.answer() == "joined"
    assert servers(state) == before
    second.leave()
    assert servers(state) == []


def test_an_application_killed_with_its_server_starts_again(
    state: Path, application: Callable[..., Application]
) -> None:
    first = application()
    first.answer()
    kill_server(state)
    first.kill()
    assert application().answer() == "started"


def test_a_stranger_with_the_old_process_number_survives(state: Path) -> None:
    server = embedded.start(state, durable=False)
    pid_file = data_directory(state) / "postmaster.pid"
    killed = kill_server(state)
    with subprocess.Popen(["sleep", "600"]) as stranger:
        for path in (pid_file, state / "postgresql" / "run" / ".s.PGSQL.5432.lock"):
            path.write_text(path.read_text().replace(str(killed), str(stranger.pid), 1))
        again = embedded.start(state, durable=False)
        assert again.started
        assert query(again, "SELECT 1") == "1"
        again.stop(even_in_use=True)
        server.stop()
        assert stranger.poll() is None, "a process that is not ours was ended"
        stranger.kill()


def test_another_server_with_the_old_process_number_survives(state: Path) -> None:
    with embedded.temporary(durable=False) as stranger:
        number = query(stranger, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
        server = embedded.start(state, durable=False)
        pid_file = data_directory(state) / "postmaster.pid"
        killed = kill_server(state)
        pid_file.write_text(pid_file.read_text().replace(str(killed), number, 1))
        assert not server.usable()
        again = embedded.start(state, durable=False)
        assert again.started
        again.stop(even_in_use=True)
        server.stop()
        assert query(stranger, "SELECT 1") == "1"


def test_a_server_that_is_just_stopping_is_waited_for(
    state: Path, application: Callable[..., Application]
) -> None:
    server = embedded.start(state, durable=False)
    with psycopg.connect(server.url().replace("+psycopg", "")) as connection:
        (pid,) = servers(state)
        os.kill(pid, signal.SIGTERM)  # a smart shutdown: waits for this connection, takes no new one
        starter = application()
        time.sleep(0.3)
        connection.rollback()
    assert starter.answer() == "started"
    assert servers(state) != [pid]
    server.stop(even_in_use=True)


def test_a_data_directory_whose_making_was_cut_off_is_made_again(state: Path) -> None:
    cut_off = state / "postgresql" / "18.new"
    cut_off.mkdir(parents=True)
    (cut_off / "PG_VERSION").write_text("18\n")
    server = embedded.start(state, durable=False)
    assert query(server, "SELECT 1") == "1"
    assert not cut_off.exists()
    server.stop()


def test_data_of_a_version_that_is_not_installed_is_left_alone(state: Path) -> None:
    (state / "postgresql" / "14").mkdir(parents=True)
    with pytest.raises(embedded.EmbeddedError, match=r"was made by PostgreSQL 14, and only 18\.\d+"):
        embedded.start(state)
    assert list((state / "postgresql" / "14").iterdir()) == []


def test_the_installed_version_that_made_the_data_is_chosen(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = embedded.start(state, durable=False)
    server.stop()
    installed = list(binaries.installed(account.server_account()))
    other = binaries.Binaries(installed[0].directory, installed[0].major + 1, "newer")
    monkeypatch.setattr(cluster, "installed", lambda account: iter([other, *installed]))
    again = embedded.start(state, durable=False)
    assert again.version == server.version
    again.stop()


def test_a_version_that_is_asked_for_and_not_installed_is_named(state: Path) -> None:
    with pytest.raises(embedded.EmbeddedError, match=r"PostgreSQL 99 is asked for, and only 18\.\d+"):
        embedded.start(state, major=99)


def test_a_data_directory_that_is_not_ours_is_left_alone(state: Path) -> None:
    server = embedded.start(state, durable=False)
    server.stop()
    (state / "postgresql" / "18.identifier").write_text("00")
    with pytest.raises(embedded.EmbeddedError, match="is not a data directory that this checkout made"):
        embedded.start(state)
    assert servers(state) == []


def test_a_directory_of_other_things_is_left_alone(state: Path) -> None:
    other = state / "postgresql" / "18"
    other.mkdir(parents=True)
    (other / "diary.txt").write_text("dear diary")
    if AS_ROOT:
        os.chown(other, account.server_account().uid, -1)
    with pytest.raises(embedded.EmbeddedError, match="is not a data directory that this checkout made"):
        embedded.start(state)
    assert (other / "diary.txt").read_text() == "dear diary"


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a directory away")
def test_a_data_directory_of_another_user_is_left_alone(state: Path) -> None:
    embedded.start(state, durable=False).stop()
    os.chown(data_directory(state), 1234, 1234)
    with pytest.raises(embedded.EmbeddedError, match=r"belongs to the user 1234, and PostgreSQL would run as"):
        embedded.start(state)


def test_data_in_use_in_another_container_is_left_alone(
    state: Path, application: Callable[..., Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    application().answer()
    kill_server(state)
    monkeypatch.setattr(launch.socket, "gethostname", lambda: "another-container")
    with pytest.raises(embedded.EmbeddedError, match="in use by another container"):
        embedded.start(state)


def test_without_any_postgresql_the_sentence_says_what_to_install(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "WHEEL", "not_installed_anywhere")
    monkeypatch.setattr(binaries, "SYSTEM_DIRECTORIES", ())
    with pytest.raises(embedded.EmbeddedError, match=r"pip install .* or set DATABASE_URL"):
        embedded.start(state)


def test_a_failed_start_repeats_what_the_server_said(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(launch.SETTINGS, "shared_buffers", "nonsense")
    with pytest.raises(embedded.EmbeddedError, match=r'invalid value for parameter "shared_buffers"'):
        embedded.start(state)


def test_a_state_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(embedded.EmbeddedError, match=r"cannot be used \(Not a directory: .*file"):
        embedded.start(tmp_path / "file")


def test_a_long_path_gets_a_short_private_socket_directory(state: Path) -> None:
    deep = state / ("long-" * 15) / ("path-" * 15)
    deep.mkdir(parents=True)
    server = embedded.start(deep, durable=False)
    assert query(server, "SELECT 1") == "1"
    sockets = Path(query(server, "SHOW unix_socket_directories"))
    assert not sockets.is_relative_to(state)
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    server.stop()
    shutil.rmtree(sockets)


def test_a_forked_child_does_not_stop_its_parents_server(
    state: Path, application: Callable[..., Application]
) -> None:
    forking = """
import os
start = embedded.start
def start_and_fork(*arguments, **options):
    server = start(*arguments, **options)
    child = os.fork()
    if child == 0:
        raise SystemExit
    os.waitpid(child, 0)
    return server
embedded.start = start_and_fork
"""
    assert application(forking).answer() == "started"
    assert len(servers(state)) == 1


def test_a_temporary_server_leaves_nothing_behind() -> None:
    with embedded.temporary(durable=False) as server:
        state = Path(query(server, "SHOW data_directory")).parents[1]
        assert state.is_dir()
    assert not state.exists()
    assert servers(state) == []


def test_a_temporary_server_does_not_outlive_a_killed_test_run() -> None:
    program = """
import embedded, sys
with embedded.temporary(durable=False) as server:
    print(server.parameters()["host"], flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        state = Path(run.stdout.readline().strip()).parents[1]
        (pid,) = servers(state)
        run.kill()
    wait_until_dead(pid)
    end = time.monotonic() + 10
    while state.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not state.exists()


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs every other test here as itself")
def test_an_ordinary_user_runs_it_as_itself(state: Path, application: Callable[..., Application]) -> None:
    os.chown(state, account.server_account().uid, account.server_account().gid)
    become = "import encodings.idna, psycopg; import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    ordinary = application(become)
    assert ordinary.answer() == "started"
    (pid,) = servers(state)
    assert Path(f"/proc/{pid}").stat().st_uid == 65534
    ordinary.leave()
    assert servers(state) == []


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as somebody else")
def test_a_root_that_may_not_become_another_user_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", "/")  # as in a container with one user

    monkeypatch.setattr(account.subprocess, "run", refuse)
    with pytest.raises(
        embedded.EmbeddedError, match=r"let us become 'nobody' \(Operation not permitted\); start as"
    ):
        embedded.start(state)


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as somebody else")
def test_root_changes_no_permissions_and_works_in_a_closed_checkout(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = state / "closed"
    closed.mkdir(mode=0o700)
    wheel = next(binaries.installed(account.server_account())).directory.parent
    copy = closed / wheel.parent.name / wheel.name
    shutil.copytree(wheel, copy, symlinks=True)
    shutil.copytree(f"{wheel.parent}.libs", f"{copy.parent}.libs")
    monkeypatch.setattr(binaries, "_wheel_directories", lambda: [copy / "bin"])
    for module in (binaries, cluster):
        monkeypatch.setattr(module, "ROOT_DIRECTORY", state / "root")
    before = {path: path.stat().st_mode for path in (*closed.parents, closed)}

    server = embedded.start(closed / ".makegood", durable=False)
    data = Path(query(server, "SHOW data_directory"))
    assert data.is_relative_to(state / "root")
    assert data.stat().st_uid == account.server_account().uid
    query(server, "CREATE TABLE kept AS SELECT 7 AS value")
    server.stop()
    again = embedded.start(closed / ".makegood", durable=False)
    assert query(again, "SELECT value FROM kept") == "7"
    again.stop()

    assert {path: path.stat().st_mode for path in before} == before
    assert again._cluster.binaries.directory.is_relative_to(state / "root")
