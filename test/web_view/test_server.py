# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The page's server: what it answers, to whom, and that it lets go of browsers that went away."""

from __future__ import annotations

import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from av_perception.errors import UserError
from av_perception.web_view.server import MAX_VIEWERS, PAGE, PageServer

PATIENCE_S = 300.0


@pytest.fixture()
def server():
    made = PageServer(port=0)
    yield made
    made.close()


def ask(server, path, host=None):
    address = urlsplit(server.address)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE_S)
    connection.request('GET', path, headers={'Host': host or address.netloc})
    return connection.getresponse()


def until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def next_event(answer):
    while True:
        line = answer.readline()
        assert line
        if line.startswith(b'data: '):
            return json.loads(line[6:])


def test_the_page_is_served_whole_and_nothing_else(server):
    answer = ask(server, '/')
    assert answer.status == 200 and answer.read() == PAGE.read_bytes()
    for path in ('/../server.py', '/page.html', '/etc/passwd', '//events/..'):
        assert ask(server, path).status == 404


def test_a_page_gets_what_is_new_and_at_first_the_last(server):
    server.show({'people': [1]})
    answer = ask(server, '/events')
    assert next_event(answer) == {'people': [1]}
    server.show({'people': [2]})
    assert next_event(answer) == {'people': [2]}


def test_images_come_as_parts(server):
    answer = ask(server, '/image')
    server.show_image(b'\xff\xd8 first')
    head = b''.join(iter(answer.readline, b'\r\n'))
    assert b'Content-Length: 8' in head
    assert answer.read(8) == b'\xff\xd8 first'


def test_strangers_names_are_refused(server):
    """A web site whose name is made to lead to this machine must not read what is shown here."""
    port = urlsplit(server.address).port
    assert ask(server, '/events', host=f'evil.example:{port}').status == 403
    assert ask(server, '/', host=f'localhost:{port}').status == 200


def test_browsers_that_went_away_are_forgotten(server):
    address = urlsplit(server.address)
    with socket.create_connection((address.hostname, address.port)) as browser:
        browser.sendall(b'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
        until(lambda: server.num_viewers == 1)
    until(lambda: server.num_viewers == 0)
    assert server.num_image_viewers == 0


def test_too_many_pages_are_refused_and_those_that_are_open_go_on(server):
    open_pages = [ask(server, '/events') for _ in range(MAX_VIEWERS)]
    assert ask(server, '/events').status == 503
    server.show({'people': []})
    assert next_event(open_pages[-1]) == {'people': []}


def test_a_port_that_is_taken_is_named(server):
    port = urlsplit(server.address).port
    with pytest.raises(UserError, match=f'127.0.0.1:{port}: Address already in use; choose'):
        PageServer(port=port)


def test_numbers_that_json_does_not_know_never_reach_the_page(server):
    with pytest.raises(ValueError):
        server.show({'x': float('nan')})
