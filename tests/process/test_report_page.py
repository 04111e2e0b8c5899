"""The report's page: self-contained, escaped, complete, and at home in a browser."""

import base64
import hashlib
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from roofcalc.catalog import lookup
from roofcalc.commands.report import report
from roofcalc.report.html.svg import inline
from roofcalc.report.html.tables import linked
from tests.process import browser
from tests.shell import LLAMA, refused, rows, run

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Document(HTMLParser):
    """Elements with their attributes, and the text of each cell, heading and line; complains where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data.strip()))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def said(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    result = run(f"report {LLAMA} --seq 1k,8k,64k --batch 1,32 -o {path}")
    assert (result.exit_code, result.stdout) == (0, "") and "note: interactivity: at least 30" in result.stderr
    return path


@pytest.fixture(scope="module")
def document(page: Path) -> Document:
    return Document(page.read_text(encoding="utf-8"))


def test_it_needs_nothing_from_outside(page: Path, document: Document) -> None:
    names = {name for name, _ in document.elements}
    assert not names & {"script", "img", "iframe", "object", "embed", "form", "image", "foreignobject"}
    assert [one["href"] for one in document.of("link")] == ["data:,"]
    for name, attributes in document.elements:
        assert "style" not in attributes and not any(attribute.startswith("on") for attribute in attributes), (name, attributes)
        assert "src" not in attributes and "srcset" not in attributes
        assert name in ("a", "link") or "href" not in attributes or str(attributes["href"]).startswith("#")
    text = page.read_text(encoding="utf-8")
    assert "@import" not in text and "url(http" not in text and "@font-face" not in text


def test_its_policy_allows_its_one_style_sheet_and_nothing_else(page: Path, document: Document) -> None:
    (policy,) = [one["content"] or "" for one in document.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"] and "unsafe" not in policy
    assert len(document.of("style")) == 1
    assert "@media print" in style and "prefers-color-scheme:dark" in style
    assert any(one.get("name") == "viewport" and "width=device-width" in str(one["content"]) for one in document.of("meta"))


def test_it_answers_with_the_commands_own_figures(document: Document) -> None:
    assert document.said("title") == document.said("h1") == ["llama-3.1-405b on 8xh100-sxm"]
    # the README: 366 sequences at 1,000 tokens, 56 at 8,000, 7 at 64,000
    (answer,) = [text for text in document.said("li") if "the largest batch is" in text]
    assert "366 at 1k tokens (limit: compute), 56 at 8k tokens (limit: capacity), 7 at 64k tokens (limit: capacity)" in answer
    cells = document.said("td")
    for command in ("max-batch", "memory", "interactivity"):
        options = "--seq 1k,8k,64k" + ("" if command == "max-batch" else " --batch 1,32")
        for row in rows(f"{command} {LLAMA} {options}"):
            assert f"{int(row['seq']):,}" in cells
            figure = float(row[{"max-batch": "throughput_tok_s", "memory": "kv_gb", "interactivity": "step_ms"}[command]])
            assert any(re.fullmatch(r"-?[\d,.]+", cell) and abs(float(cell.replace(",", "")) / figure - 1) < 6e-4 for cell in cells), figure
    assert {"Largest batch", "Memory", "Speed of each user", "Assumptions", "Working", "Figures and sources"} <= set(document.said("h2"))
    assert any("preset roofline, overlap op" in text and "tp 8" in text for text in document.said("p"))


def test_it_has_six_charts_that_share_no_id(document: Document) -> None:
    pictures = document.of("svg")
    assert len(pictures) == len(document.of("figure")) == 6 and all(one["role"] == "img" and one["aria-label"] for one in pictures)
    ids = [str(attributes["id"]) for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 10
    wanted = {str(one["href"])[1:] for one in document.of("use")}
    wanted |= {match for _, attributes in document.elements for match in re.findall(r"url\(#(.+?)\)", str(attributes.get("clip-path")))}
    assert wanted == set(ids)
    assert {"640 GB: memory", "234.1 GB: left by", "fp8: 1,979 TFLOP/s", "fits the memory"} <= set(document.said("text"))


def test_working_is_folded_and_whole(document: Document) -> None:
    titles = document.said("summary")
    assert [title for title in titles if "tokens, at least 30 tok/s" in title] == [
        f"{context} tokens, at least 30 tok/s: llama-3.1-405b on 8xh100-sxm, all=fp8 weights, bf16 KV" for context in ("1,000", "8,000", "64,000")
    ]
    assert not any("open" in one for one in document.of("details"))
    worked = document.said("code")
    # PHYSICS: 516,096 bytes per token in bf16 over 8 devices; 80 GB less 50.7 GB of weights
    assert any(line.startswith("batch_memory = d·floor((usable − weights)/KV) = ") and line.endswith("= 56 sequences") for line in worked)
    assert any("512" in line and "entry bytes" in line for line in worked)


def test_every_figure_has_its_sources_as_links(document: Document) -> None:
    links = {one["href"] for one in document.of("a")}
    assert {*lookup.model("llama-3.1-405b")[0].sources, *lookup.hardware("h100-sxm")[0].device.sources} <= links
    assert all(str(link).startswith(("http://", "https://")) for link in links)
    assert "405,853,388,800" in document.said("td") and "989.4" in document.said("td")


def test_everything_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: <script>alert(1)</script>\ncontext: 8192\nvocab: 1000\nhidden: 512\ndtype: bf16\n"
        "blocks:\n  block:\n    attention: {heads: 8, kv_heads: 8, head_dim: 64}\n    mlp: {width: 2048}\nlayers: 4*block\n"
        'notes: "<img src=x onerror=alert(2)> & \\"quotes\\" javascript:alert(3) https://example.com/a?b=1&c=<d>"\nunverified: [blocks]\n'
    )
    text = "\n".join(report(str(tmp_path / "mine.yaml"), "h100-sxm", seq=[1000, 4000], batch=1).html())
    document = Document(text)
    assert not document.of("script") and not document.of("img")
    assert "<script>alert(1)</script>" in document.said("td")
    assert "https://example.com/a?b=1&c=" in [one["href"] for one in document.of("a")]
    assert any("not seen at a source: blocks" in line for line in document.said("li"))


def test_only_web_addresses_become_links() -> None:
    assert linked("javascript:alert(1) data:text/html,x") == "javascript:alert(1) data:text/html,x"
    assert linked('see https://a.example/"x" <b>') == 'see <a href="https://a.example/">https://a.example/</a>&quot;x&quot; &lt;b&gt;'
    assert linked("(http://a.example/b?c=1&d=2)") == '(<a href="http://a.example/b?c=1&amp;d=2">http://a.example/b?c=1&amp;d=2</a>)'


def test_svg_becomes_part_of_a_page() -> None:
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9" width="9pt"><metadata/>'
        b'<defs><style>*{}</style><path id="m" d="M 0 0 \nL 1 1" style="stroke: #1f2328; stroke-width: 2"/></defs>'
        b'<g id="unused" clip-path="url(#m)"><use xlink:href="#m"/>'
        b'<text style="font-size: 9px; font-family: X; fill: #57606a">a &lt; b</text></g></svg>'
    )
    found = inline(svg, "c-", 'A "title"')
    assert "style" not in found and "metadata" not in found and "unused" not in found and "width" not in found.split(">")[0]
    assert '<path id="c-m" d="M 0 0 L 1 1" stroke="#1f2328" class="stroke-ink" stroke-width="2"' in found
    assert '<use href="#c-m"' in found and 'clip-path="url(#c-m)"' in found
    assert '<text font-size="9px" fill="#57606a" class="fill-quiet">a &lt; b</text>' in found
    assert 'viewBox="0 0 9 9" role="img" aria-label="A &quot;title&quot;"' in found


def test_without_matplotlib_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(f"report {LLAMA} --seq 1k,8k --batch 1 -o {tmp_path / 'a.html'}")
    assert result.exit_code == 0 and "note: charts need matplotlib: pip install 'roofcalc[plot]' (left out here)" in result.stderr
    document = Document((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert not document.of("svg") and "Charts" not in document.said("h2") and "366" in document.said("td")
    assert any("pip install 'roofcalc[plot]'" in line for line in document.said("li"))


def test_what_cannot_be_drawn_is_said_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "bare.yaml").write_text("name: bare\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 10}\n")
    document = Document("\n".join(report("llama-3.1-8b", str(tmp_path / "bare.yaml"), seq=4000, batch=1).html()))
    lacking = [text for text in document.said("p") if text.startswith("No chart: ")]
    # of six charts the bars of what fills the memory need no peak
    assert len(lacking) == 5 and any("nothing to draw" in text for text in lacking) and any("at least two points" in text for text in lacking)


def test_a_page_of_30_000_contexts_is_bounded_and_says_so(tmp_path: Path) -> None:
    """Tables of 1,500 rows show 1,000 of them; contexts are 500 of those that were asked for."""
    result = run(f"report llama-3.1-8b h100-sxm --seq 1:30000:1 -o {tmp_path / 'a.html'}")
    page = (tmp_path / "a.html").read_text()
    assert result.exit_code == 0 and len(page) < 3_000_000
    assert "note: --seq: 30,000 values; the page shows 500 of them, first and last included" in result.stderr
    assert page.count("… 500 rows omitted (`roofcalc memory … -f csv` prints all)") == 1
    assert "note: tables of more than 1,000 rows show their first and last 500" in result.stderr and ">30,000<" in page


def test_many_cases_and_standard_output(tmp_path: Path) -> None:
    line = "report llama-3.1-8b,qwen3-8b h100-sxm --seq 1k,8k --batch 1 -q"
    document = Document(run(f"{line} -o -").stdout)
    assert document.said("h1") == ["llama-3.1-8b, qwen3-8b on h100-sxm"]
    assert sum("the largest batch is" in text for text in document.said("li")) == 2 and len(document.of("svg")) == 6
    assert "cannot be written" in refused(f"{line} -o {tmp_path / 'no' / 'a.html'}")
    assert "nope" in refused("report nope h100-sxm")


@pytest.fixture(scope="module")
def chromium() -> Iterator[browser.Browser]:
    binary = browser.found()
    if binary is None:
        pytest.skip("no Chromium is installed here")
    with browser.browser(binary) as one:
        yield one


WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"

# the smallest font in use, in pixels, of the page's text and of its charts as they are scaled
SMALLEST = """Math.min(...[...document.querySelectorAll('body *')].filter(one => [...one.childNodes].some(
    node => node.nodeType == 3 && node.textContent.trim()) && one.getClientRects().length).map(one => {
        const svg = one.closest('svg')
        return parseFloat(getComputedStyle(one).fontSize) * (svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1)
    }))"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_a_browser_shows_it(chromium: browser.Browser, page: Path, width: int, dark: bool) -> None:
    chromium.events.clear()
    chromium.open(page, width, dark=dark)
    assert chromium.complaints() == []
    assert chromium.value("document.title") == "llama-3.1-405b on 8xh100-sxm"
    assert chromium.value("document.querySelectorAll('table').length") == 7
    wide, seen = chromium.value(WIDTHS)
    assert wide <= seen <= width
    paper = "rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)"
    assert chromium.value("getComputedStyle(document.body).backgroundColor") == paper  # the style sheet is in force
    ink = "rgb(230, 233, 237)" if dark else "rgb(31, 35, 40)"
    assert chromium.value("getComputedStyle(document.querySelector('svg text.fill-ink')).fill") == ink
    assert chromium.value(SMALLEST) >= 12
    chromium.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    wide, seen = chromium.value(WIDTHS)
    assert wide <= seen


