"""Many clients at the door."""
