"""Two sample services and a client, as processes of their own, for `spectap up --demo`.

Nothing of them is injected anywhere: what the page shows of them went through the real capture.
"""
