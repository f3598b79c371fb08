"""Texts from what was read, by the model or by rules: answers, sections, revisions, merged answers, JSON."""
