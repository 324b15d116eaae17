"""Two calls over TCP Fast Open (RFC 7413), the first before the connection is established: in a network
namespace whose loopback drops every other SYN-ACK. Prints the client's port.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys

PORT = 8007
ASK, ANSWER = b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
TCP_FASTOPEN_CONNECT = 30  # include/uapi/linux/tcp.h
BOTH_ENDS_WITHOUT_COOKIE = "0x207"  # Documentation/networking/ip-sysctl.rst
SYN_ACKS = "iptables -w -A INPUT -p tcp --tcp-flags SYN,ACK SYN,ACK"
DROP = f"{SYN_ACKS} -m statistic --mode nth --every 2 --packet 0 -j DROP"


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["sysctl", "-qw", f"net.ipv4.tcp_fastopen={BOTH_ENDS_WITHOUT_COOKIE}"], check=True)
    subprocess.run(DROP.split(), check=True)
    with socket.socket() as listening, socket.socket() as client:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        listening.bind(("127.0.0.1", PORT))
        listening.listen()
        client.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
        client.setblocking(False)
        client.connect(("127.0.0.1", PORT))
        client.send(ASK % 0)
        with listening.accept()[0] as server:
            for number in range(2):
                assert server.recv(4096) == ASK % number
                server.sendall(ANSWER)
                select.select([client], [], [])
                assert client.recv(4096) == ANSWER
                if number == 0:
                    client.send(ASK % 1)
            sys.stdout.write(f"{client.getsockname()[1]}\n")


if __name__ == "__main__":
    main()
