"""The stage that sends queries to the configured search providers, the local corpus among them, and returns their results."""
