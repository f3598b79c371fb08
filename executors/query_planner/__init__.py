"""The planner: understands a question, splits it, decides each step's action, writes queries, condenses results, computes, outlines.

Every endpoint has two ways to the same answer: a language model, or rules when none is configured or its output cannot be used.
"""
