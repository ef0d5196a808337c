"""GET / and /page/…: the page. Open to everybody, since it holds no data."""

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from service.page.page_files import INDEX
from service.page.rules import HEADERS

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request) -> Response:
    """The page itself."""
    return _answer(request, INDEX)


@router.get("/page/{path:path}")
async def page_file(path: str, request: Request) -> Response:
    """One of its files. Raises HTTPException: there is no such file."""
    return _answer(request, path)


def _answer(request: Request, path: str) -> Response:
    file = request.app.state.page_files.get(path)
    if file is None:
        raise HTTPException(404, f"The page has no file {path}.")
    headers = HEADERS | {"ETag": file.etag}
    known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
    # A proxy that compresses makes the tag a weak one.
    if known & {file.etag, f"W/{file.etag}", "*"}:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
