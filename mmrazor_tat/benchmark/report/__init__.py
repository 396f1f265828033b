"""What a suite found: tables, figures, JSON."""
