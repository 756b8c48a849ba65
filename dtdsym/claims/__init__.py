"""The paper's claims, each decided on one network and one input: a module a claim, with its statement and `decide`."""
