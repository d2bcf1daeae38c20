"""Starts the application in its container and uses it as people do; says what went well."""
import hashlib
import hmac
import http.client
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse

SRC = '/opt/app-root/src/'
HOST = 'visitors.apps.example.com'
# The router ends TLS and adds these.
ROUTER = {'Host': HOST, 'X-Forwarded-Proto': 'https', 'X-Forwarded-Port': '443', 'X-Forwarded-For': '192.0.2.7'}
cookies = {}


def ask(method, path, body=None, **headers):
    """One request through the router: the status, the headers and the body."""
    connection = http.client.HTTPConnection('127.0.0.1', 8080, timeout=120)
    headers = {**ROUTER, **{name.replace('_', '-'): value for name, value in headers.items()}}
    headers['Cookie'] = '; '.join('%s=%s' % cookie for cookie in cookies.items())
    if body is not None:
        headers.update({'Origin': 'https://' + HOST, 'Referer': 'https://' + HOST + path})
        headers.setdefault('Content-Type', 'application/x-www-form-urlencoded')
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    for name, value in answer.getheaders():
        if name.lower() == 'set-cookie':
            key, _, rest = value.partition('=')
            cookies[key] = rest.split(';')[0]
    return answer.status, dict(answer.getheaders()), text.decode('utf-8', 'replace')


def form(path, **fields):
    """Fills in a form; its token comes from the page that shows it."""
    status, _, page = ask('GET', path)
    assert status == 200, (path, status, page)
    fields['csrfmiddlewaretoken'] = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page).group(1)
    return ask('POST', path, urllib.parse.urlencode(fields))


def hook(name):
    return subprocess.run([SRC + '.s2i/runner/openshifter-image', name], capture_output=True, text=True)


def main(which):
    # Signed entries and sessions: the first container makes a user and a row, the second one finds them.
    server = subprocess.Popen([SRC + '.s2i/bin/run'])
    begin = time.monotonic()
    while hook('ready').returncode != 0:
        assert server.poll() is None, 'it ended with %s' % server.returncode
        assert time.monotonic() - begin < 300, 'it does not become ready'
        time.sleep(0.1)
    if which == 'first':
        os.environ.update(DJANGO_SUPERUSER_USERNAME='admin', DJANGO_SUPERUSER_EMAIL='admin@example.com',
                          DJANGO_SUPERUSER_PASSWORD='correct horse')
        made = hook('setup')
        assert made.returncode == 0, made
    status, headers, page = ask('GET', '/static/admin/css/base.css')
    assert status == 200 and headers['Content-Type'].startswith('text/css') and len(page) > 10000, (status, headers)
    status, _, page = ask('GET', '/admin/login/')
    assert status == 200 and '/static/admin/css/' in page, (status, page)
    status, headers, page = form('/admin/login/?next=/admin/', username='admin', password='correct horse', next='/admin/')
    assert status == 302 and headers['Location'] == '/admin/', (status, page)
    status, _, page = ask('GET', '/admin/')
    assert status == 200 and 'Site administration' in page, (status, page)
    if which == 'first':
        status, _, page = form('/admin/visitors/visitor/add/', name='J\u00fcrg', words='It was good to be here.')
        assert status == 302, (status, page)
        # A file that an administrator uploads is served from the data directory.
        os.makedirs(SRC + 'data/media/portraits', exist_ok=True)
        with open(SRC + 'data/media/portraits/x.txt', 'w') as handle:
            handle.write('a portrait')
    status, _, page = ask('GET', '/')
    # `Please sign` comes from the hook that V2 sourced.
    assert status == 200 and 'J\u00fcrg' in page and 'Please sign, admin' in page, (status, page)
    status, _, page = ask('GET', '/1/')
    seal = hmac.new(os.environ['OPENSHIFT_SECRET_TOKEN'].encode(), 'J\u00fcrg'.encode(), hashlib.sha256).hexdigest()
    assert status == 200 and seal in page, (status, page)
    status, _, page = ask('GET', '/media/portraits/x.txt')
    assert status == 200 and page == 'a portrait', (status, page)
    alive = hook('alive')
    assert alive.returncode == 0, alive
    for job in ['hourly/forget_sessions', 'weekly/chronograph']:
        done = subprocess.run([SRC + '.s2i/jobs/' + job], capture_output=True, text=True)
        assert done.returncode == 0, done
    assert done.stdout == 'Visitors so far:\n1\n', done
    server.send_signal(signal.SIGTERM)
    assert server.wait(120) == 0, server.returncode
    print('served: ' + which)


main(sys.argv[1])
