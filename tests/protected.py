"""What the tests of protected galleries share: faces by numbers, and what is stored of them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from contract.embedding_contract import EmbeddingContract
from index.gallery import Gallery
from index.rekeying import Rekeyed, Rekeying

Rows = npt.NDArray[np.float32]

SIZE = 32
FACES = EmbeddingContract(id="test:faces", size=SIZE, d_max=2.0)
# Of float32 on the way through two rotations.
NOISE = 1e-6


def faces(count: int, seed: int = 0) -> Rows:
    """Unit vectors, float32 (count, SIZE)."""
    rows = np.random.default_rng(seed).standard_normal((count, SIZE))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def enrol_all(gallery: Gallery, rows: Rows, prefix: str = "s") -> None:
    """Two templates a subject, called s0, s1 and so on."""
    for place in range(0, len(rows), 2):
        name = f"{prefix}{place // 2}"
        gallery.enroll(
            rows[place : place + 2],
            subject_id=name,
            template_ids=[f"{name}-0", f"{name}-1"],
            crops=[b"a crop", None],
        )


def answers(gallery: Gallery, probes: Rows, top_k: int = 5) -> list[list[tuple[str, str, float]]]:
    """Of each probe subjects, nearest templates and similarities, best first."""
    return [
        [(c.subject.id, c.template_id, c.similarity) for c in candidates]
        for candidates in gallery.search(probes, top_k=top_k).candidates
    ]


def assert_same_answers(found: Any, expected: Any) -> None:
    """The same people by the same templates, and similarities up to the noise of float32."""
    assert [[c[:2] for c in one] for one in found] == [[c[:2] for c in one] for one in expected]
    np.testing.assert_allclose(
        [[c[2] for c in one] for one in found],
        [[c[2] for c in one] for one in expected],
        rtol=0,
        atol=NOISE,
    )


def stored_rows(gallery: Gallery) -> dict[tuple[str, int], Rows]:
    """What lies in the database, by template id and number of the contract."""
    with gallery.galleries.database.reading() as c:
        rows = c.execute("SELECT id, contract_number, embedding FROM templates")
        return {(row[0], row[1]): c.unpack([row[2]], size=SIZE)[0] for row in rows}


def rekey(gallery: Gallery, *, new_secret: bool = False, new_row_key: bool = False) -> Rekeyed:
    """All steps, one after the other."""
    job = Rekeying.begin(gallery, new_secret=new_secret, new_row_key=new_row_key)
    for _ in job.rekey():
        pass
    job.switch(gallery)
    for _ in job.clean():
        pass
    for _ in job.reseal():
        pass
    return job.result()
