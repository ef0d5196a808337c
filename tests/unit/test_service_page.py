"""The page's files: how they are served, and that they belong together."""

import posixpath
import re
from importlib.resources import files
from pathlib import Path

import pytest

from service.page.page_files import INDEX, page_files
from tests.conftest import Api, ApiMaker, check_problem
from tests.keyed import ADMIN_KEY

FILES = page_files()
MODULES = sorted(path for path in FILES if path.startswith("js/"))
IMPORT = re.compile(r"""(?:import|from) ?\(?["'](\.[^"']+)["']""")
AT_ONCE = re.compile(r'from "(\.[^"]+)"')
# A text in the code: one that starts as a sentence does. Texts are in texts.js alone.
SENTENCE = re.compile(r'"[A-Z][a-z]+ [^"]*"')


@pytest.mark.parametrize("path", ["/", *(f"/page/{path}" for path in sorted(FILES))])
def test_each_file_is_served_under_the_policy_and_kept_by_its_tag(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert {"script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "camera=(self)" in answer.headers["permissions-policy"]
    assert answer.headers["cache-control"] == "no-cache"
    tag = answer.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = api.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert api.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_kinds_are_told(api: Api) -> None:
    assert api.get("/").headers["content-type"] == "text/html; charset=utf-8"
    assert api.get("/page/js/main.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert api.get("/page/css/base.css").headers["content-type"] == "text/css; charset=utf-8"
    assert api.get("/page/icon.svg").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    "path",
    ["", "none.js", "js", "../routes.py", "%2e%2e/routes.py", "vendor/README.md", "js//main.js"],
)
def test_what_is_no_file_of_the_page_is_not_found(api: Api, path: str) -> None:
    answer = api.get(f"/page/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_page_is_open_where_keys_are_needed_and_all_else_is_not(make_api: ApiMaker) -> None:
    keyed = make_api(admin_key=ADMIN_KEY)
    assert keyed.get("/").status_code == 200
    assert keyed.get("/page/js/main.js").status_code == 200
    check_problem(keyed.get("/v1/collections"), 401, "key_missing")
    check_problem(keyed.get("/pages"), 401, "key_missing")
    check_problem(keyed.post("/"), 405, "method_not_allowed")


def test_the_description_does_not_hold_it(api: Api) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path == "/" or path.startswith("/page")]


def test_the_index_names_files_that_are_there_and_nobody_else() -> None:
    text = FILES[INDEX].body.decode()
    named = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert len(named) > 4
    assert [name for name in named if name.removeprefix("page/") not in FILES] == []
    # The policy would refuse them, so they would do nothing.
    assert not re.search(r"<style|style=|<script>|\son\w+=", text)


def imported(path: str, pattern: re.Pattern[str] = IMPORT) -> set[str]:
    """Paths of the modules that a module imports."""
    names = pattern.findall(FILES[path].body.decode())
    return {posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in names}


@pytest.mark.parametrize("path", MODULES)
def test_a_module_imports_modules_that_are_there(path: str) -> None:
    assert imported(path) <= set(FILES)


def test_what_the_first_view_needs_is_asked_for_at_once() -> None:
    needed, todo = set(), {"js/main.js", "js/views/identify.js"}
    while todo:
        path = todo.pop()
        needed.add(path)
        todo |= imported(path, AT_ONCE) - needed
    preloaded = re.findall(r'rel="modulepreload" href="page/([^"]+)"', FILES[INDEX].body.decode())
    assert sorted(preloaded) == sorted(needed)


@pytest.mark.parametrize("path", [path for path in MODULES if not path.endswith("texts.js")])
def test_texts_are_in_one_place(path: str) -> None:
    code = re.sub(r"//.*|/\*.*?\*/", "", FILES[path].body.decode(), flags=re.DOTALL)
    assert SENTENCE.findall(code) == []
    assert "innerHTML" not in code


def test_what_is_of_others_comes_with_its_licence() -> None:
    vendor = Path(str(files("service.page") / "files" / "vendor"))
    assert "MIT License" in (vendor / "uPlot.LICENSE.txt").read_text(encoding="utf-8")
    version = re.search(r"uPlot \(v([\d.]+)\)", (vendor / "uPlot.iife.min.js").read_text("utf-8"))
    assert version
    assert f"uPlot {version[1]} (MIT" in (vendor / "README.md").read_text(encoding="utf-8")
