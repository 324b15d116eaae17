"""The server's answers for assistants: the Model Context Protocol (MCP), read only.

A tool is a row (`tools.py`) that names a route of the API. A call of it becomes one GET, and the route's
answer, bounded, its result (`answering.py`): there is no query here, and nobody sees by a tool what the API
would not show them. `protocol.py` speaks MCP, over stdio (`spectap mcp`) and HTTP (`/mcp`) alike.
"""
