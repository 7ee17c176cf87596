"""Damage: files that are no proper XML, whole or in part, and files that mean harm."""

from __future__ import annotations

import codecs
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from files import only, read, suite
from goldens import JUNIT, JUNIT_FILES
from hypothesis import given
from hypothesis import strategies as st

from realdb_ci import foreign
from realdb_ci.foreign import mending
from realdb_ci.results import Suite

ACCENTED = suite('<testcase name="prêt"><failure message="é">漢字 \U0001f4da</failure></testcase>', name="s")
DECLARED = '<?xml version="1.0" encoding="{}"?>\n{}'
# What ends within the first bytes may begin nothing at all.
KINDS = [file for file in JUNIT_FILES if file.stat().st_size < 6_000]
THREE = "<testsuites>{}</testsuites>".format(
    suite(*(f'<testcase name="t{number}"><failure message="m">é</failure></testcase>' for number in range(3)))
)


def failure(told: Suite) -> tuple[str, str, str]:
    """Name, message and text of the one test."""
    [phase] = only(told).failures
    return phase.nodeid, phase.message, phase.longrepr


@pytest.mark.parametrize(
    "content",
    [
        ACCENTED.encode(),
        codecs.BOM_UTF8 + ACCENTED.encode(),
        ACCENTED.encode("utf-16"),
        ACCENTED.encode("utf-16-le"),
        ACCENTED.encode("utf-16-be"),
        ACCENTED.encode("utf-32"),
        DECLARED.format("utf-16", ACCENTED).encode("utf-16"),
        b"\n\n  " + DECLARED.format("utf-8", ACCENTED).encode(),
    ],
)
def test_encoding_is_found_out(tmp_path: Path, content: bytes) -> None:
    """By its byte order mark, by how a bracket is written, else by its declaration; also behind blank lines."""
    assert failure(read(tmp_path, content)) == ("s > prêt", "é", "漢字 \U0001f4da")


@pytest.mark.parametrize(
    "declared", ["utf-16", "iso-8859-1", "windows-1252", "us-ascii", "x-no-such", "idna", "rot13"]
)
def test_utf8_is_read_whatever_it_is_declared_as(tmp_path: Path, declared: str) -> None:
    """Programs that write text they hold in memory often declare what they do not write."""
    assert failure(read(tmp_path, DECLARED.format(declared, ACCENTED).encode()))[0] == "s > prêt"


def test_declared_encodings_are_read(tmp_path: Path) -> None:
    """One byte a character, or several."""
    for name, text in {
        "iso-8859-1": "prêt",
        "windows-1251": "привет",
        "shift_jis": "漢字",
        "gb18030": "汉字",
    }.items():
        content = DECLARED.format(name, suite(f'<testcase name="{text}"/>', name="s")).encode(name)
        assert only(read(tmp_path, content)).nodeid == f"s > {text}"


def test_bytes_that_are_no_utf8_are_taken_for_latin1(tmp_path: Path) -> None:
    """A log in another encoding, printed into the file, costs nothing but its accents' certainty."""
    content = ACCENTED.encode().replace("é".encode(), b"\xe9")
    assert failure(read(tmp_path, content)) == ("s > prêt", "é", "漢字 \U0001f4da")


