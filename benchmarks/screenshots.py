"""Write docs/pictures/ anew: each view of the page, light and dark, with drawn people alone.

python -m benchmarks.screenshots
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.chromium import BrowserMissingError, browsing
from benchmarks.page_bundle import write_page_bundle
from benchmarks.page_service import page_service
from benchmarks.page_tour import tour
from benchmarks.page_visit import Page

PICTURES: Final = Path(__file__).parent.parent / "docs" / "pictures"
SIZE: Final = (1100, 860)
COLOURS: Final = 96
BYTES_MOST: Final = 60_000


def picture(screenshot: bytes) -> bytes:
    """The same with a palette, which is a third of the bytes."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> int:
    """0 if there is a picture of each view, none of them too large."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    largest = 0
    try:
        with browsing() as browser:
            for scheme in ("light", "dark"):
                with tempfile.TemporaryDirectory() as name:
                    folder = Path(name)
                    write_page_bundle(folder)
                    with page_service(folder / "gallery.sqlite3", folder) as (url, runtime):
                        browser.size(SIZE)
                        browser.scheme(scheme)
                        page = Page(browser, url, runtime, folder)
                        for view in tour(page):
                            page.calm()
                            data = picture(page.driver.get_screenshot_as_png())
                            largest = max(largest, len(data))
                            (PICTURES / f"{view}-{scheme}.png").write_bytes(data)
    except BrowserMissingError as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    print(f"{PICTURES}: the largest has {largest:,} bytes (at most {BYTES_MOST:,})")
    return 0 if largest <= BYTES_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
