"""Reports of imports name people: each goes by itself, and what sending again means after that."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contract.errors import ImportNotFoundError
from service.imports.line import ImportLine
from service.imports.report import Report
from service.imports.reports import Reports
from tests.conftest import Api, ApiMaker, check_problem
from tests.unit.test_service_imports import PHOTOS, counts, done, send, zipped

WEEK_S = 168 * 3600
ID = "0" * 64


def aged(folder: Path, *, s: float) -> None:
    for path in folder.iterdir():
        then = time.time() - s
        os.utime(path, (then, then))


def line(index: int) -> ImportLine:
    return ImportLine(index=index, path="a/1.png", outcome="enrolled")


def test_a_report_is_gone_when_its_time_is_over(api: Api) -> None:
    import_id = send(api, zipped(PHOTOS)).json()["import_id"]
    done(api, zipped(PHOTOS))
    folder = api.runtime.settings.imports_folder
    mine = folder / "notes.jsonl"
    mine.write_text("not the service's\n")
    aged(folder, s=WEEK_S - 60)
    assert api.get(f"/v1/imports/{import_id}/report").status_code == 200
    aged(folder, s=WEEK_S + 1)
    check_problem(api.get(f"/v1/imports/{import_id}/report"), 404, "import_not_found")
    assert list(folder.iterdir()) == [mine]


def test_the_time_is_a_setting(make_api: ApiMaker) -> None:
    api = make_api(import_report_keep_hours=1)
    import_id = send(api, zipped(PHOTOS)).json()["import_id"]
    done(api, zipped(PHOTOS))
    aged(api.runtime.settings.imports_folder, s=3601)
    check_problem(api.get(f"/v1/imports/{import_id}/report"), 404, "import_not_found")


def test_what_an_earlier_process_left_is_removed_at_the_start(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_text("{}\n")
    aged(tmp_path, s=11)
    Reports(tmp_path, keep_s=10).close()
    assert list(tmp_path.iterdir()) == []


def test_after_the_report_is_gone_the_same_import_stores_no_photo_twice(api: Api) -> None:
    first, _ = done(api, zipped(PHOTOS))
    before = api.runtime.default.gallery.revision
    aged(api.runtime.settings.imports_folder, s=WEEK_S + 1)
    again, lines = done(api, zipped(PHOTOS))
    assert (again["import_id"], again["done_before_count"]) == (first["import_id"], 0)
    assert again["outcomes"] == {"already_enrolled": 4, "rejected": 3}
    assert Counter(line["outcome"] for line in lines) == again["outcomes"]
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}
    assert api.runtime.default.gallery.revision == before
    api.runtime.default.gallery.verify()


def test_who_was_removed_stays_so_while_the_report_is_there_and_not_longer(api: Api) -> None:
    _, lines = done(api, zipped(PHOTOS))
    (bob,) = (line["subject_id"] for line in lines if line["path"] == "people/bob/1.png")
    assert api.delete(f"/v1/subjects/{bob}").status_code == 204
    done(api, zipped(PHOTOS))
    assert counts(api) == {"ada": 2, "cleo": 1}
    aged(api.runtime.settings.imports_folder, s=WEEK_S + 1)
    done(api, zipped(PHOTOS))
    assert counts(api) == {"ada": 2, "bob": 1, "cleo": 1}


def test_a_report_that_is_being_written_stays(tmp_path: Path) -> None:
    reports = Reports(tmp_path, keep_s=10)
    with reports.open(ID) as report:
        report.add(line(0))
        aged(tmp_path, s=11)
        assert b"a/1.png" in b"".join(reports.lines(ID))
        report.add(line(1))
    assert b"".join(reports.lines(ID)).count(b"\n") == 2
    aged(tmp_path, s=11)
    with pytest.raises(ImportNotFoundError):
        reports.lines(ID)
    reports.close()


def test_a_report_that_is_removed_while_it_is_opened_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Report(tmp_path, ID) as report:
        report.add(line(0))
    path = tmp_path / f"{ID}.jsonl"
    plain, removed = os.open, []

    def opened(name: Any, *rest: Any, **more: Any) -> int:
        descriptor = plain(name, *rest, **more)
        if name == path and not removed:
            removed.append(name)
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    with Report(tmp_path, ID) as report:
        assert report.done == set()
        report.add(line(7))
    assert removed
    assert path.read_bytes().startswith(b'{"index": 7')


def test_a_report_of_an_earlier_release_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / f"{ID}.jsonl").write_text(
        '{"index": 3, "path": "a/1.png", "outcome": "rejected", "subject_id": null, '
        '"template_id": null, "reasons": ["no_face"], "detail": "x", "possible_duplicates": []}\n'
    )
    with Report(tmp_path, ID) as report:
        assert report.done == {3}
        assert report.reasons == {"no_face": 1}
