"""The stage that orders candidate URLs for a question, and drops texts that repeat what is known."""
