"""Every error that dtdsym raises on purpose: one clear line that says what was met, where, and what to do."""

from typing import Any


class DtdsymError(Exception):
    """Base of all errors below; its message is one line fit for standard error."""


class LoadError(DtdsymError):
    """A file or module that cannot be read as a network: says what was met and how to save it so that it loads."""


class UnsupportedLayer(LoadError):
    """A layer or operation outside the piecewise linear ones that are understood; names it and its place."""


class ShapeMismatch(DtdsymError):
    """Shapes that do not chain, or an input that does not have the network's input shape."""


class NotExact(DtdsymError):
    """A number that is no finite rational (NaN, infinity), or a dtype that float64 cannot hold exactly."""


class InputError(DtdsymError):
    """Inputs that cannot be audited: unreadable, of the wrong shape, or none found above the least logit."""


class RuleError(DtdsymError):
    """An unknown rule, or a parameter that the rule does not take."""


class NoRoot(DtdsymError):
    """The neuron's pre-activation is constant along the rule's direction (w.v = 0): the rule has no root."""


class OnHinge(DtdsymError):
    """The function is not differentiable at the point, so it has no gradient and no linear region there."""


class BudgetSpent(DtdsymError):
    """A stated budget ran out before the decision; the answer is `undecided`, never a guess.

    so_far: what the search had found by then, where it says so (`maximum`, `exceeds`); else None."""

    so_far: Any = None


class Unknown(BudgetSpent):
    """A solver gave no answer within its limits, or none that exact arithmetic confirms: `undecided`, never a guess."""


class Inadmissible(DtdsymError):
    """A root that Definition 3 does not allow, or that is not proven to be allowed: names layer, neuron and reason."""


class Unreachable(DtdsymError):
    """An explanation that no admissible roots yield, or that a construction does not reach; says exactly why."""
