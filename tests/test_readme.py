"""The two README files say the same, and what they say of the commands is true."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH, KOREAN = (ROOT / name for name in ("README.md", "README.ko.md"))
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def blocks(path: Path) -> list[str]:
    return FENCE.findall(path.read_text(encoding="utf-8"))


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def levels(path: Path) -> list[int]:
    return [len(match) for match in re.findall(r"^(#+) ", prose(path), re.MULTILINE)]


def numbers(text: str) -> Counter[str]:
    return Counter(NUMBER.findall(text))


def test_both_have_the_same_headings() -> None:
    assert levels(ENGLISH) == levels(KOREAN)
    assert len(levels(ENGLISH)) >= 4


def test_both_have_the_same_code() -> None:
    assert blocks(ENGLISH) == blocks(KOREAN)


def test_both_have_the_same_numbers() -> None:
    assert numbers(prose(ENGLISH)) == numbers(prose(KOREAN))


def test_both_have_the_same_links() -> None:
    link = re.compile(r"\]\(([^)]+)\)")
    english, korean = (link.findall(prose(path)) for path in (ENGLISH, KOREAN))
    swapped = {"README.ko.md": "README.md"}
    assert [swapped.get(target, target) for target in english] == [swapped.get(target, target) for target in korean]
    for target in english:
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_korean_is_korean() -> None:
    text = prose(KOREAN)
    assert len(re.findall(r"[가-힣]", text)) > 0.3 * len(re.findall(r"[A-Za-z가-힣]", text))


def test_the_two_commands_come_first() -> None:
    first = blocks(ENGLISH)[0]
    assert "make learn" in first
    assert "make test" in first
    assert ENGLISH.read_text(encoding="utf-8").index(first) < 900


@pytest.mark.parametrize("target", ["learn", "test"])
def test_the_plain_commands_are_those_of_the_makefile(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = "\n".join(blocks(ENGLISH))
    extras = {"learn": ".[cli,plot,data,parallel]", "test": ".[cli,plot,data,parallel,test]"}[target]
    assert f'-e "{extras}"' in makefile
    assert f'-e "{extras}"' in shown


def test_the_table_of_times_is_that_of_the_benchmark() -> None:
    """Every row of the README's table stands in the benchmark's own."""
    rows = [line for line in prose(ENGLISH).splitlines() if line.startswith("|")]
    results = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks" / "results").glob("*.md"))
    assert rows
    assert [row for row in rows if row not in results] == []
