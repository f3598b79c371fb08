"""The Flow as containers: `services` says what each of them runs and is told, `compose` and `kubernetes` write it down."""
