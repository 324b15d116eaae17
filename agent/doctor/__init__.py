"""The doctor: what this host and each of its processes allow to be seen, and why not, with a cure."""
