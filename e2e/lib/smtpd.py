"""An SMTP server that other people wrote (aiosmtpd): STARTTLS before anything else,
then AUTH. Keeps each message as a file.  smtpd.py PORT CERT KEY FOLDER USER PASSWORD"""
import asyncio
import os
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, SMTP

port, cert, key, folder, user, password = sys.argv[1:7]
secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
secure.load_cert_chain(cert, key)


class Keep:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        if envelope.rcpt_tos == ["full@example.com"]:
            return "452 4.2.2 mailbox full"
        Keep.count += 1
        name = os.path.join(folder, f"{Keep.count:04}")
        with open(name + ".part", "wb") as f:
            f.write(f"X-Mail-From: {envelope.mail_from}\r\nX-Rcpt-To: {','.join(envelope.rcpt_tos)}\r\n".encode() + envelope.original_content)
        os.rename(name + ".part", name + ".eml")
        return "250 2.0.0 kept"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 yes"


def authenticate(server, session, envelope, mechanism, data):
    ok = data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=ok, handled=ok)


class Server(Controller):
    def factory(self):
        return SMTP(self.handler, hostname="localhost", tls_context=secure, require_starttls=True, authenticator=authenticate,
                    auth_required=True, enable_SMTPUTF8=True)


server = Server(Keep(), hostname="127.0.0.1", port=int(port), ready_timeout=20)
server.start()
print("ready", flush=True)
asyncio.new_event_loop().run_forever()
