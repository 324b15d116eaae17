"""The typed client of the HTTP API, as programs import it (`spectap_client`) and the commands use it."""
