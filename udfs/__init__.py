"""Numerics: arrays in, small frozen results out, then the function Spark calls."""
