"""TLS in front of a server of the sandbox, with a certificate for `localhost` that nobody has vouched for."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

CERTIFICATE = Path(__file__).parent / "tls" / "cert.pem"
KEY = CERTIFICATE.with_name("key.pem")


class Encrypted:
    """Where the server is to be found now, and how often somebody got through to it."""

    def __init__(self, url: str, port: int) -> None:
        parts = urlsplit(url)
        self.url = urlunsplit(parts._replace(scheme=parts.scheme + "s", netloc=f"localhost:{port}"))
        self.by_number = self.url.replace("localhost", "127.0.0.1")
        self.reached = 0


@asynccontextmanager
async def encrypted(url: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Encrypted]:
    """Serve over TLS what is at *url*: http becomes https, and redis rediss."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    target = urlsplit(url)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.reached += 1
        with suppress(OSError):
            there, back = await asyncio.open_connection(target.hostname, target.port)
            await asyncio.wait(
                [asyncio.create_task(_pour(reader, back)), asyncio.create_task(_pour(there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            back.close()
        writer.close()

    server = await asyncio.start_server(pass_on, host, port, ssl=context)
    served = Encrypted(url, server.sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        server.close()


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
