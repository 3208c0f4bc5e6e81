"""Proof: a kernel and its spec agree on every input there is, or on which input they first do not."""
