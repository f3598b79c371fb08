"""The research loop: a state machine without input or output, its budget, and the interpreter that runs its effects."""
