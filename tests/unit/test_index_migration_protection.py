"""Galleries from before templates were protected open with all that was in them, and can be."""

from pathlib import Path

import pytest

from index import postgres_schema, sqlite_schema
from index.gallery import Gallery
from index.protection.secrets import GallerySecrets
from tests.conftest import CONTRACT, UNIT
from tests.old_galleries import old_gallery, version
from tests.protected import rekey


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A gallery as the release before left it."""
    return old_gallery(request, tmp_path, file=5, postgres=4)


def numbers(gallery: Gallery) -> list[tuple[object, ...]]:
    with gallery.galleries.database.reading() as c:
        return c.execute(
            "SELECT k.number, k.id, k.protection, c.id FROM contracts k"
            " LEFT JOIN collections c ON c.contract_number = k.number ORDER BY k.number"
        )


def test_it_opens_unprotected_with_all_that_was_in_it_and_can_be_protected(
    old: Path | str, tmp_path: Path
) -> None:
    assert version(old) == (5 if isinstance(old, Path) else 4)
    secrets = GallerySecrets(tmp_path / "g.secret")
    with Gallery.open(old, CONTRACT, secrets=secrets) as gallery:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (7, 1, 2)
        assert numbers(gallery) == [(1, CONTRACT.id, "", "default")]
        assert not secrets.path.exists()
        calibration = gallery.calibration()
        assert calibration is not None
        assert (calibration.record, calibration.contract_id) == ('{"n":1}', CONTRACT.id)
        before = gallery.search(UNIT[:1], top_k=1).candidates[0][0]
        gallery.verify()
        rekey(gallery)
        after = gallery.search(UNIT[:1], top_k=1).candidates[0][0]
        assert (after.subject, after.template_id) == (before.subject, before.template_id)
        assert after.similarity == pytest.approx(before.similarity, abs=1e-6)
        # A calibration is of similarities, which are what they were.
        assert gallery.calibration() == calibration
        (first, second) = numbers(gallery)
        assert first == (1, CONTRACT.id, "", None)
        assert (second[1], second[3]) == (CONTRACT.id, "default")
        gallery.verify()
    current = sqlite_schema.SCHEMA_VERSION
    assert version(old) == (current if isinstance(old, Path) else postgres_schema.SCHEMA_VERSION)
