"""The calls about imports."""

from service.client.call import Call, answer, content, fields
from service.client.photo import Photo
from service.import_answer import ImportAnswer
from service.options import DuplicateCheck, FacePolicy, PolicyName, StoreImage


def import_archive(
    archive: Photo,
    *,
    csv: Photo | None = None,
    store_image: StoreImage | None = None,
    face_policy: FacePolicy | None = None,
    quality: PolicyName | None = None,
    duplicate_check: DuplicateCheck | None = None,
    collection: str | None = None,
) -> Call[ImportAnswer]:
    """Enrol the photos of a zip, a folder for each subject, in the background.

    archive: read while it is sent, and so as large as the service takes it; an open file from where
    it stands. csv: who is on which photo, see the API.
    Send the same again after an end of the service: each photo is enrolled once.
    """
    return Call(
        method="POST",
        path="/v1/imports",
        files=(("archive", archive),) if csv is None else (("archive", archive), ("csv", csv)),
        streams=True,
        data=fields(
            store_image=store_image,
            face_policy=face_policy,
            quality=quality,
            duplicate_check=duplicate_check,
            collection=collection,
        ),
        parse=answer(ImportAnswer),
    )


def get_import_report(import_id: str) -> Call[bytes]:
    """What came of each photo so far, a JSON object on each line; `save_import_report` streams."""
    return Call(
        method="GET",
        path="/v1/imports/{import_id}/report",
        ids={"import_id": import_id},
        parse=content,
    )
