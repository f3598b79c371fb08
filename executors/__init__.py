"""The stages of the Flow, one folder each. No stage imports another; what they share lives in `schemas` and `providers`."""
