"""What a Dockerfile says, as far as ours says things: stages, and their steps in order."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

# What a step may be; anything else is refused, so that nothing is overlooked.
KNOWN: Final = {
    *("FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENV"),
    *("VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"),
}


@dataclass(frozen=True)
class Step:
    """One instruction. words: all that comes after it, split as a shell does."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Of the text, split as a shell does."""
        return shlex.split(self.text)

    @property
    def command(self) -> list[str]:
        """The words of a command in brackets. Raises ValueError: it is none."""
        return [str(word) for word in json.loads(self.text[self.text.index("[") :])]


@dataclass
class Stage:
    """What one FROM begins. base: an image, or another stage."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)

    @property
    def copied_from(self) -> list[str]:
        """The stages that it takes files from."""
        words = (word for step in self.steps if step.name == "COPY" for word in step.words)
        return [word.removeprefix("--from=") for word in words if word.startswith("--from=")]


def read_dockerfile(path: Path) -> dict[str, Stage]:
    """Its stages by their names, in order. Raises ValueError for what is not understood."""
    stages: dict[str, Stage] = {}
    for line in _lines(path.read_text(encoding="utf-8")):
        name, _, text = line.partition(" ")
        if name not in KNOWN:
            raise ValueError(f"{path} has a step {name}, which is not known here.")
        step = Step(name, text.strip())
        if name == "FROM":
            base, _, called = step.words
            stages[called] = Stage(base, called)
        else:
            stages[[*stages][-1]].steps.append(step)
    return stages


def needed(stages: dict[str, Stage], target: str) -> list[Stage]:
    """The target and all stages that it rests on, in an order in which they can be made."""
    found: list[Stage] = []
    for before in (stages[target].base, *stages[target].copied_from):
        if before in stages:
            found += [stage for stage in needed(stages, before) if stage not in found]
    return [*found, stages[target]]


def allowed(ignore: Path) -> set[str]:
    """The paths that .dockerignore lets into a build, which begins by keeping everything out."""
    lines = [line for line in ignore.read_text(encoding="utf-8").splitlines() if line]
    if lines[0] != "*":
        raise ValueError(f"{ignore} does not begin by keeping everything out.")
    return {line[1:] for line in lines if line.startswith("!")}


def _lines(text: str) -> list[str]:
    """Lines without comments, those that go on put together."""
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(kept).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines()]
