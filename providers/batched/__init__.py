"""Many texts for a service that bills by tokens: in batches, within a budget, with what is missing asked for again."""
