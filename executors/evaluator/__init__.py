"""The evaluator: holds an answer against its criteria and every statement of it against the evidence, finds out why an answer failed,
and says what a page, and what several pages together, have to say about a question.

A language model judges where one is configured, with its figures checked by code; rules judge otherwise, and first.
"""
