"""Methods as immutable values: each asks for points, receives values, and never calls f."""

from typing import Any, Final, cast

from mibun.conversation import Conversation, Estimate, Method, Request
from mibun.errors import InputError
from mibun.methods.adaptive import Adaptive
from mibun.methods.adaptive.mixed import MixedPartial
from mibun.methods.central import Central
from mibun.methods.chain import Chain
from mibun.methods.complex_step import ComplexStep
from mibun.methods.forward import Backward, Forward

__all__ = [
    "Adaptive",
    "Backward",
    "Central",
    "Chain",
    "ComplexStep",
    "Conversation",
    "Estimate",
    "Forward",
    "Method",
    "MixedPartial",
    "Request",
    "choose_method",
]

WORDS: Final[dict[str, Method]] = {
    "adaptive": Adaptive(),
    "forward": Forward(),
    "backward": Backward(),
    "central": Central(),
    "complex": ComplexStep(),
}

#: What other verbs say to it.
CHAIN: Final = 'method="chain" differentiates by gradient, jacobian, vjp and hessian alone; write "adaptive" here'


def choose_method(method: Any) -> Method:
    """Give the method that a word or a value means.

    Parameters
    ----------
    method : str or Method
        ``"adaptive"``, ``"forward"``, ``"backward"``, ``"central"``, ``"complex"``; a value such as
        ``Central(accuracy=4)``; or an object of yours with ``converse(x, request)``.

    Raises
    ------
    InputError
        For another word, for a class instead of a value, or for an object that does not converse.

    Examples
    --------
    >>> from mibun.methods import choose_method
    >>> print(choose_method("central"))
    Central()
    """
    if isinstance(method, Chain) or (isinstance(method, str) and method == "chain"):
        raise InputError(CHAIN)
    if isinstance(method, str):
        chosen = WORDS.get(method)
        if chosen is None:
            raise InputError(f"method is {method!r}; expected one of {', '.join(map(repr, WORDS))}, or a method value")
        return chosen
    if isinstance(method, type):
        raise InputError(f"method is the class {method.__name__}; write {method.__name__}(), a value of it")
    if not callable(getattr(method, "converse", None)):
        words = ", ".join(map(repr, WORDS))
        raise InputError(
            f"method is a value of type {type(method).__name__}; expected one of {words}, or an object with "
            "converse(x, request)"
        )
    return cast(Method, method)
