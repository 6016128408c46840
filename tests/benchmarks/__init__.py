"""What hubbub costs beside its peers, measured in one run on one machine.

Two libraries are compared by ratios, never by figures of different runs: each round measures
one after the other, and a ratio is the median of the rounds' ratios.
"""
