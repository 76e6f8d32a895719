"""Torch modules.

Shape letters, fixed everywhere: B batch, T time, F features, D model width, H heads, A actions, E experts,
K memories, C account inputs, G account groups, N accounts or population, P paths.
"""
