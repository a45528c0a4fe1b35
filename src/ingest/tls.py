"""TLS to the broker: whom we trust, who we are, and what a handshake that failed means, in one sentence."""

import selectors
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.errors import RefusedError

CA_SETTING: Final = "STREETWARDEN_MQTT_CA"
CERT_SETTING: Final = "STREETWARDEN_MQTT_CERT"
KEY_SETTING: Final = "STREETWARDEN_MQTT_KEY"

_HANDSHAKE_WITHIN_S: Final = 10.0
"""For the whole handshake: a limit for each read alone would let a server hold us for hours, byte by byte."""

_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_WRONG_NAMES: Final = frozenset((62, 64))
_UNKNOWN_ISSUERS: Final = frozenset((2, 18, 19, 20, 21))
"""OpenSSL's numbers (X509_V_ERR_…), which stay where its words change."""

_PLAIN_ANSWERS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF", "EOF occurred", "reset by")
"""What a listener without TLS makes of a ClientHello: it answers in plain text, or hangs up."""
_CERTIFICATE_ASKED: Final = ("CERTIFICATE_REQUIRED", "ALERT_HANDSHAKE_FAILURE")
"""TLS 1.3 has an alert of its own for "you sent no certificate", 1.2 the general one."""
_CERTIFICATE_REFUSED: Final = (
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files; without any, the system's trust store judges the broker, and we stay anonymous."""

    ca: Path | None = None
    """Whose signature is trusted, instead of the system's trust store."""
    cert: Path | None = None
    """Our own certificate, with its chain, for a broker that asks for one."""
    key: Path | None = None
    """Its private key, not encrypted; ``None``: it lies in the same file."""


SYSTEM_TRUST: Final = TlsFiles()


def files_from(environment: Mapping[str, str]) -> TlsFiles:
    """Read the three settings where there is no settings object: in the simulator and in the bare receiver."""
    ca, cert, key = (environment.get(name) for name in (CA_SETTING, CERT_SETTING, KEY_SETTING))
    return TlsFiles(*(Path(name) if name else None for name in (ca, cert, key)))


class _BoundedSocket(ssl.SSLSocket):
    """A socket whose handshake ends in time, and which closes itself when that fails."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  # the library's signature
        """Shake hands within the socket's timeout, and never longer than ``_HANDSHAKE_WITHIN_S``."""
        patience = self.gettimeout()
        deadline = time.monotonic() + min(patience or _HANDSHAKE_WITHIN_S, _HANDSHAKE_WITHIN_S)
        self.setblocking(False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self, selectors.EVENT_READ)
                while (wanted := self._step(block)) != 0:
                    selector.modify(self, wanted)
                    left = deadline - time.monotonic()
                    if left <= 0 or not selector.select(left):
                        raise TimeoutError("it accepted the connection, but the TLS handshake did not end")  # noqa: TRY301  # closes below
        except BaseException:
            self.close()
            raise
        self.settimeout(patience)

    def _step(self, block: bool) -> int:  # noqa: FBT001  # passed on
        """Go on with the handshake; the event it waits for, 0 when it is done."""
        try:
            super().do_handshake(block)
        except ssl.SSLWantReadError:
            return selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE
        return 0


def make_context(files: TlsFiles) -> ssl.SSLContext:
    """Read the files. The broker's certificate and host name are always verified: there is no switch.

    Raises:
        RefusedError: a file is missing or holds something else; the sentence names the setting.
    """
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except (OSError, ValueError) as error:
        raise RefusedError(f"{CA_SETTING}={files.ca} {_fault(error, 'certificates')}") from error
    context.sslsocket_class = _BoundedSocket
    if files.cert is not None:
        if files.key is not None and not files.key.is_file():
            raise RefusedError(f"{KEY_SETTING}={files.key} does not exist: name a PEM file with the private key.")
        try:
            # An encrypted key would make OpenSSL ask at the terminal, where there may be none.
            context.load_cert_chain(files.cert, files.key, password=_no_password)
        except (OSError, ValueError) as error:
            names = f"{CERT_SETTING}={files.cert}" + (f" with {KEY_SETTING}={files.key}" if files.key else "")
            raise RefusedError(f"{names} {_fault(error, 'a certificate and its unencrypted private key')}") from error
    return context


def explain(error: OSError, where: str, files: TlsFiles) -> str:
    """Say what a failed connection means, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _judged(error, where)
    if isinstance(error, TimeoutError):
        return (
            f"the broker at {where} cannot be reached over TLS: {error.args[0] if error.args else error}; "
            "is this its TLS port?"
        )
    return explain_words(str(error), where, files)


def explain_words(words: str, where: str, files: TlsFiles) -> str:
    """Say what OpenSSL's words mean; for an error of which only the text is left."""
    if any(word in words for word in _CERTIFICATE_ASKED) and files.cert is None:
        return (
            f"the broker at {where} asks for a client certificate: "
            f"set {CERT_SETTING} and {KEY_SETTING} to the files of one that it accepts"
        )
    if any(word in words for word in (*_CERTIFICATE_REFUSED, *_CERTIFICATE_ASKED)):
        return (
            f"the broker at {where} does not accept our client certificate ({words}): "
            f"have {CERT_SETTING} signed by a CA that the broker trusts, and see whether it has expired"
        )
    if any(word in words for word in _PLAIN_ANSWERS):
        return (
            f"the broker at {where} cannot be reached over TLS: it answers as if it spoke plain MQTT on this port; "
            "use its TLS port (8883 by custom), or mqtt:// where nobody can listen in"
        )
    return f"the broker at {where} cannot be reached over TLS: {words}"


def explain_silence(why: str, words: str, where: str, tls: TlsFiles | None) -> str:
    """Say why a connection may have ended before the broker answered; ``words`` are OpenSSL's, if there are any."""
    if tls is None:
        return f"the broker at {where} hung up without an answer ({why}): if it wants TLS on this port, use mqtts://"
    if words:
        return explain_words(words, where, tls)
    hint = "" if tls.cert else f": if it asks for a client certificate, set {CERT_SETTING}"
    return f"the broker at {where} hung up without an answer ({why}){hint}"


def _judged(error: ssl.SSLCertVerificationError, where: str) -> str:
    if error.verify_code == _EXPIRED:
        return f"the certificate of the broker at {where} has expired: renew it there, and look at this machine's clock"
    if error.verify_code == _NOT_YET_VALID:
        return f"the certificate of the broker at {where} is not valid yet: look at the clocks of both machines"
    if error.verify_code in _WRONG_NAMES:
        return (
            f"the certificate of the broker at {where} is for another host ({error.verify_message}): use the name that "
            "stands in it in STREETWARDEN_MQTT_URL, or have one made for this name"
        )
    if error.verify_code in _UNKNOWN_ISSUERS:
        return (
            f"the certificate of the broker at {where} is signed by a CA unknown here ({error.verify_message}): "
            f"set {CA_SETTING} to the file with that CA's certificate"
        )
    return f"the certificate of the broker at {where} is refused: {error.verify_message}"


def _fault(error: Exception, wanted: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"does not exist: name a PEM file with {wanted}."
    if isinstance(error, PermissionError):
        return "may not be read by this user: change its owner or mode."
    return f"cannot be used ({error}): name a PEM file with {wanted}."


def _no_password() -> str:
    raise ValueError("the key is encrypted")
