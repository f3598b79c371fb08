"""From what was read to the finished answer: composed by a model or of verbatim pieces, with numbered references."""
