"""What a key hears of what is not its own: nothing, whatever it asks.

    python -m benchmarks.scopes --calls 10000

A service has collections of one caller and of others. Callers of every scope, and with keys that
are none, ask random operations about what others have, and the same about what nobody has. Where
the two answers differ in anything but what was asked and the request id, existence leaks; an answer
that has a name, an id or a similarity of others leaks that. In the end all that others have must be
as it was. The figure is the last line; the exit status is not 0 after any leak.
"""

import argparse
import base64
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.scope_calls import BLANK, CALLS, IMAGE, Call
from benchmarks.scope_world import MINE, THEIRS, Who, World, world, zipped
from service.access.scopes import OPEN, OPERATIONS

CALLS_ASKED: Final = 10_000
SEED: Final = 7
REQUEST_ID: Final = re.compile("[0-9a-f]{32}")
# Of one's own: they change what later calls would be compared by.
DESTRUCTIVE: Final = frozenset({"delete_collection", "compreface.remove_all"})
# Of what was sent: a length, and the id that the body has, too.
OWN_HEADERS: Final = frozenset({"content-length", "x-request-id", "location"})


@dataclass(slots=True)
class Findings:
    """asked: calls by operation; refused: by status. leaks: in words."""

    asked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    pairs: int = 0
    leaks: list[str] = field(default_factory=list)


def probe(of: World, *, calls: int, seed: int) -> Findings:
    """Ask so many calls, each of them one of a pair."""
    found, rng = Findings(), random.Random(seed)
    callers = list(of.callers)
    while found.statuses.total() < calls:
        _pair(of, rng, rng.choice(callers), rng.choice(CALLS), found)
    if of.state() != of.before:
        found.leaks.append("what others have is not as it was")
    return found


def _pair(of: World, rng: random.Random, who: Who, call: Call, found: Findings) -> None:
    collection = rng.choice((THEIRS, THEIRS, MINE))
    mine = collection == MINE
    if mine and call.operation in DESTRUCTIVE and not who.bad:
        return
    there, absent = dict(of.there), dict(of.absent)
    if mine:
        there["collection"] = absent["collection"] = MINE
    image, other = rng.choice(of.images), who
    if who.bad:
        # A deleted key is not to be told from one that never was.
        other = rng.choice([w for w in of.callers if w.bad and bool(w.key) == bool(who.key)])
    first, second = call.filled(there), call.filled(absent)
    answers = [_sent(of, first, who, image), _sent(of, second, other, image)]
    found.asked[call.operation] += 2
    found.statuses.update(answer.status_code for answer in answers)
    what = f"{who.name}: {call.operation} about {collection}"
    found.leaks += [f"{what}: {leak}" for leak in _told(of, who, first, answers[0], mine=mine)]
    if first == second and not who.bad:
        return
    found.pairs += 1
    shown = [_plain(answers[0], there, call), _plain(answers[1], absent, call)]
    if shown[0][0] != shown[1][0] or (answers[0].status_code >= 400 and shown[0] != shown[1]):
        found.leaks.append(f"{what}: {shown[0]} is not {shown[1]}")


def _told(of: World, who: Who, call: Call, answer: httpx.Response, *, mine: bool) -> list[str]:
    """What of others an answer says that was not asked for."""
    if who.sees_metrics and call.operation == "get_metrics":
        return []
    said = answer.text + str(dict(answer.headers))
    asked = repr(call)
    if of.there["receipt"] in asked:
        # It has the collection's id in it.
        asked += THEIRS
    leaks = [f"{secret} is told" for secret in of.secrets if secret in said and secret not in asked]
    if not mine and THEIRS in asked and '"similarity"' in answer.text:
        leaks.append("a similarity is told")
    if OPERATIONS[call.operation] != OPEN and who.bad and answer.status_code < 400:
        leaks.append(f"it is answered with {answer.status_code}")
    return leaks


def _plain(
    answer: httpx.Response, asked: dict[str, str], call: Call
) -> tuple[int, list[tuple[str, str]], str]:
    """An answer without what was asked, and without its request id."""
    texts = (call.path, *map(str, _texts(call)))
    blanks = {blank for text in texts for blank in BLANK.findall(text)}
    if "receipt" in blanks:
        blanks.add("within")
    text = answer.text
    for blank in sorted(blanks - {"image"}, key=lambda name: -len(asked[name])):
        text = text.replace(asked[blank], f"<{blank}>")
    headers = sorted((k, v) for k, v in answer.headers.items() if k not in OWN_HEADERS)
    return answer.status_code, headers, REQUEST_ID.sub("ID", text)


def _texts(call: Call) -> list[Any]:
    return [*call.form.values(), *(call.json or {}).values(), *call.headers.values()]


def _sent(of: World, call: Call, who: Who, image: bytes) -> httpx.Response:
    headers = dict(call.headers)
    if who.key is not None:
        headers["x-api-key"] = who.key
    what: dict[str, Any] = {}
    if call.json is not None:
        text = base64.b64encode(image).decode("ascii")
        what["json"] = {
            name: text if value == IMAGE else [text] if value == [IMAGE] else value
            for name, value in call.json.items()
        }
    elif call.form or call.files:
        content = zipped(image) if "archive" in call.files else image
        what["data"] = dict(call.form)
        what["files"] = [(name, ("a.png", content)) for name in call.files]
    return of.service.request(call.method, call.path, headers=headers, **what)


def main(arguments: list[str] | None = None) -> int:
    """Make the world, ask, and sum up; 0 if nothing leaked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--calls", type=int, default=CALLS_ASKED)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="oneglance-scopes-") as name,
        world(Path(name)) as of,
    ):
        found = probe(of, calls=args.calls, seed=args.seed)
    for leak in found.leaks[:50]:
        print(f"FAIL {leak[:2000]}", file=sys.stderr)
    guarded = {name for name, scopes in OPERATIONS.items() if scopes != OPEN}
    never = guarded - set(found.asked)
    if never:
        print(f"never asked: {', '.join(sorted(never))}", file=sys.stderr)
    shown = ", ".join(f"{count} x {status}" for status, count in sorted(found.statuses.items()))
    print(
        f"{found.statuses.total()} calls of {len(found.asked)} operations by {len(of.callers)} "
        f"callers ({shown}); {found.pairs} pairs compared; "
        f"{time.perf_counter() - start:.0f} s: {len(found.leaks)} leaks"
    )
    return int(bool(found.leaks) or bool(never))


if __name__ == "__main__":
    sys.exit(main())
