"""TLS for HTTP and gRPC."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from schemas.errors import ConfigurationError
from schemas.settings import Settings

_CERTIFICATE, _KEY = "DEEPSEARCH_TLS_CERTIFICATE", "DEEPSEARCH_TLS_KEY"


class Certificate(NamedTuple):
    """Paths of a certificate chain and its private key, both PEM."""

    chain: str
    key: str


def certificate(settings: Settings) -> Certificate | None:
    """The certificate to serve with, None for plain text.

    Raises `ConfigurationError` when only one of its files is named, one cannot be read, or they do not belong together.
    """
    chain, key = settings.deepsearch_tls_certificate, settings.deepsearch_tls_key
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        there, missing = (_KEY, _CERTIFICATE) if chain is None else (_CERTIFICATE, _KEY)
        raise ConfigurationError(f"{there} is set, but {missing} is not; TLS needs both.", field=missing)
    for name, file in ((_CERTIFICATE, chain), (_KEY, key)):
        try:
            file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{name}: {file} cannot be read: {error.strerror}.", field=name) from error

    def no_password() -> bytes:
        raise ConfigurationError(f"{_KEY}: {key} is protected by a password; give a key without one.", field=_KEY)

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, no_password)
    except ssl.SSLError as error:
        reason = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "one of them is no PEM file of its kind"
        raise ConfigurationError(f"{_CERTIFICATE} and {_KEY}: {chain} and {key} cannot be used, {reason}.", field=_CERTIFICATE) from error
    return Certificate(str(chain), str(key))
