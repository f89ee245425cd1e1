"""What the documentation says stands in the tables, in the code, and in the commands."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import mibun

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not path.relative_to(DOCS).parts[0].startswith(("_", "auto_")))
RESULTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "benchmarks" / "results").glob("*.md")))
ROWS = [line for line in RESULTS.splitlines() if line.startswith("|")]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
#: What is only ever measured: shares with two decimals, and times.
MEASURED = re.compile(r"\d[\d,]*\.\d\d %|\d[\d,.]* (?:us|ms)\b")
#: The lessons have accuracies of networks that they train themselves, which their own examples test.
LESSONS = [path for path in PAGES if "lessons" in path.parts]


def name_of(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def first_cell(row: str) -> str:
    return row.split("|")[1].strip()


@pytest.mark.parametrize("page", [path for path in PAGES if path not in LESSONS], ids=name_of)
def test_what_was_measured_stands_in_the_tables(page: Path) -> None:
    assert [number for number in MEASURED.findall(prose(page)) if number not in RESULTS] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_row_about_a_contender_is_one_of_the_tables(page: Path) -> None:
    """A row may leave out cells of the table's row, and nothing else."""
    contenders = {first_cell(row) for row in ROWS if "bound covers" not in row} - {""}
    for row in (line for line in prose(page).splitlines() if line.startswith("| ")):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if cells[0] in contenders and MEASURED.search(row):
            assert any(
                first_cell(one) == cells[0] and all(f" {cell} |" in one for cell in cells[1:]) for one in ROWS
            ), row


def test_what_is_quoted_of_the_bound_is_of_the_right_table() -> None:
    """The table of how far to trust it has words of its own, so its numbers are looked up one by one."""
    page = prose(DOCS / "explanation" / "bound.md")
    quoted = {
        "3,000 random": ("derivatives", "| mibun | 99.80 % | 100.00 % | 0 |"),
        "374 smooth": ("derivatives", "| mibun | 99.20 % | 99.73 % | 0 |"),
        "900 problems": ("derivatives", "| mibun | 99.67 % |"),
        "300 solvers": ("derivatives", "| mibun | 93.33 % | 98.67 % | 3 |"),
        "orders 2, 3 and 4": ("orders", "| order 4: bound covers | >= 99 % | 99.70 % |"),
        "Hessians of 12": ("second_order", "| Held out: bound covers | 98.5 % | 99.96 % |"),
    }
    for words, (table, row) in quoted.items():
        (line,) = [one for one in page.splitlines() if one.startswith(f"| {words}")]
        assert row in (ROOT / "benchmarks" / "results" / f"{table}.md").read_text(encoding="utf-8")
        covers = line.split("|")[2].strip()
        assert covers in row


def test_what_is_said_in_favour_of_the_peers_is_measured() -> None:
    section = prose(DOCS / "reference" / "peers.md").partition("## Where they are better")[2].partition("Exactness")[0]
    numbers = [number for number in re.findall(r"\d[\d.,e-]*\d", section) if number != "-"]
    assert len(numbers) > 8
    assert [number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", RESULTS)] == []


def test_what_is_said_of_the_eight_derivatives_stands_in_their_table() -> None:
    table = (ROOT / "benchmarks" / "results" / "eight.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) == 8
    assert not [row for row in rows if "not covered" in row[2]]
    assert "`abs(x) at 0`: kink; `floor(x) at 2`: jump" in table


def test_every_public_name_is_in_the_reference() -> None:
    reference = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    described = set(re.findall(r"\.\. auto(?:function|class):: (\S+)", reference))
    whole = set(re.findall(r"\.\. automodule:: (\S+)\n   :members:", reference))
    modules = {f"mibun.{name}" for name in mibun.__all__ if inspect.ismodule(getattr(mibun, name))}
    assert modules <= whole
    assert {f"mibun.{name}" for name in mibun.__all__} - modules <= described


def test_every_picture_is_in_the_gallery() -> None:
    draw = import_module("mibun.draw")
    programs = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "gallery").glob("*.py"))
    names = [name for name in draw.__all__ if inspect.isfunction(getattr(draw, name))]
    assert len(names) > 15
    assert [name for name in names if f"mb.draw.{name}(" not in programs] == []


