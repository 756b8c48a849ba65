"""Definition 2: what a ReLU network is, and the biases that it forgets."""

from __future__ import annotations

import sympy
import z3

from machinery import Derivation, main, statement
from machinery.definition3 import Layer, column, composed, matrix, network, vector


def relu(z: z3.ArithRef) -> z3.ArithRef:
    """[z]+."""
    return z3.If(z > 0, z, z3.RealVal(0))


@statement(
    "def2",
    "a ReLU network",
    place="Section 3.3, Definition 2",
    printed="f = f_n o ... o f_1, f_i(a_i) = [W_i a_i]+",
    verdict="corrected",
    reason="the biases are missing, but Section 3.4, eq. 11 to 15 and Algorithm 2 use them: [x - 1] is no [w x]",
    corrected="f_i(a_i) = [W_i a_i + b_i]+, in the printed order f = f_n o ... o f_1",
    scope="positive homogeneity for all weights of a neuron with 2 inputs and by composition for every depth; the "
    "counterexample is one neuron; composition in two shapes, all weights, biases and patterns",
)
def def2(proof: Derivation) -> None:
    w1, w2, a1, a2, t, z = z3.Reals("w1 w2 a1 a2 t z")
    proof.say("As printed, every layer is positively homogeneous: it commutes with every factor t > 0.")
    proof.valid("[t z]+ = t [z]+ for t > 0", relu(t * z) == t * relu(z), given=[t > 0])
    proof.valid(
        "so a printed neuron has f(t a) = t f(a)",
        relu(w1 * (t * a1) + w2 * (t * a2)) == t * relu(w1 * a1 + w2 * a2),
        given=[t > 0],
    )
    proof.say("Compositions of such functions are such functions again, so every printed network has f(2 x) = 2 f(x).")
    proof.counterexample(
        "f(x) = [x - 1]+, the one-layer network of Section 3.4 with one neuron: 2 f(1), and f(2)",
        2 * max(sympy.Integer(1) - 1, sympy.Integer(0)),
        max(sympy.Integer(2) - 1, sympy.Integer(0)),
        values=(0, 1),
    )
    proof.valid(
        "no weight w gives [w x]+ = [x - 1]+ at x = 1 and at x = 2",
        z3.Not(z3.And(relu(w1 * 1) == 0, relu(w1 * 2) == 1)),
    )
    proof.say(
        "With biases: layers m o (W a + b), masks m_k of 0 and 1. The printed order of composition is the one that "
        "fits the shapes; Definition 3 prints the other one."
    )
    for sizes in proof.each("shape", [(2, 3, 1), (3, 2, 4, 2)]):
        layers, x = network(*sizes), vector("x", sizes[0])
        product = sympy.eye(sizes[0])
        for layer in layers:
            product = layer.jacobian * product
        values = composed(layers, x)
        at_zero = composed(layers, (sympy.Integer(0),) * sizes[0])
        proof.equal(
            "on a pattern, f(x) = (D_n W_n ... D_1 W_1) x + f's constant there",
            column(values) - column(at_zero),
            product * column(x),
        )
    proof.say("Biases can be hidden in one more input and neuron that is 1 always. Then it is explained as well.")
    for rows, columns in proof.each("shape of a layer", [(2, 3), (3, 2)]):
        layer = Layer(matrix("W", rows, columns), vector("b", rows), vector("m", rows))
        row = sympy.Matrix([[0] * columns + [1]])
        weight = sympy.Matrix.vstack(sympy.Matrix.hstack(layer.weight, column(layer.bias)), row)
        wide = Layer(weight, (sympy.Integer(0),) * (rows + 1), (*layer.masks, sympy.Integer(1)))
        a = vector("a", columns)
        proof.equal("[W' (a, 1)]+ = ([W a + b]+, 1)", wide((*a, sympy.Integer(1))), (*layer(a), sympy.Integer(1)))


if __name__ == "__main__":
    main()
