"""Status 0 if the service of this container is ready, else 1 with why: for HEALTHCHECK."""

import os
import sys
import urllib.request

LIMIT_S = 8.0


def main() -> int:
    """Ask /readyz on the loopback address, past any proxy that the environment names."""
    url = f"http://127.0.0.1:{os.environ.get('ONEGLANCE_PORT', '8000')}/readyz"
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=LIMIT_S)
    except OSError as error:  # Nobody listens, no answer in time, or 503.
        sys.stdout.write(f"{url}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
