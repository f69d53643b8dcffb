"""Ask the bot of this container whether it can work: exit status 0 where `/readyz` is 200."""

import http.client
import os
import sys
from pathlib import Path

started = Path("/proc/1/cmdline").read_bytes().split(b"\0")
port = int(os.environ["WORKER_PORT" if b"worker" in started else "PORT"])
asked = http.client.HTTPConnection("127.0.0.1", port, timeout=8)  # urllib would go through HTTP_PROXY
asked.request("GET", "/readyz")
answer = asked.getresponse()
sys.stdout.write(answer.read().decode())
sys.exit(answer.status != http.HTTPStatus.OK)
