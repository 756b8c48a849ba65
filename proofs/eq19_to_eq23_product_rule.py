"""Equations 19 to 23: the product rule in Appendix A.1, line by line."""

from __future__ import annotations

import sympy

from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    affine_roots,
    base_case,
    definition3,
    gradient,
    network,
    put,
    recursive_step,
    slopes,
    unit,
    vector,
)
from machinery.product_rule import ONE, SHAPES, ZERO, Expanded, affine_above, crossing, not_zero, product_rule, unknown


def identity_of(width: int) -> Layer:
    """A layer that changes nothing: then R^{l+1} o f_l is R^{l+1}."""
    return Layer(sympy.eye(width), (ZERO,) * width, (ONE,) * width)


def not_a_vector(proof: Derivation, what: str) -> None:
    """The printed right-hand side is one number for each k; the left-hand side is a gradient."""
    small = crossing()
    proof.ill_typed(
        f"{what}: a gradient minus what is printed, a product of two vectors",
        "(2, 1) + (1, 1)",
        lambda: gradient(small.relevance()[0], small.a) - sympy.Matrix([[small.printed(0)]]),
        lambda: gradient(small.relevance()[0], small.a) - small.first(0),
    )
    for i, true in enumerate((2, -2)):
        proof.counterexample(
            f"read as entry {i + 1} of the gradient of R_1, for g(a) = 2 a1 + 3 a2 and a~(a) = (a2, 0)",
            small.printed(0),
            gradient(small.relevance()[0], small.a)[i],
            values=(-1, true),
        )


@statement(
    "eq19",
    "the derivative of the relevance, by its definition",
    place="Appendix A.1, equation 19",
    printed="dR^l_[k](a_l)/da_l = sum_j d/da_l ([dR^{l+1}_[j](f_l(a_l))/da_l[k]]_{a~^(j)_l} . {a_l - a~^(j)_l}_[k])",
    verdict="true",
    reason="it is equation 8's entry k, differentiated",
    scope="all smooth relevances and root functions in three shapes; all networks and affine roots of two shapes",
)
def eq19(proof: Derivation) -> None:
    for wide, size in proof.each("d_l and d_{l+1}", SHAPES):
        case = unknown(wide, size)
        step = recursive_step(lambda a, case=case: put(case.values, case.a, a), identity_of(wide), case.roots)
        for k in proof.each("k", range(wide)):
            total = sympy.zeros(wide, 1)
            for j in range(size):
                total += gradient(case.slope(j)[k] * (case.a[k] - case.roots(j, case.a)[k]), case.a)
            proof.equal("grad R^l_k", gradient(step(case.a)[k], case.a), total)
    for sizes in proof.each("widths", [(2, 3, 2), (3, 2, 2)]):
        layers, a = network(*sizes), vector("a", sizes[0])
        roots = [affine_roots(1, sizes[0]), affine_roots(2, sizes[1])]
        functions = definition3(layers, roots)
        case = Expanded(functions[1](layers[0](a)), a, roots[0])
        total = sympy.zeros(sizes[0], 1)
        for j in range(sizes[1]):
            total += gradient(case.slope(j)[0] * (a[0] - roots[0](j, a)[0]), a)
        proof.equal("grad R^1_1 of a network", gradient(functions[0](a)[0], a), total)


@statement(
    "eq20",
    "the product rule, first term",
    place="Appendix A.1, equation 20",
    printed="sum_j (d(a_l[k] - a~^(j)_l[k])/da_l . [dR^{l+1}_[j](f_l(a_l))/da_l]_{a~^(j)_l})",
    verdict="corrected",
    reason="a product of two gradients is a number, but the left side of eq. 19 is a vector: the index k of the second "
    "factor got lost",
    corrected="sum_j [dR^{l+1}_[j](f_l(a_l))/da_l[k]]_{a~^(j)_l} (e_k - grad a~^(j)_l[k])",
    scope="all smooth relevances and root functions in three shapes; the counterexample is linear with one neuron",
    parts=("product_rule",),
)
def eq20(proof: Derivation) -> None:
    not_a_vector(proof, "equation 20")
    product_rule(proof)


