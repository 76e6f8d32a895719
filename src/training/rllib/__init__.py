"""What RLlib is given: algorithm, runners, learners, modules."""
