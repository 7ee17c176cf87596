"""Markdown as a reader of GitHub's sees it, to check that nothing in it is open, cut or live."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = re.compile(r"</?(?:code|details|summary)>")


def assert_whole(text: str) -> None:
    """Every fence is closed, every details balanced, every row as wide as its head, no tag but ours."""
    lines = text.split("\n")
    tokens = PARSER.parse(text)
    html = []
    for token in tokens:
        if token.type == "fence":
            assert lines[token.map[1] - 1] == token.markup
        elif token.type == "html_block":
            html.append(token.content)
        elif token.type == "inline":
            kinds = {child.type for child in token.children}
            assert kinds <= {"text", "html_inline", "softbreak", "strong_open", "strong_close", "text_special"}, (
                token
            )
            html += [child.content for child in token.children if child.type == "html_inline"]
        elif token.type == "table_open":
            assert len({line.count("|") for line in lines[token.map[0] : token.map[1]]}) == 1
    markup = "".join(html)
    assert not re.search(r"[<>]", OURS.sub("", markup))
    for tag in ("code", "details", "summary"):
        assert markup.count(f"<{tag}>") == markup.count(f"</{tag}>")
    tables = sum(token.type == "table_open" for token in tokens)
    assert tables == len(re.findall(r"^\|(?: :?---:? \|)+$", text, re.MULTILINE))
