"""Kill -9 in the middle of a re-keying, at each of its steps: nobody is lost, and it goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index.gallery import Gallery
from index.protection.secrets import GallerySecrets
from index.rekeying import secrets_in_use
from tests.protected import (
    FACES,
    SIZE,
    answers,
    assert_same_answers,
    enrol_all,
    faces,
    rekey,
    stored_rows,
)

PEOPLE = faces(60)
CHILD = """
import sys
from pathlib import Path
from index.gallery import Gallery
from index.protection.secrets import GallerySecrets
from index.rekeying import Rekeying
from index.writes import rekeying as writes

writes.REKEYED_AT_ONCE, writes.REMOVED_AT_ONCE = 16, 25
path, stop = Path(sys.argv[1]), sys.argv[2]

def at(step):
    if step == stop:
        print(step, flush=True)
        sys.stdin.read()  # Until it is killed.

gallery = Gallery.open(path, secrets=GallerySecrets(path.with_suffix(".secret")))
job = Rekeying.begin(gallery, new_secret=True)
at("begun")
for done in job.rekey():
    at(f"made {done}")
job.switch(gallery)
at("switched")
for gone in job.clean():
    at(f"removed {gone}")
at("done")
"""


@pytest.mark.parametrize(
    "step", ["begun", "made 16", "made 60", "switched", "removed 25", "removed 50", "done"]
)
def test_a_kill_at_any_step_loses_nobody(tmp_path: Path, step: str) -> None:
    path, secrets = tmp_path / "g.db", GallerySecrets(tmp_path / "g.secret")
    with Gallery.open(path, FACES, secrets=secrets) as gallery:
        enrol_all(gallery, PEOPLE)
        expected, before = answers(gallery, PEOPLE), stored_rows(gallery)
    (former,) = secrets.ids()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), step],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    with child.stdout, child.stdin:
        assert child.stdout.readline().strip() == step
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert len(secrets.ids()) == 2
    with Gallery.open(path, secrets=secrets) as gallery:
        assert_same_answers(answers(gallery, PEOPLE), expected)
        gallery.verify()
        rekey(gallery)
        assert_same_answers(answers(gallery, PEOPLE), expected)
        after = stored_rows(gallery)
        assert len(after) == len(PEOPLE)
        assert secrets_in_use(gallery) == {secrets.current()} != {former}
        by_id = {name: row for (name, _), row in after.items()}
        cosines = [float(row @ by_id[name]) for (name, _), row in before.items()]
        assert np.abs(cosines).max() < 6 / SIZE**0.5
        gallery.verify()
