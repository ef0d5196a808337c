"""The setting that says which collection a CompreFace key means, and the names of rows there."""

import uuid

import pytest
from pydantic import ValidationError

from service.compreface.keys import collections_by_key
from service.compreface.mapping import image_id_of, template_id_of
from service.settings import Settings


def test_keys_may_have_anything_but_a_comma() -> None:
    assert collections_by_key("") == {}
    assert collections_by_key(" a=b=staff , 00-1 = guests,") == {"a=b": "staff", "00-1": "guests"}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("secret", "Part 1 is not key=collection"),
        ("a=b, =c", "Part 2 is not key=collection"),
        ("a=b, a=c", "Part 2 has the key"),
        ("secret=no id", "collection id 'no id' cannot be used"),
    ],
)
def test_what_is_no_such_text_is_refused_without_the_keys(setting: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        collections_by_key(setting)
    assert "secret" not in str(refusal.value)
    with pytest.raises(ValidationError, match=words):
        Settings(compreface_collections=setting)


def test_image_ids_are_template_ids_spelt_as_uuids() -> None:
    template_id = uuid.uuid4().hex
    image_id = image_id_of(template_id)
    assert image_id == str(uuid.UUID(template_id))
    assert template_id_of(image_id) == template_id_of(template_id) == template_id
    # An import may bring other ids.
    for other in ("t-1", template_id.upper() + "x"):
        assert template_id_of(image_id_of(other)) == other
