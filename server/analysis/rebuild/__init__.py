"""Traffic → specification: path templates and what is said at them, learnt from observed exchanges."""
