"""Runs a program with Mininet's world to itself: `private.py [--ovs] [--kill-at TEXT] PROGRAM [ARGUMENT ...]`.

For `unshare --net --pid --mount --fork --kill-child --mount-proc`, as the first process of that namespace. Standard
output is the program's; the last line is JSON: its exit code and what it has left behind (processes, interfaces,
sockets). With --kill-at the program gets SIGKILL when it prints the text.
"""

import json
import os
import signal
import subprocess
import sys
import time

OVS = ('/etc/openvswitch', '/var/log/openvswitch', '/var/lib/openvswitch')
# How long what has lost its owner may take to go.
PATIENCE_S = 60


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_ovs():
    os.makedirs('/run/openvswitch')
    for folder in OVS:
        run('mount', '-t', 'tmpfs', 'tmpfs', folder)
    database = '/etc/openvswitch/conf.db'
    run('ovsdb-tool', 'create', database, '/usr/share/openvswitch/vswitch.ovsschema')
    server = subprocess.Popen(['ovsdb-server', '--remote=punix:/run/openvswitch/db.sock', database],
                              stderr=subprocess.DEVNULL)
    run('ovs-vsctl', '--retry', '--timeout=60', '--no-wait', 'init')
    return [subprocess.Popen(['ovs-vswitchd'], stderr=subprocess.DEVNULL), server]


def reap():
    """As the first process we get all orphans."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def processes():
    reap()
    found = []
    for name in os.listdir('/proc'):
        if name.isdigit() and name != '1':
            try:
                with open('/proc/%s/cmdline' % name) as file:
                    found.append(file.read().replace('\0', ' ').strip())
            except OSError:
                pass
    return found


def links():
    shown = json.loads(subprocess.run(['ip', '-j', 'link'], stdout=subprocess.PIPE, check=True).stdout)
    return [link['ifname'] for link in shown if link.get('link_type') != 'loopback' and link['ifname'] != 'ovs-netdev']


def sockets():
    folder = '/run/flowcell'
    return os.listdir(folder) if os.path.isdir(folder) else []


def main(args):
    ovs = args[:1] == ['--ovs']
    args = args[1:] if ovs else args
    kill_at, args = (args[1], args[2:]) if args[:1] == ['--kill-at'] else (None, args)
    run('mount', '-t', 'tmpfs', 'tmpfs', '/run')
    run('mount', '-t', 'sysfs', 'sysfs', '/sys')
    run('ip', 'link', 'set', 'lo', 'up')
    daemons = start_ovs() if ovs else []
    child = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
    line = '\n'
    for line in child.stdout:
        print(line, end='', flush=True)
        if kill_at is not None and kill_at in line:
            child.send_signal(signal.SIGKILL)
    if not line.endswith('\n'):
        print(flush=True)
    code = child.wait()
    for daemon in daemons:
        daemon.terminate()
        daemon.wait()
    end = time.monotonic() + PATIENCE_S
    while (processes() or links()) and time.monotonic() < end:
        time.sleep(0.02)
    print(json.dumps({'exit': code, 'processes': processes(), 'links': links(), 'sockets': sockets()}), flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
