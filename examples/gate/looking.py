"""What a server has of calls that are not as specified."""

from spectap_client import Spectap

with Spectap() as spectap:  # or Spectap("https://spectap.example", token_file="token", ca_file="ca.crt")
    for exchange in spectap.exchanges(verdict=["deviating", "shadow"], since="2020-01-01", sort="time"):
        print(exchange.status, exchange.operation, *(one.message for one in exchange.deviations))
