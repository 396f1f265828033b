"""The teacher: its weights, who it is, and what it sees."""
