"""The image, made and run without Docker: every step of the Dockerfile in a root of its own.

    python -m benchmarks.container --base FOLDER

FOLDER is the root of a Debian bookworm with Python 3.11 and nothing else, as `debootstrap
--variant=minbase --include=python3,python3-venv,ca-certificates bookworm FOLDER` makes it: it
stands in for the image that the Dockerfile starts from. Needs root, for chroot and for mounts,
which are in a namespace of their own. The steps are read from the Dockerfile. Then the image is run
as its settings say (user, volumes, command), its root read-only, and it is looked for:
- the HEALTHCHECK fails before the service is ready, and passes from then on;
- a photo is enrolled and found over HTTP, and after a restart on the same volume again;
- the service runs as the user of the image, with no rights of root, and ends by SIGTERM with 0;
- nothing could be written but in the volumes, and there is no compiler.
The exit status is not 0 if anything failed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx

from benchmarks.bad_input import enrol_astronaut, still_found
from benchmarks.dockerfile import Stage, Step, allowed, needed, read_dockerfile
from benchmarks.server import free_port

ROOT: Final = Path(__file__).parents[1]
COMPILERS: Final = ("cc", "gcc", "g++", "clang", "c++", "ld", "make", "rustc", "go", "nvcc")
READY_LIMIT_S: Final = 300.0
NAMESPACE: Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--")


@dataclass
class Image:
    """A root, and what is set for whoever runs in it."""

    root: Path
    folder: str = "/"
    user: str = "0:0"
    environment: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)


class Builder:
    """Makes stages in folders of `place`. binds: paths of this machine that RUN sees, too."""

    def __init__(self, base: Path, place: Path, binds: Sequence[Path]) -> None:
        self._base, self._place, self._binds = base, place, binds
        self._made: dict[str, Image] = {}
        self._allowed = allowed(ROOT / ".dockerignore")

    def make(self, stages: Sequence[Stage]) -> Image:
        """Make them one after the other; the last one. Raises subprocess.CalledProcessError."""
        for stage in stages:
            before = self._made.get(stage.base, Image(self._base))
            image = replace(
                before,
                root=self._place / stage.name,
                environment=dict(before.environment),
                volumes=list(before.volumes),
            )
            copy_tree(before.root, image.root)
            for step in stage.steps:
                print(f"{stage.name}: {step.name} {step.text}", file=sys.stderr)
                self._do(step, image)
            self._made[stage.name] = image
        return self._made[stages[-1].name]

    def _do(self, step: Step, image: Image) -> None:
        match step.name:
            case "WORKDIR":
                image.folder = step.text
                inside(image.root, step.text).mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(step, image)
            case "RUN":
                mounts = [f"mkdir -p {image.root}{p} && mount --rbind {p} {image.root}{p}"
                          for p in self._binds if p.is_dir()]  # fmt: skip
                run_in(image, ["sh", "-c", step.text], mounts=mounts)
            case "USER":
                image.user = step.text
            case "ENV":
                pairs = (word.split("=", 1) for word in step.words)
                image.environment |= dict(pairs)
            case "VOLUME":
                image.volumes += step.command
            case "CMD":
                image.command = step.command
            case "HEALTHCHECK":
                image.healthcheck = step.command

    def _copy(self, step: Step, image: Image) -> None:
        words = [word for word in step.words if not word.startswith("--")]
        sources, to = words[:-1], words[-1]
        place = inside(image.root, os.path.join(image.folder, to))
        for source in sources:
            if step.words[0].startswith("--from="):
                came_from = self._made[step.words[0].removeprefix("--from=")].root
                copy_tree(inside(came_from, source), place)
                continue
            if not any(source == path or source.startswith(path + "/") for path in self._allowed):
                raise ValueError(f".dockerignore keeps {source} out of the build.")
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, place, ignore=ignored, dirs_exist_ok=True)
            else:
                target = place / Path(source).name if to.endswith("/") else place
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, target)


def inside(root: Path, path: str) -> Path:
    """An absolute path of an image, from outside."""
    return root / os.path.normpath(path).lstrip("/")


def copy_tree(source: Path, to: Path) -> None:
    """A folder with all owners, rights and links; what is not written twice is not stored twice."""
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(to)], check=True)


def command_in(image: Image, command: Sequence[str], *, mounts: Sequence[str] = ()) -> list[str]:
    """A command line that runs `command` inside, after `mounts`, which nobody else sees."""
    script = " && ".join(
        [
            f"mount -t proc proc {image.root}/proc",
            f"mount --rbind /dev {image.root}/dev",
            *mounts,
            f'exec chroot --userspec={image.user} {image.root} sh -c \'cd "$0" && exec "$@"\' '
            f'{image.folder} "$@"',
        ]
    )
    return [*NAMESPACE, "sh", "-c", script, "sh", *command]


def run_in(image: Image, command: Sequence[str], *, mounts: Sequence[str] = ()) -> None:
    """Run a step. Of our own environment only what leads pip to its packages is handed on."""
    handed = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    subprocess.run(
        command_in(image, command, mounts=mounts), check=True, env=environment(image, **handed)
    )


def environment(image: Image, **more: str) -> dict[str, str]:
    """All that a process in the image finds in its environment."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, **image.environment, **more}


