"""POST /v1/imports and GET /v1/imports/{id}/report."""

import hashlib
import tempfile
from functools import partial
from typing import Annotated, BinaryIO, Final, cast

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from contract.errors import GalleryUnavailableError, ImportNotFoundError
from service.access.caller import present_caller
from service.access.owned_id import owned_id
from service.collections import ServedCollection
from service.enrolment import Terms
from service.import_answer import ImportAnswer
from service.imports.archive import PhotoArchive
from service.imports.importing import ImportWish, import_id, import_photos
from service.imports.table import BYTES_MAX, NO_TABLE, read_table
from service.jobs import JobResult, Progress
from service.options import DuplicateCheck, FacePolicy, PolicyName, StoreImage
from service.routes.common import COLLECTION, RuntimeDep, collection_of, problems
from service.routes.jobs import accepted
from service.runtime import Runtime

KIND: Final = "import"
LINES: Final = "application/x-ndjson"
_BLOCK_BYTES: Final = 1 << 20

router = APIRouter(prefix="/v1/imports", tags=["import"])


class ImportForm(BaseModel):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    archive: UploadFile = Field(
        description="a zip of photos, a folder for each subject, called by its external_id; a "
        "photo outside of all folders is the subject of its own name without the extension"
    )
    csv: UploadFile | None = Field(
        None,
        description="a table in UTF-8 with the columns path, subject_id, name, external_id and "
        "metadata (JSON), for photos of which the folder does not say all",
    )
    collection: str | None = Field(None, description=COLLECTION)
    store_image: StoreImage = Field(
        "none", description="crop keeps the crop of each face, to embed it by a later bundle"
    )
    face_policy: FacePolicy = Field(
        "single", description="single refuses a photo of several faces, largest takes the largest"
    )
    quality: PolicyName | None = Field(
        None, description="what is asked of each face; the service's setting unless given"
    )
    duplicate_check: DuplicateCheck = Field(
        "warn", description="of other subjects that a photo matches: name them, or reject it"
    )


@router.post(
    "",
    status_code=202,
    response_model=ImportAnswer,
    responses=problems(400, 404, 409, 413, 422, 503),
)
async def import_archive(
    form: Annotated[ImportForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
    response: Response,
) -> ImportAnswer:
    """Enrol the photos of a zip in the background, each exactly once.

    The job's result counts them by outcome, and `/v1/imports/{import_id}/report` has a line for
    each. If the service ends in between, send the same again: it goes on after the last photo that
    has a line. A photo that is a template of its subject already is not stored a second time, by
    no other import either.
    """
    served = await collection_of(runtime, form.collection)
    archive, wish = await runtime.workers.run(partial(_prepare, runtime, served, form))
    try:
        work = partial(_work, runtime, served, archive, wish)
        job = runtime.jobs.submit(KIND, work, collection_id=served.id)
    except BaseException:
        archive.close()
        raise
    return ImportAnswer(import_id=wish.id, job=accepted(job, request, response).job)


@router.get(
    "/{import_id}/report",
    response_class=StreamingResponse,
    responses={
        200: {"description": "A JSON line for each photo", "content": {LINES: {}}},
        **problems(404, 422),
    },
)
async def get_import_report(import_id: str, runtime: RuntimeDep) -> StreamingResponse:
    """What came of each photo so far: a JSON object on a line of its own, in the zip's order.

    `outcome` is `enrolled`, `already_enrolled` or `rejected`, with `reasons` and `detail`;
    `warnings` are those of an enrolment. Reports outlive the service's process, and are removed
    some days after the import last ran (7 unless the service is set otherwise).
    """
    if not present_caller().owns(import_id):
        raise ImportNotFoundError(import_id)
    lines = await runtime.workers.run(partial(runtime.reports.lines, import_id))
    return StreamingResponse(lines, media_type=LINES)


def _prepare(
    runtime: Runtime, served: ServedCollection, form: ImportForm
) -> tuple[PhotoArchive, ImportWish]:
    """The archive in a file that outlives the request. Raises RequestError."""
    settings = runtime.settings
    file, sha256 = _kept(runtime, form.archive.file)
    try:
        archive = PhotoArchive(file, max_photos=settings.max_import_photos)
        table = NO_TABLE
        if form.csv is not None:
            table = read_table(form.csv.file.read(BYTES_MAX + 1), (e.path for e in archive))
    except BaseException:
        file.close()
        raise
    policy = runtime.quality_policies.named(form.quality)
    made_at = served.gallery.created_at()
    options = {
        "collection": served.id,
        "quality": policy.id,
        "csv": table.sha256,
        **form.model_dump(include={"store_image", "face_policy", "duplicate_check"}),
    }
    return archive, ImportWish(
        id=owned_id(import_id(sha256, made_at, options), served.id),
        made_at=made_at,
        terms=Terms(
            face_policy=form.face_policy,
            quality=policy,
            duplicate_check=form.duplicate_check,
            find_threshold=served.thresholds.threshold,
        ),
        store_image=form.store_image,
        table=table,
        max_image_bytes=settings.max_image_bytes,
    )


def _kept(runtime: Runtime, upload: BinaryIO) -> tuple[BinaryIO, str]:
    """A copy without a name, so that no end of the process leaves photos behind; its SHA-256."""
    folder = runtime.settings.imports_folder
    digest = hashlib.sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        copy = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - the job's
        try:
            upload.seek(0)
            while block := upload.read(_BLOCK_BYTES):
                digest.update(block)
                copy.write(block)
            copy.seek(0)
        except BaseException:
            copy.close()
            raise
    except OSError as error:
        raise GalleryUnavailableError(
            f"The archive cannot be kept in {folder} ({error.strerror}): make room there."
        ) from error
    return copy, digest.hexdigest()


def _work(
    runtime: Runtime,
    served: ServedCollection,
    archive: PhotoArchive,
    wish: ImportWish,
    progress: Progress,
) -> JobResult:
    with archive, runtime.reports.open(wish.id) as report:
        return import_photos(
            served.bundle.recognizer, served.gallery, archive, report, wish, progress
        )
