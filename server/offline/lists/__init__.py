"""The lists of a server on the command line: `spectap apis`, `operations`, `deviations` and the like."""
