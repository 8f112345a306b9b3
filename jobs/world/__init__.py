"""A synthetic world in BACI's own file format, with what was planted beside it."""
