"""Detects connections that failed for an untrusted certificate.

TLS is always verified, with the bundle in `SSL_CERT_FILE` or the default one; no setting turns that off.
"""

import ssl

UNTRUSTED = "its certificate is not trusted"


def is_untrusted(error: BaseException | None) -> bool:
    """Return whether *error* comes from a certificate that is untrusted or belongs to another server."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
