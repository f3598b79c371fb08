"""What a text cites: ids become numbered references, verdicts are applied, and nothing invented stays."""
