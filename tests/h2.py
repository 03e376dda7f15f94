"""HTTP/2 by hand (RFC 9113, RFC 7541), for what no gRPC library would do.

One Connection is one end of a connection, client or server. It sends what it is
told to, right or wrong, and remembers every frame that came. It acknowledges
settings and pings, and gives back no flow-control window unless told to.
Huffman-coded text is not decoded: gRPC core sends none but in "-bin" values.
"""

import collections
import socket
import struct

import lib

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9

END_STREAM = ACK = 1
END_HEADERS = 4

NO_ERROR, CANCEL, ENHANCE_YOUR_CALM = 0, 8, 11

INITIAL_WINDOW_SIZE = 4  # the number of the setting

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

STATIC_TABLE = """
:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http
:scheme https|:status 200|:status 204|:status 206|:status 304|:status 400
:status 404|:status 500|accept-charset|accept-encoding gzip, deflate
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow
authorization|cache-control|content-disposition|content-encoding
content-language|content-length|content-location|content-range|content-type
cookie|date|etag|expect|expires|from|host|if-match|if-modified-since
if-none-match|if-range|if-unmodified-since|last-modified|link|location
max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh
retry-after|server|set-cookie|strict-transport-security|transfer-encoding
user-agent|vary|via|www-authenticate
"""

Frame = collections.namedtuple("Frame", "type flags stream payload")


def static_table():
    lines = STATIC_TABLE.strip().replace("\n", "|").split("|")
    return [(name, value) for name, _, value in (s.partition(" ") for s in lines)]


class Decoder:
    """Header blocks of one direction of a connection."""

    def __init__(self):
        self.static = static_table()
        self.dynamic = []

    def _integer(self, data, at, bits):
        mask = (1 << bits) - 1
        n = data[at] & mask
        at += 1
        if n < mask:
            return n, at
        more, at = lib.take_varint(data, at)
        return n + more, at

    def _text(self, data, at):
        is_huffman = data[at] & 0x80
        size, at = self._integer(data, at, 7)
        text = "<huffman>" if is_huffman else data[at : at + size].decode("latin-1")
        return text, at + size

    def _entry(self, index):
        if index <= len(self.static):
            return self.static[index - 1]
        return self.dynamic[index - len(self.static) - 1]

    def decode(self, data):
        headers = []
        at = 0
        while at < len(data):
            byte = data[at]
            if byte & 0x80:
                index, at = self._integer(data, at, 7)
                headers.append(self._entry(index))
                continue
            if byte & 0xE0 == 0x20:
                _, at = self._integer(data, at, 5)
                continue
            is_kept = byte & 0x40
            index, at = self._integer(data, at, 6 if is_kept else 4)
            if index:
                name = self._entry(index)[0]
            else:
                name, at = self._text(data, at)
            value, at = self._text(data, at)
            headers.append((name, value))
            if is_kept:
                self.dynamic.insert(0, (name, value))
        return headers


def encode(headers):
    """A header block without any compression; text is bytes or latin-1."""
    out = b""
    for pair in headers:
        out += b"\0"
        for text in pair:
            data = text if isinstance(text, bytes) else text.encode("latin-1")
            if len(data) < 0x7F:
                out += bytes([len(data)]) + data
            else:
                out += b"\x7f" + lib.varint(len(data) - 0x7F) + data
    return out


def frame(type, flags, stream, payload=b""):
    head = struct.pack(">L", len(payload))[1:]
    return head + struct.pack(">BBL", type, flags, stream) + payload


def grpc_message(data, compressed=False):
    return struct.pack(">BL", compressed, len(data)) + data


def request_headers(path, *more, authority="any"):
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    ]


