"""A binary gateway that reads and throws away: prints its port, then serves for ever.

python gateway_process.py CERTIFICATE.pem
"""

import socket
import ssl
import sys
import threading

#: Bytes read at a time.
SIZE = 65_536


def serve(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        plain, _ = server.accept()
        threading.Thread(target=read_all, args=(plain, context), daemon=True).start()


def read_all(plain: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(plain, server_side=True) as connection:
        buffer = bytearray(SIZE)
        while connection.recv_into(buffer):
            pass


if __name__ == "__main__":
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, tls)
