"""What the documents tell people to type exists: make targets, commands, paths of the API."""

import argparse
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.openapi import SNAPSHOT
from service import cli as service_cli
from training import cli as training_cli

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PRESENT = [document for document in DOCUMENTS if document.is_file()]
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "oneglance": service_cli._parser,
    "oneglance-train": training_cli._parser,
}

FENCE = re.compile(r"^ *(`{3,}|~{3,})[^\n]*\n(.*?)^ *\1", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
# After `make`: options and variables, as in `make -s DATA_ROOT=x test`, then targets.
MAKE = re.compile(r"(?:^|[\s;&|(])make((?:[ \t]+[^\s;&|()<>]+)+)")
COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
TARGET = re.compile(r"[a-z][a-z-]*")
# A URL of this service, or a path given to an httpx client.
URL = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::[\w${}]+)?(/[^\s\"'`?#)\\]*)?"
    r"|\.(?:get|post|delete|put|patch)\(\s*f?[\"'](/[^\"'?#]*)"
)
SERVED_BESIDES = {"/", "/docs", "/openapi.json", "/enroll", "/identify"}


def fenced(text: str) -> Iterator[str]:
    """The insides of fenced blocks."""
    return (match[2] for match in FENCE.finditer(text))


def code(text: str) -> Iterator[str]:
    """Fenced blocks, and code spans of the rest."""
    yield from fenced(text)
    yield from (match[2] for match in CODE_SPAN.finditer(FENCE.sub("", text)))


def make_targets(text: str) -> set[str]:
    """Every target that the code of a document asks make for."""
    parts = (COMMENT.sub("", part) for part in code(text))
    words = (word for part in parts for match in MAKE.finditer(part) for word in match[1].split())
    return {word for word in words if TARGET.fullmatch(word)}


def commands(text: str) -> Iterator[list[str]]:
    """Every command of ours in a fenced block, as words."""
    for block in fenced(text):
        for line in block.replace("\\\n", " ").splitlines():
            if re.search(r"(^|[\s/])oneglance(-train)? ", line):
                for words in simple_commands(line.strip().removeprefix("$ ")):
                    if Path(words[0]).name in PARSERS:
                        yield [Path(words[0]).name, *words[1:]]


def simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a shell line, without variables before them and files after < or >."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= set("();&|"):
            before = ["", *words]
            kept = [w for b, w in zip(before, words, strict=False) if not {*b, *w} & {*"<>"}]
            while kept and re.fullmatch(r"\w+=.*", kept[0]):
                kept.pop(0)
            if kept:
                yield kept
            words = []
        else:
            words.append(token)


def parse(words: list[str]) -> str:
    """What the real parser says against a command; empty if nothing."""
    try:
        PARSERS[words[0]]().parse_args(words[1:])
    except SystemExit as ended:
        return f"{shlex.join(words)} ends with status {ended.code}" if ended.code else ""
    return ""


def paths(text: str) -> set[str]:
    """Paths of our API in fenced blocks."""
    found = (m[1] or m[2] or "/" for block in fenced(text) for m in URL.finditer(block))
    return {path.rstrip("/") or "/" for path in found}


def served(path: str) -> bool:
    """The API has such a path; a variable stands for itself in a path's parameter."""
    known = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"]
    templates = [re.sub(r"\{\w+\}", "[^/]+", template) for template in known]
    return path in SERVED_BESIDES or any(re.fullmatch(t, path) for t in templates)


def makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


def test_there_are_documents_to_read() -> None:
    assert README in PRESENT


@pytest.mark.parametrize("document", PRESENT, ids=lambda path: path.name)
def test_every_make_target_of_a_document_exists(document: Path) -> None:
    known = set(re.findall(r"^([a-z][a-z-]*):", makefile(), re.MULTILINE))
    missing = make_targets(document.read_text(encoding="utf-8")) - known
    assert not missing, f"{document.name} names make targets that are not there: {missing}"


@pytest.mark.parametrize("document", PRESENT, ids=lambda path: path.name)
def test_every_command_of_a_document_parses(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [parse(words) for words in commands(document.read_text(encoding="utf-8"))]
    assert not any(wrong), f"{document.name}: {wrong} {capsys.readouterr().err}"


def test_every_path_of_the_readme_is_served() -> None:
    missing = [path for path in paths(README.read_text(encoding="utf-8")) if not served(path)]
    assert not missing, f"The README names paths that the API does not have: {missing}"


def test_every_make_target_has_its_help_and_is_phony() -> None:
    rules = re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", makefile(), re.MULTILINE)
    assert len(rules) > 5
    assert [name for name, rest in rules if not re.search(r"## \S", rest)] == []
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", makefile(), re.MULTILINE)
    assert phony
    assert set(phony[1].replace("\\", "").split()) == {name for name, _ in rules}


def test_the_module_that_a_make_target_runs_exists() -> None:
    modules = re.findall(r"python -m (benchmarks\.\w+)", makefile())
    assert modules
    places = [ROOT / module.replace(".", "/") for module in modules]
    missing = [
        place
        for place in places
        if not place.with_suffix(".py").is_file() and not (place / "__main__.py").is_file()
    ]
    assert missing == []


SAMPLE = """
Type `make serve`, or `make -s DATA_ROOT=/d  test check`; make sense of it first.
`make proof-*`, `make proof-…`
```sh
$ ONEGLANCE_PORT=1 .venv/bin/oneglance serve --port 9000 > log &   # don't make it wait
make nonsense && oneglance serve \\
    --prrt 9000
oneglance-train prepare "a; b.zip" --out b; oneglance-train fly
make
curl -F image=@me.jpg "http://localhost:8000/v1/identify?x=1"
curl -X DELETE http://127.0.0.1:$PORT/v1/subjects/$ID
curl http://localhost:8000/v2/enroll
```
```python
httpx.get("http://localhost:8000/")
client.post("/enroll", files={})
client.get(f"/v1/subject/{id}")
```
"""


def test_the_readers_of_documents_find_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert make_targets(SAMPLE) == {"serve", "test", "check", "nonsense"}
    assert list(commands(SAMPLE)) == [
        ["oneglance", "serve", "--port", "9000"],
        ["oneglance", "serve", "--prrt", "9000"],
        ["oneglance-train", "prepare", "a; b.zip", "--out", "b"],
        ["oneglance-train", "fly"],
    ]
    assert [bool(parse(words)) for words in commands(SAMPLE)] == [False, True, False, True]
    assert "--prrt" in capsys.readouterr().err
    assert {path for path in paths(SAMPLE) if not served(path)} == {
        "/v2/enroll",
        "/v1/subject/{id}",
    }
    assert {path for path in paths(SAMPLE) if served(path)} == {
        "/",
        "/enroll",
        "/v1/identify",
        "/v1/subjects/$ID",
    }