def test_every_status_is_explained() -> None:
    page = (DOCS / "explanation" / "statuses.md").read_text(encoding="utf-8")
    derivatives, _, descents = page.partition("## Descents")
    for status in mibun.Status:
        assert f"| {status} | {'yes' if status.passes else 'no'} |" in derivatives
    for status in mibun.PathStatus:
        assert f"\n| {status} | " in descents


def test_every_engine_is_explained() -> None:
    from mibun.learn.engines import ENGINES

    page = (DOCS / "explanation" / "engines.md").read_text(encoding="utf-8")
    assert [word for word in ENGINES if f"`{word}`" not in page] == []


def test_the_order_of_imports_is_that_of_the_law() -> None:
    law_file = (ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8")
    written = re.search(r"^LAYERS = (\(.*?^\))", law_file, re.MULTILINE | re.DOTALL)
    assert written is not None
    layers = ast.literal_eval(written[1])
    page = " ".join((DOCS / "contributing.md").read_text(encoding="utf-8").split())
    shown = re.search(r"`(errors → .*?→ cli)`", page)
    assert shown is not None
    places = {name: place for place, group in enumerate(shown[1].split(" → ")) for name in group.split(", ")}
    law = {name: place for place, group in enumerate(layers) for name in group}
    assert set(places) >= set(law) - {"text"}
    for one in places:
        for other in places:
            if one in law and other in law and law[one] < law[other]:
                assert places[one] <= places[other], (one, other)


def test_the_worked_examples_are_short() -> None:
    page = (DOCS / "contributing.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## Add .*$", page, re.MULTILINE)
    assert len(titles) == 4
    for title in titles:
        block = FENCE.search(page, page.index(title))
        assert block is not None
        assert block[0].count("\n") < 60


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_shell_lines_are_commands_that_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = line.split("#")[0].split()
            assert words[0] == "make", f"{line}: commands with output belong into a console block, which is run"
            assert f"\n{words[1]}:" in makefile


def test_the_korean_front_page_says_the_same() -> None:
    english, korean = ((DOCS / name).read_text(encoding="utf-8") for name in ("index.md", "ko/index.md"))
    same = [FENCE.findall(re.sub(r':alt: .*|, language="ko"', "", text)) for text in (english, korean)]
    assert same[0][:3] == same[1][:3]
    assert MEASURED.findall(english) == MEASURED.findall(korean)
    letters = re.findall(r"[A-Za-z가-힣]", FENCE.sub("", korean))
    assert sum(letter > "z" for letter in letters) > 0.3 * len(letters)


def test_pages_load_nothing_from_outside() -> None:
    """No page asks for a script, a font or a picture elsewhere; the build looks at what comes out."""
    for page in PAGES:
        assert not re.search(r"!\[[^]]*\]\(https?:|<(script|img|iframe|link)\b[^>]*https?:", prose(page)), page


TEXTS = [*PAGES, *ROOT.glob("*.md")]


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_link_leads_to_a_file_without_any_build(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", page.read_text(encoding="utf-8")))
    inside = [target for target in targets if not re.match(r"https?:|mailto:", target)]
    assert [target for target in inside if "auto_" in target or not (page.parent / target).exists()] == []


def test_programs_that_are_named_exist() -> None:
    named = {
        name for page in TEXTS for name in re.findall(r"\b(?:benchmarks|tests|examples|src)/[\w/]+\.py\b", prose(page))
    }
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


#: What is run (python, pictures, files, consoles), checked (sh, above), or no program at all.
KINDS = re.compile(
    r"python|console|sh|text|\{picture\} \S+|\{code-block\} (?:python|text)|\{(?:eval-rst|toctree|command-help|note|tip"
    r"|warning|admonition)\}.*|\{include\} \S+"
)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_runs(page: Path) -> None:
    opened = re.findall(r"^```+([^`\n]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [kind for kind in opened if not KINDS.fullmatch(kind.strip())] == []


def test_the_picture_of_the_readme_is_what_mibun_draws() -> None:
    pytest.importorskip("matplotlib")
    import io
    import math

    from matplotlib import image

    from mibun.draw.files import image_of
    from mibun.formula import formula

    kept = image.imread(DOCS / "_static" / "step_error.png")
    drawn = image.imread(
        io.BytesIO(image_of(lambda: mibun.draw.step_error(formula("sin(x)"), 1.0, truth=math.cos), "png"))
    )
    assert kept.shape == drawn.shape
    assert abs(kept - drawn).mean() < 0.02
