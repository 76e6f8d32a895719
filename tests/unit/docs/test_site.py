"""The documentation builds into a site without the network, and everything on it leads somewhere."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.site import pages

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
_WITHOUT_NETWORK = """
import socket, sys
def refuse(*_, **__):
    raise OSError("the documentation is built without the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli(["build", "--strict", "--quiet", "--site-dir", sys.argv[1]])
"""


class _Links(HTMLParser):
    """Collects what a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = {""}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places.update(value for name, value in given.items() if name in ("id", "name"))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built where every try to reach the network fails."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-c", _WITHOUT_NETWORK, str(folder)],
        cwd=ROOT, capture_output=True, text=True, env={"NO_MKDOCS_2_WARNING": "1", "PATH": ""},
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def parsed(site: Path) -> dict[Path, _Links]:
    """Every page of the site by its path."""
    found = {}
    for path in site.rglob("*.html"):
        found[path] = _Links()
        found[path].feed(path.read_text(encoding="utf-8"))
    return found


def test_every_page_of_the_repository_is_on_the_site_and_in_its_navigation(site: Path, parsed: dict) -> None:
    written = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert {site / path for path in written} <= set(parsed)
    start = {urlsplit(link).path for link in parsed[site / "index.html"].links}
    assert {str(path) for path in written} <= start


def test_every_link_within_the_site_leads_somewhere(site: Path, parsed: dict) -> None:
    broken = []
    for page, found in parsed.items():
        for link in [*found.links, *found.loaded]:
            target = urlsplit(link)
            if target.scheme or target.netloc or page.name == "404.html":
                continue
            path = (page.parent / unquote(target.path)).resolve() if target.path else page
            if not path.exists():
                broken.append(f"{page.relative_to(site)}: {link}")
            elif path in parsed and unquote(target.fragment) not in parsed[path].places:
                broken.append(f"{page.relative_to(site)}: no such place {link}")
    assert broken == []


def test_lists_are_lists_and_tables_are_tables(site: Path) -> None:
    # What the repository shows as one may need an empty line before it here.
    for page in site.rglob("*.html"):
        for paragraph in re.findall(r"<p>(.*?)</p>", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            assert not re.search(r"^(?:[-*] |\d+\. |\|)", paragraph, flags=re.MULTILINE), (
                f"{page.name}: {paragraph[:200]}"
            )


def test_nothing_is_loaded_from_elsewhere(site: Path, parsed: dict) -> None:
    loaded = {link for found in parsed.values() for link in found.loaded}
    assert loaded
    assert [link for link in loaded if urlsplit(link).netloc] == []
    for style in site.rglob("*.css"):
        assert re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", style.read_text(encoding="utf-8")) == []


def test_the_search_knows_every_page(site: Path) -> None:
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    for path in DOCS.rglob("*.md"):
        assert str(path.relative_to(DOCS).with_suffix(".html")) in index


def links_after(page: str, markdown: str) -> Iterator[str]:
    """Return where the links of a page lead once it is made ready for the site."""

    class File:
        src_uri = page

    class Page:
        file = File

    return iter(re.findall(r"\]\(([^)]+)\)", pages.on_page_markdown(markdown, Page)))


def test_links_stay_those_of_the_repository_where_the_site_has_their_page() -> None:
    text = "[a](../live.md#asking) [b](own_data.md) [c](https://example.org/x) [d](#here)"
    assert list(links_after("howto/x.md", text)) == [
        "../live.md#asking",
        "../howto/own_data.md",
        "https://example.org/x",
        "#here",
    ]


def test_links_that_leave_the_pages_become_plain_text() -> None:
    assert (
        list(
            links_after("live.md", "see [the service](../deploy/supertrader-live.service) and [`x`](../config/x.yaml)")
        )
        == []
    )