class Container:
    """The image as it runs: its root read-only, each volume a folder that stays."""

    def __init__(self, image: Image, volumes: Path, port: int) -> None:
        self._image = image
        # On this machine's loopback address: there is no network of its own here.
        self._settings = {"ONEGLANCE_HOST": "127.0.0.1", "ONEGLANCE_PORT": str(port)}
        self._mounts = []
        for volume in image.volumes:
            kept = inside(volumes, volume)
            # As Docker does it: a new volume is what the image has there, owner and rights too.
            if not kept.exists():
                copy_tree(inside(image.root, volume), kept)
            self._mounts.append(f"mount --bind {kept} {inside(image.root, volume)}")
        self.url = f"http://127.0.0.1:{port}"

    def start(self, log: Path) -> subprocess.Popen[bytes]:
        """The service; its words go into the file `log`."""
        with log.open("ab") as words:
            return subprocess.Popen(
                self._line(self._image.command), env=self._environment(), stdout=words, stderr=words
            )

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        """Another command beside it."""
        return subprocess.run(
            self._line(command), env=self._environment(), capture_output=True, check=False
        )

    def healthy(self) -> bool:
        """What the HEALTHCHECK says."""
        return self.run(*self._image.healthcheck).returncode == 0

    def _environment(self) -> dict[str, str]:
        return environment(self._image, **self._settings)

    def _line(self, command: Sequence[str]) -> list[str]:
        root = self._image.root
        read_only = [f"mount --bind {root} {root}", f"mount -o remount,ro,bind {root}"]
        # The root first: what is mounted on it afterwards stays to be written.
        line = command_in(self._image, command, mounts=self._mounts)
        line[len(NAMESPACE) + 2] = " && ".join([*read_only, line[len(NAMESPACE) + 2]])
        return line


def faults_of(image: Image, place: Path) -> list[str]:
    """Run it twice on one volume; all that is not as it should be."""
    container = Container(image, place / "volumes", free_port())
    faults = ["healthy while nothing runs"] if container.healthy() else []
    faults += life(container, image, place / "log", first=True)
    faults += life(container, image, place / "log", first=False)
    for folder in ("/", "/opt/oneglance", "/usr", "/etc", "/var/tmp"):
        if container.run("touch", f"{folder}/written").returncode == 0:
            faults.append(f"{folder} can be written to")
    for folder in image.volumes:
        if container.run("touch", f"{folder}/written").returncode:
            faults.append(f"{folder} cannot be written to")
    found = [name for name in COMPILERS if container.run("which", name).returncode == 0]
    return faults + [f"there is a compiler: {name}" for name in found]


def life(container: Container, image: Image, log: Path, *, first: bool) -> list[str]:
    """Start it, ask it, look at it, end it. first: there is nobody enrolled yet."""
    faults = []
    began = time.monotonic()
    process = container.start(log)
    try:
        while not container.healthy():
            if process.poll() is not None or time.monotonic() - began > READY_LIMIT_S:
                return [f"it was not ready: {log.read_text()[-2000:]}"]
            time.sleep(0.5)
        print(f"healthy {time.monotonic() - began:.0f} s after its start")
        with httpx.Client(base_url=container.url, timeout=120) as client:
            if first:
                enrol_astronaut(client)
            if not still_found(client):
                faults.append("she is not found after a restart")
        faults += running_faults(image)
    finally:
        end(process)
    if process.returncode != 0:
        faults.append(f"SIGTERM ended it with status {process.returncode}")
    return faults


def running_faults(image: Image) -> list[str]:
    """What its processes are that they should not be."""
    faults = []
    seen = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if Path(os.readlink(status.parent / "root")) != image.root:
                continue
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):  # Ended meanwhile.
            continue
        seen += 1
        user = image.user.split(":", maxsplit=1)[0]
        if set(lines["Uid"].split()) != {user} or int(lines["CapEff"], 16):
            faults.append(f"a process runs as {lines['Uid']} with rights {lines['CapEff']}")
    return faults if seen else ["no process of it was seen"]


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the service itself, as Docker sends it; the namespace ends with it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, run, look; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--base", type=Path, required=True, help="root of a Debian with Python")
    parser.add_argument("--target", default="cpu", help="stage of the Dockerfile (default: cpu)")
    parser.add_argument(
        "--bind",
        type=Path,
        action="append",
        default=[],
        help="a folder of this machine that pip needs, such as its configuration; may be repeated",
    )
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        sys.exit("This needs root, for chroot and for mounts.")
    stages = needed(read_dockerfile(ROOT / "docker" / "Dockerfile"), options.target)
    with tempfile.TemporaryDirectory(prefix="oneglance-image-") as folder:
        place = Path(folder).resolve()
        image = Builder(options.base, place, options.bind).make(stages)
        size = subprocess.run(
            ["du", "-sm", str(inside(image.root, "/opt/oneglance"))],
            capture_output=True,
            check=True,
        )
        print(f"{options.target}: /opt/oneglance takes {int(size.stdout.split()[0])} MB")
        faults = faults_of(image, place)
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    print(f"{sum(s.name == 'RUN' for stage in stages for s in stage.steps)} RUN steps done, "
          f"{len(faults)} faults")  # fmt: skip
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
