"""The lessons say the same in both languages, and hold every number that the study notes print rightly."""

import re
from collections import Counter
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
LESSONS = sorted(path.name for path in (DOCS / "lessons").glob("[0-9]*.md"))
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")
ANSWER = re.compile(r"<details>.*?</details>", re.DOTALL)

#: What the notes print rightly, by the number of the lesson in which it comes out.
PRINTED = {
    1: ["0.1999999999990898", "0.2999999999986347"],
    2: ["0.0", "True"],
    4: ["6.00000000000378", "7.999999999999119"],
    5: ["array([6., 8.])", "array([0., 4.])", "array([6., 0.])"],
    6: [
        "array([-6.11110793e-10,  8.14814391e-10])",
        "array([-2.58983747e+13, -1.29524862e+12])",
        "array([-2.99999994,  3.99999992])",
    ],
    7: ["-0.3", "1.7", "0.43", "0.84", "2.35", "1.18", "(5, 6)", "(19, 29)"],
    8: ["0.0975", "0.5975", "0.510825457099338", "2.302584092994546"],
    9: ["[[ 0.01790151  0.55002379 -0.5679253 ]\n [ 0.02685226  0.82503568 -0.85188794]]", "1.98387283 -0.85805598"],
    10: ["(60000, 784)"],
}


def both(name: str) -> tuple[str, str]:
    english, korean = ((DOCS / folder / "lessons" / name).read_text(encoding="utf-8") for folder in ("", "ko"))
    return english, korean


def code(text: str) -> list[str]:
    """Give the blocks, pictures without what is said about them."""
    blocks = [re.sub(r"^:(?:alt|caption):.*\n", "", block, flags=re.MULTILINE) for block in FENCE.findall(text)]
    return [re.sub(r'(?:, )?language="ko"', "", block) for block in blocks]


def prose(text: str) -> str:
    return FENCE.sub("", text)


def numbers(text: str) -> Counter[str]:
    return Counter(NUMBER.findall(re.sub(r"\]\([^)]+\)", "]", prose(text))))


def levels(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(text), re.MULTILINE)]


def printed_by(text: str) -> str:
    """Give what the code prints: the lines of blocks that are no code."""
    blocks = [block for block in FENCE.findall(text) if block.startswith("```python")]
    lines = [line for block in blocks for line in block.splitlines()[1:-1]]
    return "\n".join(line for line in lines if not re.match(r">>>|\.\.\. ", line))


def test_there_are_ten_in_both_languages() -> None:
    assert [name[:3] for name in LESSONS] == [f"{number:02}_" for number in range(1, 11)]
    assert sorted(path.name for path in (DOCS / "ko" / "lessons").glob("[0-9]*.md")) == LESSONS


@pytest.mark.parametrize("name", ["index.md", *LESSONS])
def test_code_headings_links_and_numbers_are_the_same(name: str) -> None:
    english, korean = both(name)
    assert code(english) == code(korean)
    assert levels(english) == levels(korean)
    link = re.compile(r"\]\(([^)]+)\)")
    assert link.findall(prose(english)) == [target.replace("../../", "../") for target in link.findall(prose(korean))]
    assert numbers(english) == numbers(korean), (numbers(english) - numbers(korean), numbers(korean) - numbers(english))


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_has_its_picture_the_notes_and_an_answer_that_runs(name: str) -> None:
    titles = (
        ("## The picture", "## What the notes say, and where they are wrong", "## Exercise"),
        ("## 그림", "## 노트의 설명, 그리고 바로잡을 곳", "## 연습 문제"),
    )
    for text, wanted in zip(both(name), titles, strict=True):
        assert [title for title in wanted if title not in text.splitlines()] == []
        assert text.count("\n```{picture} ") == text.count("\n:alt: ") == 1
        (answer,) = ANSWER.findall(text)
        assert "\n```python\n>>> " in answer


@pytest.mark.parametrize("name", LESSONS)
def test_the_numbers_of_the_notes_come_out(name: str) -> None:
    shown = printed_by(both(name)[0])
    wanted = PRINTED.get(int(name[:2]), [])
    assert [number for number in wanted if number not in shown] == []


def test_the_measured_times_are_those_of_the_benchmarks() -> None:
    results = DOCS.parent / "benchmarks" / "results"
    tables = "".join((results / name).read_text(encoding="utf-8") for name in ("learning.md", "defaults_mnist.md"))
    told = both("10_digits.md")[0].split("## The experiment of the book")[1].split("\n## ")[0]
    measured = re.findall(r"\d[\d.]* u?s\b|\d+,\d+(?= times| evaluations)|\d[\d.]*(?= %)", told)
    assert len(measured) >= 7
    assert [number for number in measured if number not in tables] == []
    assert [number for number in measured for text in both("10_digits.md") if number not in text] == []


@pytest.mark.parametrize("name", ["index.md", *LESSONS])
def test_korean_is_korean_and_polite(name: str) -> None:
    text = prose(both(name)[1])
    assert len(re.findall(r"[가-힣]", text)) > 3 * len(re.findall(r"[A-Za-z]", text))
    own_words = re.sub(r"\"[^\"]*\"", "", text)  # the notes are quoted as they are
    assert re.findall(r"[^\n]*[가-힣](?<![니시])다\.(?!\w)[^\n]*", own_words) == []
