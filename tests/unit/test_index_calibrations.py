"""The calibration that is kept with a collection: the latest, and nothing else changes by it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.embedding_contract import EmbeddingContract
from contract.errors import ContractMismatchError
from index.galleries import Galleries
from index.gallery import Gallery
from index.reembedding import Reembedding
from tests.conftest import CONTRACT, UNIT, GalleryOpener

AT = "2026-01-02T03:04:05.000Z"
LATER = "2026-02-02T03:04:05.000Z"
OTHER = EmbeddingContract(id="test:b", size=4, d_max=2.0)


def audit(gallery: Any) -> list[tuple[Any, ...]]:
    sql = "SELECT revision, action, subject_id, detail FROM audit ORDER BY number"
    return list(gallery.read(lambda scope: scope.c.execute(sql)))


def test_the_latest_is_kept_under_a_new_number(open_gallery: GalleryOpener) -> None:
    gallery = open_gallery()
    gallery.enroll(UNIT[:2], subject_id="ann")
    assert gallery.calibration() is None
    assert gallery.calibration_number() is None
    first = gallery.set_calibration('{"n":"ö"}', contract_id=CONTRACT.id, made_at=AT)
    stored = gallery.calibration()
    assert (stored.number, stored.contract_id, stored.made_at, stored.record) == (
        first, CONTRACT.id, AT, '{"n":"ö"}',
    )  # fmt: skip
    assert gallery.calibration_number() == first
    second = gallery.set_calibration("{}", contract_id=CONTRACT.id, made_at=LATER)
    assert second > first
    assert gallery.calibration_number() == second
    assert (gallery.calibration().made_at, gallery.calibration().record) == (LATER, "{}")
    sql = "SELECT count(*) FROM calibrations"
    assert gallery.read(lambda scope: scope.c.execute(sql)) == [(1,)]
    gallery.close()
    again = open_gallery()
    assert (again.calibration_number(), again.calibration().record) == (second, "{}")


def test_storing_is_a_write_that_changes_nothing_else(gallery: Any) -> None:
    gallery.enroll(UNIT[:2], subject_id="ann")
    before = gallery.search(UNIT, top_k=2).candidates
    number = gallery.set_calibration("{}", contract_id=CONTRACT.id, made_at=AT)
    assert gallery.revision == 2
    assert (gallery.subject_count, gallery.template_count) == (1, 2)
    result = gallery.search(UNIT, top_k=2)
    assert (result.candidates, result.revision) == (before, 2)
    revision, action, subject_id, detail = audit(gallery)[-1]
    assert (revision, action, subject_id) == (2, "calibrate", None)
    assert json.loads(detail) == {"calibration": number, "by": None}
    gallery.verify()


def test_a_calibration_of_other_embeddings_is_not_stored(gallery: Any) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann")
    with pytest.raises(ContractMismatchError):
        gallery.set_calibration("{}", contract_id=OTHER.id, made_at=AT)
    assert gallery.calibration() is None
    assert gallery.revision == 1


def test_one_stays_when_the_collection_is_re_embedded(gallery: Any) -> None:
    gallery.enroll(UNIT[:1], subject_id="ann")
    gallery.set_calibration("{}", contract_id=CONTRACT.id, made_at=AT)
    job = Reembedding.begin(gallery, OTHER)
    for page in job.pending():
        job.stage({template.id: UNIT[1] for template in page})
    job.switch()
    assert gallery.calibration().contract_id == CONTRACT.id
    number = gallery.set_calibration("[]", contract_id=OTHER.id, made_at=LATER)
    assert gallery.calibration().number == number
    assert gallery.calibration().contract_id == OTHER.id


@pytest.mark.parametrize("made_at", ["yesterday", "2026-01-02T03:04:05"])
def test_a_time_must_be_one(gallery: Any, made_at: str) -> None:
    with pytest.raises(ValueError, match="made_at"):
        gallery.set_calibration("{}", contract_id=CONTRACT.id, made_at=made_at)


def test_each_collection_has_its_own_and_takes_it_along(gallery_location: Path | str) -> None:
    for name in ("one", "two"):
        with Gallery.open(gallery_location, CONTRACT, collection=name) as gallery:
            gallery.enroll(UNIT[:1], subject_id="ann")
            gallery.set_calibration(f'"{name}"', contract_id=CONTRACT.id, made_at=AT)
    galleries = Galleries.open(gallery_location)
    galleries.remove_collection("one")
    with galleries.database.reading() as c:
        assert c.execute("SELECT record FROM calibrations") == [('"two"',)]
    galleries.close()
    with Gallery.open(gallery_location, CONTRACT, collection="one") as gallery:
        assert gallery.calibration() is None
        # A number is never given out twice: whoever remembers the old one sees another.
        number = gallery.set_calibration("{}", contract_id=CONTRACT.id, made_at=AT)
    assert number > 2


def test_numbers_go_on_after_the_last_one_is_gone(gallery_location: Path | str) -> None:
    with Gallery.open(gallery_location, CONTRACT, collection="one") as gallery:
        number = gallery.set_calibration("{}", contract_id=CONTRACT.id, made_at=AT)
    galleries = Galleries.open(gallery_location)
    galleries.remove_collection("one")
    galleries.close()
    with Gallery.open(gallery_location, CONTRACT, collection="one") as gallery:
        assert gallery.set_calibration("{}", contract_id=CONTRACT.id, made_at=AT) > number


def test_a_record_is_erased_with_its_collection(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    record = json.dumps({"planted": np.random.default_rng(1).bytes(64).hex()})
    with Gallery.open(path, CONTRACT, collection="one") as gallery:
        gallery.set_calibration(record, contract_id=CONTRACT.id, made_at=AT)
    galleries = Galleries.open(path)
    galleries.remove_collection("one")
    galleries.close()
    assert record.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
