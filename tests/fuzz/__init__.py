"""Random programs over everything a Value can do, compared step by step with pure Python.

    python tests/fuzz --seconds 60 --seed 1 --backend native

A program is a list of steps over a growing list of Values. It is played twice, on the engine and on
`Model`, the pure-Python reference with the engine's order of backward and the rest of its surface;
after each step both must have given the same, and now and then the whole graphs must look the same,
to the last bit. When a program is over and its Values are gone, so are their nodes.

Programs run in a process of their own, so that a crash or a hang is a finding like any other. A
finding is printed with the seed and with the program, shrunk by dropping steps for as long as it
still fails; `--replay` runs such a program again. All is determined by the seed but the moments at
which threads alternate.
"""
