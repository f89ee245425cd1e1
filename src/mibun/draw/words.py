"""The words of a picture in the language that is asked for, and a font that has its letters.

Texts are written in English where they are used, with fields in braces; `KOREAN` has the same fields for each. Hangul
is drawn by a font of its own behind the user's, so Latin letters, digits and formulas look as they always do, and no
setting of matplotlib changes. Where no font has Hangul, the picture is in English, and a warning says why.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from mibun.draw.style import require_matplotlib
from mibun.errors import InputError, MibunWarning

if TYPE_CHECKING:
    from matplotlib.artist import Artist

__all__ = ["KOREAN", "Language", "Words", "hangul_font"]

Language = Literal["en", "ko"]

KOREAN: Final = {
    "{wrong} of {total} elements wrong": "성분 {total}개 가운데 {wrong}개가 틀림",
    "{count} of {total} elements undecided": "성분 {total}개 가운데 {count}개는 판정 보류",
    "all of {total} elements right": "성분 {total}개가 모두 맞음",
    "given / numeric ≤ {low}": "주어진 값 / 수치 ≤ {low}",
    "right": "맞음",
    "not looked at alone": "따로 보지 않음",
    "undecided": "판정 보류",
    "at a kink": "꺾인 점",
    "slope at {name} = {x}: {slope}": "{name} = {x}에서의 기울기: {slope}",
    "kink at {name} = {x}: slopes {left} and {right}": "{name} = {x}에서 꺾임: 기울기 {left}, {right}",
    "no slope at {name} = {x}: {why}": "{name} = {x}에서 기울기 없음: {why}",
    "{slope} ({why})": "{slope} ({why})",
    "unresolved": "미해결",
    "budget spent": "계산 한도 초과",
    "jump": "불연속",
    "not finite": "유한하지 않음",
    "failed": "실패",
    "{what} and its tangent": "{what}, 그리고 접선",
    "{what} and its tangents": "{what}, 그리고 접선들",
    "true slope: {slope}": "진정한 기울기: {slope}",
    "forward difference: {slope}": "전방 차분: {slope}",
    "central difference: {slope}": "중심 차분: {slope}",
    "Numerical differences with h = {h}": "h = {h}일 때의 수치 미분",
    "forward difference": "전방 차분",
    "central difference": "중심 차분",
    "truncation (theory)": "절단 오차 (이론)",
    "rounding (theory)": "반올림 오차 (이론)",
    "error of the slope": "기울기의 오차",
    "step h": "간격 h",
    "mibun: error at most {error}": "mibun: 오차 {error} 이하",
    "not known: below mibun's bound": "알 수 없음: mibun의 오차 한계 아래",
    "h = {h}: error {error}": "h = {h}: 오차 {error}",
    "h = {h} (left of here): error {error}": "h = {h} (왼쪽 바깥): 오차 {error}",
    "h = {h} (left of here): error {error},\nx + h is x": "h = {h} (왼쪽 바깥): 오차 {error},\nx + h가 x와 같음",
    "The step and the error at {name} = {x}": "{name} = {x}에서 간격과 오차",
    "no gradient here": "기울기 없음",
    "−gradient: where f falls fastest": "−기울기: f가 가장 빨리 줄어드는 방향",
    "(longest arrow {longest})": "(가장 긴 화살표 {longest})",
    "Descent": "경사 하강",
    "Ascent": "경사 상승",
    "from {start}": "{start}에서",
    "{name}: {steps} steps": "{name}: {steps}번 갱신",
    "leaves the picture": "그림을 벗어남",
    "converged": "수렴",
    "bounds": "경계에 닿음",
    "noise floor": "잡음 한계",
    "plateau": "고원",
    "saddle": "안장점",
    "oscillating": "진동",
    "stalled": "정체",
    "diverged": "발산",
    "dead gradient": "기울기 소실",
    "stopped": "중단",
    "steps": "갱신 횟수",
    "epochs": "에폭",
    "each step (last {last})": "갱신마다 (마지막 {last})",
    "each step (none)": "갱신마다 (없음)",
    "mean of {width} steps (last {last})": "{width}번의 평균 (마지막 {last})",
    "no step was done": "갱신 없음",
    "loss": "손실",
    "Loss of each training step": "갱신마다의 손실",
    "{name} (last {last} %)": "{name} (마지막 {last} %)",
    "training": "훈련",
    "validation": "검증",
    "test": "시험",
    "right answers": "정확도",
    "Accuracy": "정확도",
    "no images": "이미지 없음",
    "step function: slopes {slopes}": "계단 함수: 기울기 {slopes}",
    "sigmoid: slopes {slopes}": "시그모이드: 기울기 {slopes}",
    "Why not accuracy: a step has no slope to follow": "왜 정확도가 아닌가: 계단에는 따라갈 기울기가 없다",
    "y = {y}: loss −ln y = {loss}": "y = {y}: 손실 −ln y = {loss}",
    "y, the probability that is given to the right answer": "y: 정답에 준 확률",
    "Why log: little belief in what is right costs much": "왜 로그인가: 정답을 믿지 않을수록 손실이 크다",
    "answer of the network": "신경망의 답",
    "what it is": "정답",
    "{right} of {total} right ({share} %)": "{total}개 중 {right}개 정답 ({share} %)",
    "measured": "측정",
    "forecast": "예측",
    "error of the loop's own entries": "반복문 자신의 오차",
    "seconds for one gradient": "기울기 하나에 걸리는 초",
    "distance to the notes' loop, of the largest entry": "필기의 반복문과의 차이 (가장 큰 성분)",
    "One gradient, {count} engines ({samples} samples)": "기울기 하나, 엔진 {count}개 (표본 {samples}개)",
    "input": "입력",
    "unit": "유닛",
    "Weights of layer {layer}: dark −{most}, light +{most}": "층 {layer}의 가중치: 어두움 −{most}, 밝음 +{most}",
    "way of the training": "훈련 경로",
    "the network": "신경망",
    "Loss around the weights": "가중치 주변의 손실",
    "first random direction": "첫째 무작위 방향",
    "second random direction": "둘째 무작위 방향",
    "first direction of the way ({share} %)": "경로의 첫째 방향 ({share} %)",
    "second direction of the way ({share} %)": "경로의 둘째 방향 ({share} %)",
}
#: Fonts with Hangul that systems bring or people install, the likeliest first; any other that has it will do.
FAMILIES: Final = (
    "NanumGothic",
    "Nanum Gothic",
    "NanumBarunGothic",
    "Noto Sans KR",
    "Noto Sans CJK KR",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "Malgun Gothic",
    "UnDotum",
    "Baekmuk Dotum",
)
NO_FONT: Final = (
    "language='ko' is asked for, but no font that matplotlib finds has Korean letters, so the picture is in English; "
    "install one, such as Debian's fonts-nanum, and draw again"
)
HANGUL: Final = range(0xAC00, 0xD7A4)  # 가 to 힣


class Words:
    """The texts of one picture.

    Parameters
    ----------
    language : "en" or "ko"

    Raises
    ------
    InputError
        If the language is another one.
    MissingDependency
        If matplotlib is not installed.

    Warns
    -----
    MibunWarning
        If it is Korean, and no font has the letters: the texts are English then.
    """

    def __init__(self, language: str) -> None:
        if language not in ("en", "ko"):
            raise InputError(f"language is {language!r}; expected 'en' or 'ko'")
        require_matplotlib()
        self.font = hangul_font() if language == "ko" else None
        if language == "ko" and self.font is None:
            warnings.warn(MibunWarning(NO_FONT), stacklevel=3)

    def __call__(self, text: str, **fields: Any) -> str:
        """Give a text with its fields filled in."""
        return (text if self.font is None else KOREAN[text]).format(**fields)

    def known(self, text: str) -> str:
        """Give a text that may be none of ours, such as the status of a path."""
        return self(text) if text in KOREAN else text

    def dress(self, *artists: Artist) -> None:
        """Let the Hangul in these artists be drawn by a font that has it."""
        from matplotlib.text import Text

        if self.font is None:
            return
        for artist in artists:
            for text in artist.findobj(Text):
                families = text.get_fontfamily()
                if any(ord(letter) in HANGUL for letter in text.get_text()) and self.font not in families:
                    text.set_fontfamily([*families, self.font])


def hangul_font() -> str | None:
    """Find the name of a font with Hangul: among those that matplotlib knows, else among those of the system.

    matplotlib keeps its list of fonts in a file, which does not know what was installed since; a font that is found
    beyond it is added to the list of this process.
    """
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = [entry for entry in fontManager.ttflist if entry.style == "normal"]
    known.sort(key=lambda entry: FAMILIES.index(entry.name) if entry.name in FAMILIES else len(FAMILIES))
    for entry in known:
        if _has_hangul(entry.fname):
            return entry.name
    for path in sorted(set(findSystemFonts()) - {entry.fname for entry in fontManager.ttflist}, key=_likeliest):
        if _has_hangul(path):
            fontManager.addfont(path)
            return fontManager.ttflist[-1].name
    return None


def _likeliest(path: str) -> bool:
    return not any(family.replace(" ", "") in Path(path).name for family in FAMILIES)


def _has_hangul(path: str) -> bool:
    from matplotlib.ft2font import FT2Font

    try:
        return FT2Font(path).get_char_index(HANGUL[0]) != 0
    except (OSError, RuntimeError):  # the file is gone, or no font
        return False
