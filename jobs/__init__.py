"""Spark jobs: one module is one job and writes the tables it is named for."""
