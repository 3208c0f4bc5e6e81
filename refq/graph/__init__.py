"""Float graphs and integer programs: evaluating the one, lowering it to the other, running that."""
