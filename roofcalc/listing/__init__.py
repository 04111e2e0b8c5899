"""The catalogs as tables: every entry in a line, or entries figure by figure with their sources. Checks nothing."""
