"""One revision a file, numbered in the order they were needed; docs/architecture.md says how to add one.

Each works on the tables as they were at its time, which is why it names them itself, and each is final once it was
released: what changes later is another revision.
"""
