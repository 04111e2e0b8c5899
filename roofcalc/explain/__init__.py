"""A request with its working shown: each formula of the docstrings with this request's numbers, down to the answer."""