class Connection:
    def __init__(self, sock, settings=(), is_server=False):
        self.sock = sock
        sock.settimeout(lib.PATIENCE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frames = []
        self.decoder = Decoder()
        self.headers = {}  # of each stream: a list of header blocks
        self.bytes = {}  # of each stream: the payload of DATA
        self.resets = {}  # of each stream that was: the code
        self.windows = collections.defaultdict(lambda: 65535)  # to send
        self.next_stream = 1
        self.buffer = b""
        self.is_closed = False
        if is_server:
            self._take(len(PREFACE))
        else:
            sock.sendall(PREFACE)
        payload = b"".join(struct.pack(">HL", k, v) for k, v in settings)
        self.send(SETTINGS, 0, 0, payload)

    # --- sending ---

    def send(self, type, flags, stream, payload=b""):
        self.sock.sendall(frame(type, flags, stream, payload))

    def request(self, headers, body=None, end=True):
        """A new stream; body is sent after the headers unless it is None."""
        stream = self.next_stream
        self.next_stream += 2
        is_last = END_STREAM if end and body is None else 0
        self.send(HEADERS, END_HEADERS | is_last, stream, encode(headers))
        if body is not None:
            self.data(stream, body, end)
        return stream

    def data(self, stream, body, end=False):
        """One frame, whatever flow control says."""
        self.windows[0] -= len(body)
        self.windows[stream] -= len(body)
        self.send(DATA, END_STREAM if end else 0, stream, body)

    def upload(self, stream, body, end=True):
        """Sends any number of bytes as flow control allows.

        Stops when the stream is reset; returns how many bytes were sent.
        """
        sent = 0
        while sent < len(body) and stream not in self.resets:
            room = min(16384, self.windows[0], self.windows[stream])
            if room > 0:
                self.data(stream, body[sent : sent + room])
                sent = min(sent + room, len(body))
            elif not self.read():
                break
        if end and sent == len(body):
            self.data(stream, b"", True)
        return sent

    def reset(self, stream, code=CANCEL):
        self.send(RST_STREAM, 0, stream, struct.pack(">L", code))

    def open_window(self, stream, size):
        self.send(WINDOW_UPDATE, 0, stream, struct.pack(">L", size))

    # --- receiving ---

    def _take(self, size):
        while len(self.buffer) < size:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read(self):
        """The next frame, which is also remembered; None at the end."""
        try:
            head = self._take(9)
            size = int.from_bytes(head[:3], "big")
            frame = Frame(
                head[3],
                head[4],
                int.from_bytes(head[5:9], "big"),
                self._take(size),
            )
        except (EOFError, ConnectionResetError):
            self.is_closed = True
            return None
        self.frames.append(frame)
        if frame.type in (SETTINGS, PING) and not frame.flags & ACK:
            payload = frame.payload if frame.type == PING else b""
            self.send(frame.type, ACK, 0, payload)
        elif frame.type == HEADERS:
            # gRPC core neither pads nor gives priorities.
            assert frame.flags & END_HEADERS
            block = self.decoder.decode(frame.payload)
            self.headers.setdefault(frame.stream, []).append(dict(block))
        elif frame.type == RST_STREAM:
            self.resets[frame.stream] = int.from_bytes(frame.payload, "big")
        elif frame.type == WINDOW_UPDATE:
            more = int.from_bytes(frame.payload, "big")
            self.windows[frame.stream] += more
        elif frame.type == DATA:
            so_far = self.bytes.get(frame.stream, b"")
            self.bytes[frame.stream] = so_far + frame.payload
        return frame

    def read_until(self, condition):
        """Reads until condition(frame) and returns that frame."""
        while frame := self.read():
            if condition(frame):
                return frame
        raise AssertionError("the connection was closed")

    def read_end(self, stream):
        """Reads until a stream has ended; its status and message."""
        self.read_until(
            lambda f: f.stream == stream
            and (f.flags & END_STREAM and f.type in (DATA, HEADERS)
                 or f.type == RST_STREAM)
        )
        return self.status(stream)

    def status(self, stream):
        last = self.headers.get(stream, [{}])[-1]
        return int(last.get("grpc-status", -1)), last.get("grpc-message", "")

    def sync(self):
        """Waits until the other end has read what was sent before."""
        self.send(PING, 0, 0, b"in sync?")
        self.read_until(lambda f: f.type == PING and f.flags & ACK)

    def close(self):
        self.sock.close()

    def abort(self):
        """Closes with RST instead of FIN."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()


def connect(address, settings=()):
    """A client; the address is as oimd prints it."""
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address.removeprefix("unix://").removeprefix("unix:"))
    else:
        host, port = address.rsplit(":", 1)
        sock = socket.create_connection((host, int(port)))
    return Connection(sock, settings)


def accept(listener, settings=()):
    """A server for the next connection that a listening socket has."""
    listener.settimeout(lib.PATIENCE)
    sock, _ = listener.accept()
    return Connection(sock, settings, is_server=True)
