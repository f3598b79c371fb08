"""What every process tells of itself: traces, metrics and logs. All of it is off, and not even imported, until a setting asks for it."""
