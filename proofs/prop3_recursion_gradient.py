"""Proposition 3, equation 17, and equations 19 to 23 of its proof: the gradient of R^l, and R^{l-1} by it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import sympy

from dtdsym import constant_root, recursion, rule_root
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Function,
    Layer,
    Roots,
    Vector,
    affine_roots,
    any_roots,
    base_case,
    column,
    definition3,
    gradient,
    hinge_roots,
    network,
    put,
    recursive_step,
    slopes,
    smooth,
    unit,
    vector,
)

ONE, ZERO = sympy.Integer(1), sympy.Integer(0)
SHAPES = [(2, 3), (3, 2), (1, 2)]
"""d_l and d_{l+1}."""
STACKS = [(2, 3, 2), (3, 2, 2, 1), (2, 1, 3, 2)]
"""Widths of whole networks."""


def identity_of(width: int) -> Layer:
    """A layer that changes nothing: then R^{l+1} o f_l is R^{l+1}."""
    return Layer(sympy.eye(width), (ZERO,) * width, (ONE,) * width)


class Expanded:
    """g_m = R^{l+1}_m o f_l as expressions of a, the roots of layer l, and the two terms of the product rule."""

    def __init__(self, values: Vector, a: Vector, roots: Roots) -> None:
        self.values, self.a, self.roots = values, a, roots
        self.count = len(values)

    def slope(self, m: int) -> sympy.Matrix:
        """grad g_m at a~^(m)(a), a column."""
        return put(gradient(self.values[m], self.a), self.a, self.roots(m, self.a))

    def moved(self, m: int) -> sympy.Matrix:
        """D a~^(m), whose row k is the gradient of entry k."""
        return slopes(self.roots(m, self.a), self.a)

    def relevance(self) -> Vector:
        """R^l by equation 8."""
        total = sympy.zeros(len(self.a), 1)
        for m in range(self.count):
            total += self.slope(m).multiply_elementwise(column(self.a) - column(self.roots(m, self.a)))
        return tuple(total)

    def first(self, k: int) -> sympy.Matrix:
        """sum_m (grad g_m)_k (e_k - grad a~^(m)_k)."""
        total = sympy.zeros(len(self.a), 1)
        for m in range(self.count):
            total += self.slope(m)[k] * (unit(len(self.a), k) - self.moved(m).row(k).T)
        return total

    def second(self, k: int) -> sympy.Matrix:
        """sum_m (a - a~^(m))_k (D a~^(m))^T Hess(g_m)(a~^(m)) e_k."""
        total = sympy.zeros(len(self.a), 1)
        for m in range(self.count):
            root = self.roots(m, self.a)
            hessian = put(sympy.hessian(self.values[m], self.a), self.a, root)
            total += (self.a[k] - root[k]) * self.moved(m).T * hessian.col(k)
        return total

    def printed(self, k: int) -> sympy.Expr:
        """sum_m (e_k - grad a~^(m)_k) . grad g_m, what equations 17, 20, 22 and 23 contract: a number, not a vector."""
        return sympy.Add(
            *((unit(len(self.a), k) - self.moved(m).row(k).T).dot(self.slope(m)) for m in range(self.count))
        )


def unknown(wide: int, size: int) -> Expanded:
    """Any relevances and any roots: unknown smooth functions."""
    a = vector("a", wide)
    return Expanded(tuple(smooth(f"g{m + 1}", a) for m in range(size)), a, any_roots(1))


def crossing() -> Expanded:
    """The smallest example: g(a) = 2 a1 + 3 a2 with the root a~(a) = (a2, 0)."""
    a = vector("a", 2)
    return Expanded((2 * a[0] + 3 * a[1],), a, lambda m, at: (at[1], ZERO))


def not_a_vector(proof: Derivation, what: str) -> None:
    """The printed right-hand side is one number for each k; the left-hand side is a gradient."""
    small = crossing()
    proof.ill_typed(
        f"{what}: a gradient minus what is printed, a product of two vectors",
        lambda: gradient(small.relevance()[0], small.a) - sympy.Matrix([[small.printed(0)]]),
        lambda: gradient(small.relevance()[0], small.a) - small.first(0),
    )
    for i in range(2):
        proof.counterexample(
            f"read as entry {i + 1} of the gradient of R_1, for g(a) = 2 a1 + 3 a2 and a~(a) = (a2, 0)",
            small.printed(0),
            gradient(small.relevance()[0], small.a)[i],
        )


def product_rule(proof: Derivation) -> None:
    """The corrected gradient for all smooth relevances and roots."""
    proof.say(
        "g_m = R^{l+1}_m o f_l and a~^(m) are unknown smooth functions; g1[2](..) is a partial derivative of g_1."
    )
    for wide, size in proof.each("d_l and d_{l+1}", SHAPES):
        case = unknown(wide, size)
        relevance = case.relevance()
        for k in proof.each("k", range(wide)):
            proof.equal(
                "grad R^l_k = sum_m { (grad g_m)_k (e_k - grad a~^(m)_k) + (a - a~^(m))_k (Da~^(m))^T Hess(g_m) e_k }",
                gradient(relevance[k], case.a),
                case.first(k) + case.second(k),
            )


def affine_above(proof: Derivation) -> None:
    """Roots above l affine on the pattern: the second term vanishes."""
    proof.say(
        "The second term vanishes where the roots of the layers above l are locally affine, and always for l = n: then "
        "each g_m is affine on the pattern. Definition 3 with symbolic weights, masks and affine roots for each neuron:"
    )
    for sizes in proof.each("widths", STACKS):
        layers = network(*sizes)
        roots = [affine_roots(l, d) for l, d in enumerate(sizes[:-1], start=1)]
        functions = definition3(layers, roots)
        for l in proof.each("layer l", range(2, len(sizes))):
            a = vector("a", sizes[l - 1])
            case = Expanded(functions[l](layers[l - 1](a)), a, roots[l - 1])
            proof.equal(
                "Hess(g_m) = 0",
                [sympy.hessian(value, a) for value in case.values],
                [sympy.zeros(len(a)) for _ in case.values],
            )
            for k in proof.each("k", range(len(a))):
                proof.equal(
                    "grad R^l_k = sum_m (grad g_m)_k (e_k - grad a~^(m)_k)",
                    gradient(functions[l - 1](a)[k], a),
                    case.first(k),
                )


def zplus(w: Vector, a: Vector) -> Vector:
    """v = a o 1[w >= 0] for numbers."""
    return tuple(ai if wi >= 0 else ZERO for wi, ai in zip(w, a, strict=True))


def gamma_one(w: Vector, a: Vector) -> Vector:
    """v = a o (1 + 1[w >= 0]): the gamma rule with gamma = 1, for numbers."""
    return tuple(2 * ai if wi >= 0 else ai for wi, ai in zip(w, a, strict=True))


def own_weights(w: Vector, a: Vector) -> Vector:
    """v = w: the w2 rule."""
    return w


def relevance_roots(layer: Layer, upper: Function) -> Roots:
    """a - R^{l+1}_j(f_l(a))/(w.w) w: the relevance root of the w2 rule."""

    def root(j: int, a: Vector) -> Vector:
        w = tuple(layer.weight.row(j))
        t = upper(layer(a))[j] / sum(wi * wi for wi in w)
        return tuple(ai - t * wi for ai, wi in zip(a, w, strict=True))

    return root


def numbers(weight: list[list[int]], bias: list[int]) -> Layer:
    """A layer of numbers, all neurons active."""
    return Layer(sympy.Matrix(weight), tuple(map(sympy.Integer, bias)), (ONE,) * len(bias))


LOWER = numbers([[1, 1], [1, -1]], [1, 1])
TOP = Layer(sympy.Matrix([[2, 1]]) / 8, (ONE / 8,), (ONE,))
"""f_{n-1} and f_n of the instances: all neurons are active at a = (2, 1), where f_{n-1}(a) = (4, 2), and at the roots
there, or on the edge."""
INSTANCES = {
    "zplus": ("zplus", "hinge"),
    "gamma": ("gamma:1", "hinge"),
    "w2 hinge below zplus": ("w2", "hinge"),
    "w2 relevance below zplus": ("w2", "relevance"),
}
"""Name -> the rule and the kind of root of layer n - 1, as dtdsym calls them."""
AT = (sympy.Integer(2), ONE)


def instance(name: str) -> Expanded:
    """Layer n - 1 of LOWER and TOP, where the roots of the rule are those of both layers."""
    direction = {"zplus": zplus, "gamma": gamma_one}.get(name, zplus)
    upper = recursive_step(base_case(1), TOP, hinge_roots(TOP, direction))
    a = vector("a", 2)
    below = {
        "zplus": hinge_roots(LOWER, zplus),
        "gamma": hinge_roots(LOWER, gamma_one),
        "w2 hinge below zplus": hinge_roots(LOWER, own_weights),
        "w2 relevance below zplus": relevance_roots(LOWER, upper),
    }
    return Expanded(upper(LOWER(a)), a, below[name])


def not_zero(proof: Derivation) -> None:
    """Rules whose second term is not 0, at exact numbers."""
    proof.say(
        "It does not vanish for roots that are not locally affine. f_{n-1} = [(a1 + a2 + 1, a1 - a2 + 1)]+, f_n = "
        "[(2 h1 + h2 + 1)/8]+, at a = (2, 1) with all neurons active. z+ and gamma = 1 in both layers; then z+ above "
        "w2."
    )
    for name in proof.each("rule", INSTANCES):
        case = instance(name)
        relevance, here = case.relevance(), dict(zip(case.a, AT, strict=True))
        for k in range(2):
            both = case.first(k) + case.second(k)
            proof.equal(f"grad R^l_{k + 1} is both terms", gradient(relevance[k], case.a).subs(here), both.subs(here))
        proof.counterexample(f"{name}: '= 0', and the second term for k = 1", sympy.zeros(2, 1), case.second(0), here)
        values = tuple(Fraction(int(q.p), int(q.q)) for q in (entry.subs(here) for entry in relevance))
        proof.found("R^{n-1}(2, 1), by dtdsym.recursion with its ReLUs", _decomposed(name), 0.125, values, unlike=0.25)


def _decomposed(name: str) -> Callable[[float], tuple[Fraction, ...]]:
    """R^1 of an instance by dtdsym, with a weight of f_n to be changed."""
    rule, kind = INSTANCES[name]

    def asked(weight: float) -> tuple[Fraction, ...]:
        chosen = sequential(([[1, 1], [1, -1]], [1, 1]), ([[0.25, weight]], [0.125]))
        top = rule_root("gamma:1" if rule == "gamma:1" else "zplus")
        return tuple(recursion(chosen, (2, 1), [rule_root(rule, kind), top], check=False))

    return asked


def w2_alone(proof: Derivation) -> None:
    """w2 in all layers: affine roots."""
    proof.say("w2 in every layer, hinge and relevance roots, is no such instance: these roots are affine on a pattern.")
    for sizes in proof.each("widths", [(2, 2, 1), (3, 2, 1)]):
        layers, a = network(*sizes), vector("a", sizes[0])
        upper = recursive_step(base_case(1), layers[1], hinge_roots(layers[1], own_weights))
        kinds = {"hinge": hinge_roots(layers[0], own_weights), "relevance": relevance_roots(layers[0], upper)}
        for kind in proof.each("kind of root", kinds):
            second = [slopes(slopes(kinds[kind](j, a), a).row(i), a) for j in range(sizes[1]) for i in range(sizes[0])]
            proof.equal("second derivatives of the roots", second, [sympy.zeros(sizes[0]) for _ in second])


def below(proof: Derivation) -> None:
    """R^{l-1} of R^l: the chain rule through f_{l-1}, which the printed equation leaves out."""
    proof.say(
        "R^{l-1} by equation 8: the gradient of R^l_j o f_{l-1} is J_{f_{l-1}}^T grad R^l_j, taken at f_{l-1}(a~^(j))."
    )
    for before, wide, size in proof.each("d_{l-1}, d_l, d_{l+1}", [(2, 1, 2), (1, 2, 1), (3, 2, 1)]):
        layer, case, low = network(before, wide)[0], unknown(wide, size), vector("x", before)

        def upper(a: Vector, case: Expanded = case) -> Vector:
            return put(case.relevance(), case.a, a)

        total = sympy.zeros(before, 1)
        for j in range(wide):
            root = affine_roots(2, before)(j, low)
            inner = put(case.first(j) + case.second(j), case.a, layer(root))
            total += (layer.jacobian.T * inner).multiply_elementwise(column(low) - column(root))
        proof.equal(
            "R^{l-1} = sum_j [J^T (first + second term of grad R^l_j)] o (a_{l-1} - a~^(j)_{l-1})",
            column(recursive_step(upper, layer, affine_roots(2, before))(low)),
            total,
        )


def chain_factor(proof: Derivation) -> None:
    """The printed equation 17 against Definition 3."""
    w, p, c, d, x = sympy.symbols("w p c d x")
    layers = [Layer(sympy.Matrix([[w]]), (ZERO,), (ONE,)), Layer(sympy.ones(1), (ZERO,), (ONE,))]
    roots = [lambda j, a: (c,), lambda j, a: (p * a[0] + d,)]
    true = definition3(layers, roots)[0]((x,))[0]
    proof.say("The Jacobian of f_{l-1} is missing: f_1(x) = [w x]+, f_2(a) = [a]+, x, w > 0, root p a + d of layer 2.")
    proof.equal("Definition 3", true, w * (1 - p) * (x - c))
    proof.counterexample("as printed, (1 - p) (x - c), and R^1", (1 - p) * (x - c), true, {w: 2, p: 0, c: 0, x: 1})
    small, low = crossing(), (ONE, ONE)
    proof.say("And the wrong index is contracted: f_1(x) = [x]+, f_2(a) = [2 a1 + 3 a2]+, a~_2 = (a2, 0), x = (1, 1).")
    layers = [identity_of(2), numbers([[2, 3]], [0])]
    roots = [lambda j, a: (ZERO, ZERO), lambda j, a: (a[1], ZERO)]
    printed = sympy.zeros(2, 1)
    for j in range(2):
        printed += small.printed(j) * column(low)
    proof.counterexample("as printed, with a~_1 = 0, and R^1", printed, column(definition3(layers, roots)[0](low)))
    known, other = (sequential(([[1, 0], [0, 1]], [0, 0]), ([[2, top]], [0])) for top in (3, 4))

    def asked(chosen: Network) -> tuple[Fraction, ...]:
        above = lambda a: (a[1], 0 * a[0])  # noqa: E731
        return tuple(recursion(chosen, (1, 1), [constant_root([0, 0]), above], check=False))

    proof.found("R^1 by dtdsym", asked, known, (Fraction(2), Fraction(1)), unlike=other)


@statement(
    "prop3",
    "R^{l-1} by the next layer's Jacobian and its roots' Jacobians",
    place="Section 4.3, Proposition 3",
    printed="R^{l-1} = sum_j sum_m [(df_l/da_l[j] - da~^(m)_l[j]/da_l . df_l/da_l) . dR^{l+1}_[m]/df_l] "
    "o (a_{l-1} - a~^(j)_{l-1})",
    verdict="corrected",
    reason="it contracts the wrong index, misses the Jacobian of f_{l-1}, and drops a term that is not 0 for z+ or "
    "gamma "
    "roots above",
    corrected="R^{l-1} = sum_j [J_{f_{l-1}}^T grad R^l_j] o (a_{l-1} - a~^(j)_{l-1}), grad R^l_k = sum_m { g^m_k "
    "(e_k - "
    "grad a~^(m)_k) + (a - a~^(m))_k (Da~^(m))^T Hess(R^{l+1}_m o f_l)(a~^(m)) e_k }; the second term is 0 if the "
    "roots "
    "of the layers above l are locally affine",
    scope="all smooth relevances and root functions in three shapes; all networks and affine roots of three shapes, "
    "n = "
    "2, 3, every l and pattern; z+, gamma and w2 roots on one network",
)
def prop3(proof: Derivation) -> None:
    chain_factor(proof)
    product_rule(proof)
    below(proof)
    affine_above(proof)
    not_zero(proof)
    w2_alone(proof)


@statement(
    "eq17",
    "R^{l-1} by the next layer's Jacobian, where the second term vanishes",
    place="Section 4.3, equation 17",
    printed="R^{l-1} = sum_j sum_m [(df_l/da_l[j] - da~^(m)_l[j]/da_l . df_l/da_l) . dR^{l+1}_[m]/df_l] "
    "o (a_{l-1} - a~^(j)_{l-1})",
    verdict="corrected",
    reason="f_1 = 2x, f_2 = a, constant root above, x = 1, x~ = 0: printed 1, true 2; the index is wrong as well",
    corrected="roots above l locally affine: R^{l-1} = sum_j sum_m g^m_j [J_{f_{l-1}}^T (e_j - grad a~^(m)_j)] o "
    "(a_{l-1} - a~^(j)_{l-1}), g^m = grad(R^{l+1}_m o f_l)",
    scope="all weights, biases, patterns and affine roots that depend on the neuron, three shapes, n = 2, 3",
)
def eq17(proof: Derivation) -> None:
    chain_factor(proof)
    proof.say("Corrected, with affine roots in all layers, against Definition 3 differentiated and put together:")
    for sizes in proof.each("widths", STACKS):
        layers, x = network(*sizes), vector("x", sizes[0])
        roots = [affine_roots(l, d) for l, d in enumerate(sizes[:-1], start=1)]
        functions, a = definition3(layers, roots), vector("a", sizes[1])
        case = Expanded(functions[2](layers[1](a)), a, roots[1])
        total = sympy.zeros(sizes[0], 1)
        for j in range(sizes[1]):
            step = column(x) - column(roots[0](j, x))
            inner = put(case.first(j), a, layers[0](roots[0](j, x)))
            total += (layers[0].jacobian.T * inner).multiply_elementwise(step)
        proof.equal("R^1", column(functions[0](x)), total)


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
    reason="it is not 0 for z+, gamma, or w2 roots below z+; it lacks the sum over j and the index k of the derivative",
    corrected="sum_j (a_l - a~^(j))_k (Da~^(j))^T Hess(R^{l+1}_[j] o f_l)(a~^(j)) e_k, 0 if the roots of the layers "
    "above "
    "l are locally affine (always for l = n)",
    scope="all smooth relevances and root functions in three shapes; 0 for all networks and affine roots of three "
    "shapes; instances on one network",
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
    "R^{l+1}_j(a_{l+1})]_k "
    "(e_k - grad a~^(j)_k)",
    scope="all networks and affine roots of two shapes, n = 2, on every pattern; the counterexample is linear",
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
