"""Traffic → specification: learns path templates and their operations from exchanges."""
