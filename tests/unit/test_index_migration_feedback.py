"""Galleries from before there was feedback open with all that was in them."""

from pathlib import Path

import pytest

from index import postgres_schema, sqlite_schema
from index.feedback import feedback_page, give_feedback
from index.gallery import Gallery
from tests.conftest import CONTRACT
from tests.old_galleries import old_gallery, version
from tests.unit.test_index_feedback import told


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A gallery as the release before left it."""
    return old_gallery(request, tmp_path, file=4, postgres=3)


def test_it_opens_with_all_that_was_in_it_and_takes_feedback(old: Path | str) -> None:
    assert version(old) == (4 if isinstance(old, Path) else 3)
    with Gallery.open(old, CONTRACT) as gallery:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (7, 1, 2)
        calibration = gallery.calibration()
        assert calibration is not None
        assert calibration.record == '{"n":1}'
        assert feedback_page(gallery, limit=1).feedback == ()
        said, is_new = give_feedback(gallery, told(1, other_id=None), most=10)
        assert is_new
        gallery.verify()
    current = sqlite_schema.SCHEMA_VERSION
    assert version(old) == (current if isinstance(old, Path) else postgres_schema.SCHEMA_VERSION)
    with Gallery.open(old, CONTRACT) as gallery:
        assert feedback_page(gallery, limit=1).feedback == (said,)
        gallery.remove_subject("ann")
        assert feedback_page(gallery, limit=1).feedback == ()
        gallery.verify()
