"""The planner: understands a question, decides each step's action, writes search queries, condenses results, computes.

Every endpoint has two ways to the same answer: a language model, or rules when none is configured or its output cannot be used.
"""
