"""The HTML page that a task writes about itself."""

from __future__ import annotations

from html import escape


class Tab:
    """One page of a report; `content` is HTML."""

    __slots__ = ("content", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.content: list[str] = []

    def log(self, content: str) -> None:
        """Add HTML below what is there."""
        self.content.append(content)

    def replace(self, content: str) -> None:
        """Put HTML in place of what is there."""
        self.content = [content]

    append = log

    @property
    def html(self) -> str:
        """Everything on it."""
        return "\n".join(self.content)


class Report:
    """Named tabs of HTML; the first is called `main`."""

    __slots__ = ("name", "tabs")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tabs: dict[str, Tab] = {"main": Tab("main")}

    def get_tab(self, name: str, *, create_if_missing: bool = True) -> Tab:
        """The tab of that name."""
        if name not in self.tabs and create_if_missing:
            self.tabs[name] = Tab(name)
        return self.tabs[name]

    def log(self, content: str) -> None:
        """Add HTML to the first tab."""
        self.tabs["main"].log(content)

    def replace(self, content: str) -> None:
        """Put HTML in place of the first tab's."""
        self.tabs["main"].replace(content)

    append = log

    def html(self) -> str:
        """The whole document; it needs no other file and runs no script of ours."""
        shown = [tab for tab in self.tabs.values() if tab.content]
        links = "".join(f'<li><a href="#tab-{n}">{escape(tab.name)}</a></li>' for n, tab in enumerate(shown))
        bodies = "".join(
            f'<section id="tab-{n}"><h2>{escape(tab.name)}</h2>\n{tab.html}\n</section>' for n, tab in enumerate(shown)
        )
        title = escape(self.name)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
            f"<body><h1>{title}</h1><nav><ul>{links}</ul></nav>\n{bodies}\n</body></html>\n"
        )


Deck = Report
