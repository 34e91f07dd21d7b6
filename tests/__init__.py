"""The tests, as a package: IPython 7 puts one of the same name on the path."""
