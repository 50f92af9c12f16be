"""A real SMTP server for the tests: what comes in is parsed and printed, one JSON object a line.

Told by the receiver's local part: `defer` is put off (451) once for each message, `gone` does not
exist (550, with the address in the answer, as servers do), everyone else gets their mail.

    server.py [CERTIFICATE KEY USER PASSWORD]

The first line that it prints is its port. With a certificate it demands STARTTLS and a login.
"""

import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


# Clients that hang up are part of the tests.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
warnings.simplefilter("ignore")


def say(value):
    print(json.dumps(value, ensure_ascii=True), flush=True)


class Handler:
    def __init__(self):
        self.deferred = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return f"550 5.1.1 <{address}>: no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        number = message["Message-ID"]
        if envelope.rcpt_tos[0].startswith("defer@") and number not in self.deferred:
            self.deferred.add(number)
            return f"451 4.7.1 <{envelope.rcpt_tos[0]}>: try again later"

        def part(kind):
            text = message.get_body(preferencelist=(kind,)).get_content()
            return text.replace("\r\n", "\n")

        say({
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in message.items()],
            "subject": str(message["Subject"]),
            "type": message.get_content_type(),
            "text": part("plain"),
            "html": part("html"),
            "defects": [str(defect) for defect in message.defects],
            "tls": session.ssl is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
        })
        return "250 OK"


def authenticator(user, password):
    def check(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword)
        good = good and (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=good, handled=False, auth_data=data if good else None)

    return check


options = {}
if len(sys.argv) > 1:
    certificate, key, user, password = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    options = dict(
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticator(user, password),
    )


class AnyPort(Controller):
    """Listens on a port that is free, and finds out which."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


controller = AnyPort(Handler(), hostname="127.0.0.1", port=0, **options)
controller.start()
say(controller.port)
# Ends with whoever started it: its input is closed then.
sys.stdin.read()
controller.stop()
