"""Two sample services and a client, as separate processes, for `spectap up --demo`.

None of their traffic is injected: what the pages show was captured.
"""
