"""What the scripts of proofs/ are written with: a statement, its derivation, and steps that are decided."""

from machinery.derivation import Derivation as Derivation
from machinery.derivation import StepFailed as StepFailed
from machinery.script import main as main
from machinery.statement import Statement as Statement
from machinery.statement import statement as statement
