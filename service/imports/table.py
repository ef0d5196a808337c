"""The table of an import: who is on which photo, for zips whose folders do not say it."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from index.checks import check_subject_id
from service.metadata import check_depth
from service.request_error import RequestError

COLUMNS: Final = ("path", "subject_id", "name", "external_id", "metadata", "template_id")
BYTES_MAX: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the table says of a photo; None where its cell is empty.

    template_id: that its template gets, to keep the ids of where the photo comes from.
    """

    subject_id: str | None
    name: str | None
    external_id: str | None
    metadata: dict[str, Any] | None
    template_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows by the path of the photo inside the zip. sha256: of the file; None without one."""

    rows: Mapping[str, Row]
    sha256: str | None


NO_TABLE: Final = Table(rows={}, sha256=None)


def read_table(data: bytes, paths: Iterable[str]) -> Table:
    """The rows of a CSV file in UTF-8, its first line the names of columns, for these photos.

    Raises RequestError, which names the line.
    """
    if len(data) > BYTES_MAX:
        raise RequestError("csv", f"The table has more than {BYTES_MAX} bytes: send less of it.")
    known = set(paths)
    rows: dict[str, Row] = {}
    template_ids: set[str] = set()
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        _check_columns(reader.fieldnames or ())
        for cells in reader:
            path, row = _row(cells, reader.line_num)
            if path not in known:
                raise _wrong(reader.line_num, f"the zip has no photo {path!r}")
            if path in rows:
                raise _wrong(reader.line_num, f"{path!r} has a row already")
            if row.template_id in template_ids:
                raise _wrong(reader.line_num, f"{row.template_id!r} is another photo's template")
            if row.template_id is not None:
                template_ids.add(row.template_id)
            rows[path] = row
    except UnicodeDecodeError as error:
        raise RequestError("csv", f"The table is not UTF-8: {error}.") from error
    except csv.Error as error:
        raise RequestError("csv", f"The table is not CSV: {error}.") from error
    return Table(rows=rows, sha256=hashlib.sha256(data).hexdigest())


def _check_columns(names: Iterable[str]) -> None:
    found = list(names)
    if "path" not in found or len(set(found)) < len(found) or not set(found) <= set(COLUMNS):
        raise RequestError(
            "csv", f"The table's first line must name path and others of {', '.join(COLUMNS)}."
        )


def _row(cells: Mapping[str | None, Any], line: int) -> tuple[str, Row]:
    if None in cells or None in cells.values():
        raise _wrong(line, "it has more or fewer cells than the first line")
    given = {name: cells.get(name) or None for name in COLUMNS}
    if given["path"] is None:
        raise _wrong(line, "it names no path")
    return given["path"], Row(
        subject_id=given["subject_id"],
        name=given["name"],
        external_id=given["external_id"],
        metadata=_metadata(given["metadata"], line),
        template_id=_template_id(given["template_id"], line),
    )


def _template_id(text: str | None, line: int) -> str | None:
    if text is None:
        return None
    try:
        return check_subject_id(text, what="template id")
    except ValueError as error:
        raise _wrong(line, str(error)) from error


def _metadata(text: str | None, line: int) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(line, f"its metadata is not JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise _wrong(line, 'its metadata must be a JSON object, as in {"team": "blue"}')
    check_depth(metadata)
    return metadata


def _wrong(line: int, what: str) -> RequestError:
    return RequestError("csv", f"Line {line} of the table cannot be used: {what}.")
