"""Which port on this host is the server's."""

from agent.own_port import own_port


def test_only_a_server_on_this_host_has_a_port_that_is_our_own() -> None:
    assert own_port("http://127.0.0.1:8123") == 8123
    assert own_port("http://localhost") == 80
    assert own_port("https://[::1]") == 443
    assert own_port("http://192.0.2.1:8123") is None
    assert own_port("http://name.invalid:8123") is None
