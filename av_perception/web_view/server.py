# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Serves the page, what it draws and the camera's image, to browsers of this machine only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from av_perception.errors import UserError

PAGE = Path(__file__).with_name('page.html')
LOCAL_HOSTS = ('127.0.0.1', 'localhost', '[::1]')
MAX_VIEWERS = 16  # streams at a time: a page has two
# So often a silent stream says that it is alive, and so learns that its browser has gone.
ALIVE_S = 1.0
_BOUNDARY = 'av-perception-image'


class _Newest:
    """The newest of something, and a wait for a newer one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._value: bytes | None = None

    def put(self, value: bytes) -> None:
        with self._changed:
            self._value = value
            self._count += 1
            self._changed.notify_all()

    def after(self, count: int, timeout_s: float) -> tuple[int, bytes | None]:
        """Wait for what came after the `count`-th; (count, None) when nothing did."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > count, timeout_s)
            return self._count, self._value if self._count > count else None


class PageServer:
    """A web server in threads of its own.

    Attributes
    ----------
    address : str
        To open in a browser.
    """

    def __init__(self, host: str = '127.0.0.1', port: int = 8090):
        """Start to serve.

        Parameters
        ----------
        host : str
            Address to listen on; 127.0.0.1 is reached from this machine alone.
        port : int
            0 takes a free one.

        Raises
        ------
        UserError
            When it cannot listen there.
        """
        try:
            self._server = _Server((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, 'strerror', None) or error
            raise UserError(
                f'cannot serve the page on {host}:{port}: {reason}; choose another port, 0 for any'
            ) from error
        self._server.open_to_others = host not in LOCAL_HOSTS
        self.address = f'http://{host}:{self._server.server_address[1]}/'
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={'poll_interval': 0.2}, daemon=True
        )
        self._thread.start()

    @property
    def num_viewers(self) -> int:
        """How many pages are open."""
        return self._server.open_streams['events']

    @property
    def num_image_viewers(self) -> int:
        """How many of them show the image."""
        return self._server.open_streams['image']

    def show(self, state: dict[str, Any]) -> None:
        """Give all pages something new to draw; see `people.page_state`."""
        self._server.state.put(json.dumps(state, allow_nan=False).encode())

    def show_image(self, jpeg: bytes) -> None:
        """Give all pages a new image, as JPEG."""
        self._server.image.put(jpeg)

    def close(self) -> None:
        """Stop; streams that are open end within ALIVE_S."""
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5.0)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    open_to_others = False

    def __init__(self, *arguments):
        self.state = _Newest()
        self.image = _Newest()
        self.closing = threading.Event()
        self.open_streams = {'events': 0, 'image': 0}
        self.counting = threading.Lock()
        super().__init__(*arguments)

    def handle_error(self, *_) -> None:
        """Keep quiet: a browser that went away in the middle of an answer is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0  # for who connects and asks for nothing
    protocol_version = 'HTTP/1.1'
    server_version = 'av_perception'
    sys_version = ''

    def do_GET(self) -> None:
        """Answer what the page asks for, and nothing else."""
        self.close_connection = True
        if not self._is_for_us():
            self.send_error(HTTPStatus.FORBIDDEN, 'this page is for its own machine')
            return
        answers = {'/': self._page, '/events': self._events, '/image': self._image}
        answer = answers.get(self.path.split('?')[0])
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        answer()

    def log_message(self, *_) -> None:
        """Keep quiet: a page asks often."""

    def _is_for_us(self) -> bool:
        """Tell whether the request names this machine.

        A page of a stranger, whose name leads here, would show what is seen here to the stranger.
        """
        name = self.headers.get('Host', '').rsplit(':', 1)[0]
        return self.server.open_to_others or name in LOCAL_HOSTS

    def _start(self, kind: str, length: int | None = None) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header('Content-Type', kind)
        self.send_header('Cache-Control', 'no-store')
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('X-Frame-Options', 'DENY')
        self.send_header('Connection', 'close')
        if length is not None:
            self.send_header('Content-Length', str(length))
        self.end_headers()

    def _page(self) -> None:
        page = PAGE.read_bytes()
        self._start('text/html; charset=utf-8', len(page))
        self.wfile.write(page)

    def _events(self) -> None:
        """Send every new state; a comment where none comes, so that the page knows we live."""
        with self._stream('events', 'text/event-stream') as is_admitted:
            for state in self._news(self.server.state) if is_admitted else ():
                self.wfile.write(b': alive\n\n' if state is None else b'data: ' + state + b'\n\n')

    def _image(self) -> None:
        kind = f'multipart/x-mixed-replace; boundary={_BOUNDARY}'
        with self._stream('image', kind) as is_admitted:
            for jpeg in self._news(self.server.image) if is_admitted else ():
                if jpeg is None:
                    self.wfile.write(b'\r\n')  # between parts it means nothing
                    continue
                head = f'--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}'
                self.wfile.write(head.encode() + b'\r\n\r\n' + jpeg + b'\r\n')

    def _news(self, newest: _Newest) -> Iterator[bytes | None]:
        count = 0
        while not self.server.closing.is_set():
            count, value = newest.after(count, ALIVE_S)
            yield value

    @contextmanager
    def _stream(self, name: str, kind: str) -> Iterator[bool]:
        """Count a stream as open; False when there are too many."""
        streams = self.server.open_streams
        with self.server.counting:
            is_admitted = sum(streams.values()) < MAX_VIEWERS
            streams[name] += is_admitted
        try:
            if is_admitted:
                self._start(kind)
            else:
                self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, 'too many pages are open')
            yield is_admitted
        except OSError:
            pass  # the browser has gone
        finally:
            with self.server.counting:
                streams[name] -= is_admitted