@pytest.mark.parametrize("code", [0, 8, 0x0B, 0x1B, 0x1F])
def test_control_characters_are_kept(tmp_path: Path, code: int) -> None:
    """XML forbids them, and runners write them: as they are, and as references. Reports make them visible."""
    for written in (chr(code), f"&#{code};", f"&#x{code:X};"):
        element = f'<testcase name="t"><failure message="a{written}b">c{written}d</failure></testcase>'
        phase = only(read(tmp_path, suite(element, name="s"))).failures[0]
        assert phase.longrepr == f"c{chr(code)}d"
        assert phase.message.split() == f"a{chr(code)}b".split()


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 11, 50])
def test_pieces_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Within a character, a reference, a tag, or the end of a CDATA section."""
    text = "<![CDATA[]] > ]] & ]]]]><![CDATA[>]]>"
    element = f'<testcase name="é\x1b"><failure message="a & b &#27;">{text}</failure></testcase>'
    content = DECLARED.format("utf-8", suite(element) + DECLARED.format("utf-8", suite('<testcase name="z"/>')))
    whole = read(tmp_path, content)
    monkeypatch.setattr(mending, "CHUNK", chunk)
    assert read(tmp_path, content) == whole
    assert [case.nodeid for case in whole.cases] == ["é\x1b", "z"]
    assert whole.cases[0].failures[0].longrepr == "]] > ]] & ]]>"


def test_what_is_in_cdata_stays_as_it_is(tmp_path: Path) -> None:
    """Also in a file that has to be mended: only there do an ampersand and a bracket stand for themselves."""
    text = "a &amp; b &nbsp; &#27; <c> & ]]]]><![CDATA[>"
    element = f'<testcase name="\x1b"><failure><![CDATA[{text}\x1b]]></failure></testcase>'
    assert failure(read(tmp_path, suite(element)))[2] == text.replace("]]]]><![CDATA[>", "]]>") + "\x1b"


def test_stray_ampersands_and_brackets_are_text(tmp_path: Path) -> None:
    """Unknown entities too: nobody told what they stand for."""
    element = '<testcase name="a & b"><failure message="&nbsp;&amp;">1 < 2 && 3 <= 4 &lt;</failure></testcase>'
    assert failure(read(tmp_path, suite(element))) == ("a & b", "&nbsp;&", "1 < 2 && 3 <= 4 <")


def test_lone_surrogates_and_characters_beyond_unicode_are_replaced(tmp_path: Path) -> None:
    """References to what no text can hold."""
    element = '<testcase name="t"><failure message="&#xD800;&#x110000;&#xFFFF;"/></testcase>'
    assert failure(read(tmp_path, suite(element)))[1] == "\ufffd\ufffd\ufffd"


def test_several_roots_are_all_read(tmp_path: Path) -> None:
    """Files put together by ``cat``, each with its declaration, and words around them."""
    parts = [DECLARED.format("utf-8", suite(f'<testcase name="{name}"/>')) for name in "ab"]
    told = read(tmp_path, "Running tests...\n" + "\n\n".join(parts) + "\n[INFO] done & dusted\n")
    assert ([case.nodeid for case in told.cases], told.problems) == (["a", "b"], ())


def test_file_that_breaks_off_keeps_what_was_read(tmp_path: Path) -> None:
    """The tests before the break are reported, the break is a problem with its line, the verdict is red."""
    told = read(tmp_path, '<testsuite name="s"><testcase name="a"/>\n<testcase name="b">\n<failure mess')
    [problem] = told.problems
    assert ([case.nodeid for case in told.cases], told.exit_code) == (["s > a"], 1)
    assert "junit.xml could not be read to its end" in problem.what
    assert "line 3" in problem.why
    assert "The 1 tests before" in problem.remedy


def test_mismatched_tag_keeps_what_was_read(tmp_path: Path) -> None:
    """What cannot be mended is a problem."""
    told = read(tmp_path, suite('<testcase name="a"/>', "<properties>"))
    assert [case.nodeid for case in told.cases] == ["a"]
    assert "mismatched tag" in told.problems[0].why


@pytest.mark.parametrize("content", [b"", b"<", b"<?xml version='1.0'?>", b"no xml & at all", b"<!-- nothing -->"])
def test_file_without_an_element_is_a_problem(tmp_path: Path, content: bytes) -> None:
    """Nothing in it says that anything passed."""
    told = read(tmp_path, content)
    assert (told.cases, len(told.problems), told.exit_code) == ((), 1, 1)


@pytest.mark.parametrize(("root", "name"), [("test-run", "NUnit 3"), ("coverage", "coverage"), ("html", "<html>")])
def test_other_formats_are_named(tmp_path: Path, root: str, name: str) -> None:
    """People mix them up; what the file is helps more than that it is not JUnit."""
    with pytest.raises(foreign.NotJUnit) as raised:
        read(tmp_path, f"<{root}><testcase/></{root}>")
    assert name in raised.value.format


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f'<!DOCTYPE s [<!ENTITY l0 "lol">{LAUGHS}]><testsuite name="&l9;"><testcase/></testsuite>',
    "quadratic": f'<!DOCTYPE s [<!ENTITY a "{"a" * 50_000}">]><testsuite name="{"&a;" * 50_000}"/>',
    "file": '<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>',
    "parameter": '<!DOCTYPE s [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><testsuite><testcase/></testsuite>',
    "one": '<!DOCTYPE s [<!ENTITY x "y">]><testsuite><testcase name="&x;"/></testsuite>',
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(tmp_path: Path, bomb: str, encoding: str) -> None:
    """None is expanded, none is fetched, whatever the file is written in; the refusal says why."""
    told = read(tmp_path, BOMBS[bomb].encode(encoding))
    assert told.cases == ()
    assert "entities" in told.problems[0].why


def test_document_type_without_entities_is_no_harm(tmp_path: Path) -> None:
    """Ant and others name one; it is not fetched."""
    told = read(
        tmp_path, '<!DOCTYPE testsuite SYSTEM "http://127.0.0.1:1/junit.dtd"><testsuite><testcase/></testsuite>'
    )
    assert only(told).outcome == "passed"


@given(st.data())
def test_file_cut_anywhere_yields_what_was_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """All tests whose elements are closed, no other one, and a problem; never an error."""
    content = THREE.encode()
    cut = data.draw(st.integers(0, len(content) - 1))
    told = read(tmp_path_factory.mktemp("cut"), content[:cut])
    assert len(told.cases) == content[:cut].count(b"</testcase>")
    assert len(told.problems) == 1
    assert told.exit_code == 1


@given(st.sampled_from(KINDS), st.data())
def test_damage_to_any_byte_never_raises(
    tmp_path_factory: pytest.TempPathFactory, file: Path, data: st.DataObject
) -> None:
    """Bytes changed, lost and put in: no more tests than the file has elements, and a problem where XML ends."""
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        told = read(tmp_path_factory.mktemp("hurt"), bytes(content), root=JUNIT)
    except foreign.NotJUnit:
        return
    assert len(told.cases) <= bytes(content).count(b"<testcase")
    if not told.problems and not told.cases:
        assert ET.fromstring(bytes(content)) is not None  # noqa: S314 - our own file


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever somebody names: an answer, never a traceback."""
    for start in (b"", b"<testsuite>", b"<testsuite><testcase name='"):
        folder = tmp_path_factory.mktemp("any")
        try:
            told = read(folder, start + content)
        except foreign.NotJUnit:
            continue
        assert told.problems or told.cases or b"/" in content
