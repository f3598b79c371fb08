"""The evaluator: holds an answer against criteria, one after the other, and finds out why one failed.

A language model judges where one is configured, with its figures checked by code; rules judge otherwise.
"""
