"""Whether a connection failed because of who answered it.

TLS is always verified, by the bundle that `SSL_CERT_FILE` names or the usual one; no setting looks away.
"""

import ssl

UNTRUSTED = "its certificate is not trusted"


def is_untrusted(error: BaseException | None) -> bool:
    """Tell whether *error* comes of a certificate that is not trusted, or is another server's."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
