"""One run made safe: checks of config and data, exact resume, errors in one line."""
