"""Whether an address to listen on is this machine's own."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Only programs of this machine reach it. A name other than localhost may be any address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
