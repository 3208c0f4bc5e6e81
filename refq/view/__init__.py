"""What a person sees: programs, dialects, operations and summaries as text."""