@statement(
    "eq21",
    "the product rule, second term",
    place="Appendix A.1, equation 21",
    printed="d/da_l . [dR^{l+1}_[j](f_l(a_l))/da_l]_{a~^(j)_l} . {a_l - a~^(j)_l}_[k] = 0 for ReLU networks",
    verdict="corrected",
    reason="for f = [[x1 - x2]] near x = (5/2, 2), with the admissible roots a + (1, 1) and h^2, the second term is "
    "not 0 but (2, -2) for k = 1 (nor is it for z+ and gamma roots, which are not admissible); it lacks the sum over j "
    "and the index k of the derivative",
    corrected="sum_j (a_l - a~^(j))_k (Da~^(j))^T Hess(R^{l+1}_[j] o f_l)(a~^(j)) e_k, 0 if the roots of the layers "
    "above l are locally affine (always for l = n)",
    scope="all smooth relevances and root functions in three shapes; 0 for all networks and affine roots of three "
    "shapes; instances on one network",
    parts=("not_zero", "product_rule", "affine_above"),
)
def eq21(proof: Derivation) -> None:
    not_zero(proof)
    product_rule(proof)
    affine_above(proof)


@statement(
    "eq22",
    "the chain rule through f_l",
    place="Appendix A.1, equation 22",
    printed="dR^l_[k]/da_l = sum_j (e_k - da~^(j)_l[k]/da_l) . [df_l/da_l . dR^{l+1}_[j]/df_l]_{a~^(j)_l}",
    verdict="corrected",
    reason="a number for a vector, as in eq. 20, and the second term is dropped",
    corrected="roots above l locally affine: grad R^l_k = sum_j [J_l^T grad R^{l+1}_j]_k (e_k - grad a~^(j)_k)",
    scope="all networks and affine roots of two shapes, n = 2, on every pattern; the counterexample is linear",
    parts=("chained",),
)
def eq22(proof: Derivation) -> None:
    not_a_vector(proof, "equation 22 with f_l the identity")
    _chained(proof, at_root=True)


@statement(
    "eq23",
    "the gradient at the root is the one at the input",
    place="Appendix A.1, equation 23",
    printed="dR^l_[k]/da_l = sum_j (df_l/da_l[k] - da~^(j)_l[k]/da_l . df_l/da_l) . dR^{l+1}_[j]/df_l",
    verdict="corrected",
    reason="dropping the root is right for admissible roots, but this is a number for a vector, as in eq. 20",
    corrected="roots above l locally affine and a~^(j) admissible: grad R^l_k = sum_j [J_l^T grad "
    "R^{l+1}_j(a_{l+1})]_k (e_k - grad a~^(j)_k)",
    scope="all networks and affine roots of two shapes, n = 2, on every pattern; the counterexample is linear",
    parts=("chained",),
)
def eq23(proof: Derivation) -> None:
    not_a_vector(proof, "equation 23 with f_l the identity")
    _chained(proof, at_root=False)
    proof.say("That the gradients agree is what admissible means; on one pattern they do, whatever the root:")
    for sizes in proof.each("widths", [(2, 3, 2), (3, 2, 2)]):
        layers, a = network(*sizes), vector("a", sizes[0])
        upper = recursive_step(base_case(sizes[2]), layers[1], affine_roots(2, sizes[1]))
        own = slopes(upper(layers[0](a)), a)
        proof.equal("grad(R^{l+1}_j o f_l) at a~ and at a_l", put(own, a, vector("r", sizes[0])), own)


def _chained(proof: Derivation, *, at_root: bool) -> None:
    proof.part("chained")
    for sizes in proof.each("widths", [(2, 3, 2), (3, 2, 2)]):
        layers, a, h = network(*sizes), vector("a", sizes[0]), vector("h", sizes[1])
        roots = [affine_roots(1, sizes[0]), affine_roots(2, sizes[1])]
        functions = definition3(layers, roots)
        own = slopes(functions[1](h), h)
        for k in proof.each("k", range(sizes[0])):
            total = sympy.zeros(sizes[0], 1)
            for j in range(sizes[1]):
                root = roots[0](j, a)
                upper = put(own.row(j).T, h, layers[0](root if at_root else a))
                factor = (layers[0].jacobian.T * upper)[k]
                total += factor * (unit(sizes[0], k) - slopes(root, a).row(k).T)
            proof.equal("grad R^1_k", gradient(functions[0](a)[k], a), total)


if __name__ == "__main__":
    main()
