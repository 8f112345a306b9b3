"""Dependence of every country on every product, over the full cube."""
