"""What turns docs/ into a site beside mkdocs.yml: the first page, the list of how-tos, and links that leave docs/.

The files of docs/ are written to be read in the repository as well, so their links are those of the repository. What a
link names outside of docs/ is no page of the site: there its text stays, without the link.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

DOCS = Path(__file__).resolve().parents[1]
README = DOCS.parent / "README.md"
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> None:
    """Put a page for every file of a folder where the navigation names the folder; what it does not name comes last."""
    there = [path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md"))]
    for entry in config["nav"]:
        for section, folder in entry.items():
            if isinstance(folder, str) and (DOCS / folder).is_dir():
                entry[section] = [page for page in there if page.startswith(f"{folder}/")]
    last = next(iter(config["nav"][-1].values()))
    last += [page for page in there if page not in _named(config["nav"])]


def _named(navigation: Any) -> set[str]:
    if isinstance(navigation, str):
        return {navigation}
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    return {name for part in parts for name in _named(part)}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text of a page for the site; that of the first page is the README."""
    source = PurePosixPath("docs") / page.file.src_uri
    if page.file.src_uri == "index.md":
        source, markdown = PurePosixPath("README.md"), README.read_text(encoding="utf-8")
    return _LINK.sub(lambda match: _for_the_site(match, source, page.file.src_uri), markdown)


def _for_the_site(match: re.Match[str], source: PurePosixPath, page: str) -> str:
    # A link as seen from the page; its text alone if it leaves docs/.
    picture, text, target = match.groups()
    if "://" in target or target.startswith(("#", "mailto:")):
        return match[0]
    path, _, anchor = target.partition("#")
    named = _resolved(source.parent / path)
    if named.parts[0] != "docs" or (DOCS.parent / named).is_dir():
        return text
    up = "../" * (len(PurePosixPath(page).parts) - 1)
    return f"{picture}[{text}]({up}{PurePosixPath(*named.parts[1:])}{'#' if anchor else ''}{anchor})"


def _resolved(path: PurePosixPath) -> PurePosixPath:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)
