"""An HTML page as a test reads it."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What a page references, shows and labels; raises on tags that do not close."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.numbers: list[tuple[float, str]] = []
        self.figures: list[str] = []
        self.labels: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.headers = 0
        self.captions = 0
        self._open: list[str] = []
        self._value: str | None = None
        self.text = ""
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.references += [
            value
            for name, value in attrs
            if name in {"src", "href", "xlink:href", "action", "data", "poster"} and value
        ]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "svg":
            self.labels.append(values.get("aria-label") or "")
            assert values["role"] == "img"
        if tag == "data":
            self._value = values["value"]
        self.headers += tag == "th" and values.get("scope") in {"col", "row"}
        self.captions += tag == "caption"
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._value is not None:
            self.numbers.append((float(self._value), data))
            self._value = None
        if self._open and self._open[-1] == "h3" and "figure" in self._open:
            self.figures.append(data)
