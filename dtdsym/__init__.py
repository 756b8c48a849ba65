"""Exact audits of the Taylor root points behind an explanation of a ReLU network.

The public names load on first use, so that `import dtdsym` costs nothing.
"""

from importlib import import_module
from typing import Any

from dtdsym._version import __version__ as __version__

_ERRORS = (
    "BudgetSpent",
    "DtdsymError",
    "Inadmissible",
    "InputError",
    "LoadError",
    "NoRoot",
    "NotExact",
    "OnHinge",
    "RuleError",
    "ShapeMismatch",
    "Unknown",
    "Unreachable",
    "UnsupportedLayer",
)
_HOMES = {
    "Network": "dtdsym.network.network",
    "Budget": "dtdsym.geometry.budget",
    "affine_root": "dtdsym.relevance.root_functions",
    "arrangement": "dtdsym.geometry.arrangement",
    "audit": "dtdsym.report.audit",
    "audit_captum": "dtdsym.tools.captum",
    "audit_zennit": "dtdsym.tools.zennit",
    "cascading_randomisation": "dtdsym.report.sanity",
    "class_insensitivity": "dtdsym.relevance.insensitivity",
    "convergence": "dtdsym.relevance.convergence",
    "decide": "dtdsym.claims.decide",
    "decide_in_box": "dtdsym.claims.box",
    "constant_root": "dtdsym.relevance.root_functions",
    "exact_root": "dtdsym.relevance.root_search",
    "exceeds": "dtdsym.geometry.maximum",
    "explain": "dtdsym.relevance.explain",
    "explain_by_nearest_roots": "dtdsym.relevance.nearest_explanation",
    "forge": "dtdsym.relevance.forge",
    "forge_normalised": "dtdsym.relevance.forge",
    "from_module": "dtdsym.network.from_module",
    "identify": "dtdsym.relevance.identify",
    "independent_randomisation": "dtdsym.report.sanity",
    "insensitivity_plot": "dtdsym.report.insensitivity_plot",
    "load": "dtdsym.network.load",
    "lowest_relevance": "dtdsym.relevance.lowest_relevance",
    "maximum": "dtdsym.geometry.maximum",
    "nearest_root": "dtdsym.relevance.nearest_root",
    "other_class": "dtdsym.report.sanity",
    "other_logit": "dtdsym.report.sanity",
    "place": "dtdsym.geometry.placement",
    "recursion": "dtdsym.relevance.recursion",
    "region": "dtdsym.geometry.region",
    "register_rule": "dtdsym.relevance.rule",
    "roots": "dtdsym.relevance.root",
    "rule_root": "dtdsym.relevance.root_functions",
    "sample_region": "dtdsym.relevance.sampled_roots",
    "to_sympy": "dtdsym.lifts.sympy_lift",
    "to_z3": "dtdsym.lifts.z3_lift",
    "walk": "dtdsym.geometry.walk",
    **dict.fromkeys(_ERRORS, "dtdsym.errors"),
}


def __getattr__(name: str) -> Any:
    """The public `name`, from the module that defines it; kept here, so that a name is looked up once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dtdsym' has no attribute {name!r}; it has {', '.join(_HOMES)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return [*_HOMES, "__version__"]
