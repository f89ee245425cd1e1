"""The rule of a descent, from its word and the options that were given."""

from dataclasses import fields, replace

from mibun.descent import Rule
from mibun.descent.rules import WORDS
from mibun.errors import InputError

__all__ = ["chosen_rule"]


def chosen_rule(word: str, **options: float | None) -> Rule:
    """Make the rule with what was given; None is what was not.

    Raises
    ------
    InputError
        If the rule has no such option, or cannot take its value.
    """
    rule = WORDS[word]
    known = {field.name for field in fields(rule)}  # type: ignore[arg-type]  # all rules of WORDS are dataclasses
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in known:
            raise InputError(f"--{name.replace('_', '-')} is given with the rule {word}, which has none; leave it out")
    return replace(rule, **given)  # type: ignore[type-var]
