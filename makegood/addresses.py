"""Which IP addresses belong to the public internet, and which lead inside."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's platform services, at a public address
        "192.0.0.0/24",  # protocol assignments; a cloud's metadata among them
        "192.88.99.0/24",  # relays of 6to4
        "2001::/32",  # Teredo: an IPv4 address in disguise
        "2002::/16",  # 6to4, the same
    )
)
"""Addresses that count as public elsewhere, and lead inside."""
UNICAST = ipaddress.ip_network("2000::/3")
"""All that is public in IPv6: not NAT64, site-local or mapped addresses."""

Resolve = Callable[[str, int], list[str]]
"""The addresses of a host. Raises OSError."""


def resolve(host: str, port: int) -> list[str]:
    """What the system says of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet's. An IPv4 address in IPv6's clothes is not one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address not in UNICAST):
        return False
    special = address.is_multicast or address.is_reserved or not address.is_global
    return not special and not any(
        address in network for network in FORBIDDEN if network.version == address.version
    )