PAPERS = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}
PRINTED = (
    f"report {LLAMA}",
    "report llama-3.1-70b 8xh100-sxm,8xmi300x,8xb200-sxm --weights fp8",
    "report llama-3.1-70b 8xh100-sxm,8xmi300x,8xb200-sxm --weights fp8 --isl 2k --osl 500 --assume roofline,typical --requests-per-second 10",
)


@pytest.mark.parametrize("line", PRINTED, ids=("one machine", "three machines", "three machines and a plan"))
def test_it_prints_on_two_pages(chromium: browser.Browser, tmp_path: Path, line: str) -> None:
    assert run(f"{line} -q -o {tmp_path / 'a.html'}").exit_code == 0
    for name, (width, height) in PAPERS.items():
        inner = int((width - 2 * 8 / 25.4) * 96)  # pixels between the margins
        chromium.open(tmp_path / "a.html", inner, media="print")
        wide, seen = chromium.value(WIDTHS)
        assert wide <= seen, f"{name}: something is cut at the right"
        figures = chromium.value("[...document.querySelectorAll('figure:has(svg)')].map(one => one.getBoundingClientRect().height / 96)")
        assert figures and max(figures) < height / 2  # a chart is on one page
        assert chromium.value("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
        assert chromium.value("[...document.querySelectorAll('td')].some(one => one.checkVisibility())")
        assert chromium.pages(width, height) <= 2, name


def test_the_browser_would_complain(chromium: browser.Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(
        "<!doctype html><meta http-equiv=Content-Security-Policy content=\"default-src 'none'\"><title>x</title>"
        '<p style="color:red">x</p><img src="a.png"><table><tr><td><pre>' + "wide " * 300 + "</pre></table>"
    )
    chromium.events.clear()
    chromium.open(tmp_path / "bad.html", 390)
    assert len(chromium.complaints()) >= 2
    wide, _ = chromium.value(WIDTHS)
    assert wide > 390
