"""Flowcell in Mininet: a switch in which every flow has its own sandbox, and the controller for it.

    mn --custom mininet/flowcell.py --switch flowcell --controller flowcell --topo tree,2,3 --test pingall

    from flowcell import FlowcellController, FlowcellSwitch
    net = Mininet(topo=..., switch=FlowcellSwitch, controller=FlowcellController)

Hosts and links are Mininet's own. All switches of a run are in one process (`flowcell devices`), which is told by
lines of JSON what to do and answers when it has happened: nothing here sleeps or polls. The processes hold the other
ends of our pipes, so they end, and the links between switches go, with this process, however it ends.
"""

import atexit
import glob
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from typing import Any, Dict, List, Optional, Sequence, Union

from mininet.clean import addCleanupCallback
from mininet.log import error, info, warn
from mininet.node import Controller, Node, Switch

# `mn --custom` executes this file without a name of its own (__file__): the code object has it.
_HERE = os.path.dirname(os.path.abspath((lambda: None).__code__.co_filename))

# Seconds: for a process to answer for the first time, to carry out a request, and to end.
_START_S = 30
_ANSWER_S = 20
_END_S = 30


class FlowcellError(Exception):
    """A switch or controller that could not do what it was asked to; the message says why."""


def flowcellCommand() -> str:
    """Path of the `flowcell` command: $FLOWCELL, the checkout this file is in, or what is on the PATH."""
    own = os.path.join(os.path.dirname(_HERE), 'bin', 'flowcell')
    found = os.environ.get('FLOWCELL') or (own if os.access(own, os.X_OK) else shutil.which('flowcell'))
    if not found:
        raise FlowcellError("the flowcell command is not found; put it on the PATH or name it in $FLOWCELL")
    return found


def _offerCommand() -> None:
    """Lets `sh flowcell cells` work at the Mininet prompt."""
    if shutil.which('flowcell') is None:
        try:
            folder = os.path.dirname(flowcellCommand())
        except FlowcellError:
            return
        os.environ['PATH'] = os.environ.get('PATH', os.defpath) + os.pathsep + folder


def _runDir() -> str:
    """Folder of the local sockets."""
    return os.environ.get('FLOWCELL_RUN_DIR') or '/run/flowcell'


def _removeSockets() -> None:
    """For `mn --custom flowcell.py -c`: our processes end by themselves, but what is killed leaves its socket's name."""
    for path in glob.glob(os.path.join(glob.escape(_runDir()), '*.sock')):
        with socket.socket(socket.AF_UNIX) as local:
            try:
                local.connect(path)
            except ConnectionRefusedError:
                info('rm ' + path + '\n')
                os.unlink(path)
            except OSError:
                pass  # Gone meanwhile, or somebody else's.


def _state(name: str, path: str) -> Any:
    """GET from the local socket of a switch or controller. OSError: nobody is there."""
    with socket.socket(socket.AF_UNIX) as local:
        local.settimeout(_ANSWER_S)
        local.connect(os.path.join(_runDir(), name + '.sock'))
        local.sendall(b'GET %s HTTP/1.0\r\n\r\n' % path.encode())
        with local.makefile('rb') as reply:
            head, _, body = reply.read().partition(b'\r\n\r\n')
    if b' 200' not in head.split(b'\r\n', 1)[0]:
        raise FlowcellError('%s: %s' % (path, body.decode(errors='replace').strip()))
    return json.loads(body)


def _hasExtension(protocols: Optional[str]) -> bool:
    """Whether flows can get cells: the extension is one of OpenFlow 1.3."""
    return protocols is None or 'OpenFlow13' in protocols


class _Process:
    """A flowcell process that answers with lines of JSON, and ends when its standard input does."""

    def __init__(self, args: Sequence[str], node: Optional[Node] = None) -> None:
        """node: in whose network namespace it runs; None: in ours."""
        enter = ['mnexec', '-a', str(node.pid)] if node is not None else []
        self._log = tempfile.TemporaryFile()
        self._what = 'flowcell ' + args[0]
        # A session of its own: Ctrl-C at the prompt is not meant for it.
        self._child = subprocess.Popen(
            enter + [flowcellCommand(), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            start_new_session=True)
        self._read = b''

    def write(self, message: Dict[str, Any]) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(message).encode() + b'\n')
            self._child.stdin.flush()
        except BrokenPipeError:
            self._failed()

    def read(self, seconds: float) -> Optional[Dict[str, Any]]:
        """The next line, or None when there is none within so many seconds."""
        assert self._child.stdout is not None
        until = time.monotonic() + seconds
        while b'\n' not in self._read:
            left = max(0.0, until - time.monotonic())
            if not select.select([self._child.stdout], [], [], left)[0]:
                return None
            data = os.read(self._child.stdout.fileno(), 65536)
            if not data:
                self._failed()
            self._read += data
        line, self._read = self._read.split(b'\n', 1)
        answer: Dict[str, Any] = json.loads(line)
        return answer

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def end(self) -> None:
        """Ends it in order, or else at once."""
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            self._child.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            warn('%s did not end in %d s and was killed\n' % (self._what, _END_S))
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
        self._log.close()

    def _failed(self) -> None:
        """It has ended by itself: says what it said last."""
        self._child.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors='replace').strip().split('\n')
        raise FlowcellError('%s has ended: %s' % (self._what, '\n'.join(said[-5:]) or 'it said nothing'))


class _Devices:
    """The process with the switches of one network namespace."""

    _shared: Optional['_Devices'] = None

    @classmethod
    def of(cls, node: Optional[Node]) -> '_Devices':
        """That of our own namespace, which all share, or a new one in the node's."""
        if node is not None:
            return cls(node)
        if cls._shared is None or not cls._shared.process.running:
            cls._shared = cls(None)
        return cls._shared

    def __init__(self, node: Optional[Node]) -> None:
        args = ['devices', '--remove-interfaces', '--log-level', 'warn']
        if os.environ.get('FLOWCELL_POOL_SIZE'):
            args += ['--pool-size', os.environ['FLOWCELL_POOL_SIZE']]
        self.process = _Process(args, node)
        self.users = set()  # type: set[FlowcellSwitch]
        self._last = 0
        self._answers: Dict[int, Dict[str, Any]] = {}
        atexit.register(self.end)

    def ask(self, do: str, dpid: str, **rest: Any) -> int:
        """Sends a request; returns its number, for `answer`."""
        self._last += 1
        self.process.write({'id': self._last, 'do': do, 'datapath_id': dpid, **rest})
        return self._last

    def answer(self, number: int, seconds: float = _ANSWER_S) -> bool:
        """Waits for the answer; False when there is none in time. Raises FlowcellError when it is a refusal."""
        until = time.monotonic() + seconds
        while number not in self._answers:
            message = self.process.read(until - time.monotonic())
            if message is None:
                return False
            self._answers[message['id']] = message
        answer = self._answers.pop(number)
        if 'error' in answer:
            raise FlowcellError(answer['error'])
        return True

    def leave(self, switch: 'FlowcellSwitch') -> None:
        """The last one to leave ends the process."""
        self.users.discard(switch)
        if not self.users:
            self.end()

    def end(self) -> None:
        atexit.unregister(self.end)
        if _Devices._shared is self:
            _Devices._shared = None
        self.process.end()


class FlowcellSwitch(Switch):
    """A Flowcell switch."""

    def __init__(self, name: str, dpid: Optional[str] = None, failMode: Optional[str] = None,
                 protocols: Optional[str] = None, tenant: int = 0, ports: Union[str, Sequence[str]] = (),
                 connectTimeout: float = 10, batch: bool = False, **params: Any) -> None:
        """dpid: datapath id, up to 16 hexadecimal digits (None: from the name, s1 -> 1)
           failMode: without a controller, 'secure' (new flows wait) or 'standalone' (a learning switch); None: secure for
               a switch that is given a controller, standalone for one that is not
           protocols: OpenFlow versions to offer, such as 'OpenFlow10+OpenFlow13' (None: all)
           tenant: switches of different tenants have their cells in different processes and under different users
           ports: further interfaces of this machine that are ports, 'eth1' or 'eth1=10'; on the command line with +
           connectTimeout: seconds start() waits for a controller to take charge before it goes on without
           batch: start() does not wait, batchStartup() does (Mininet sets it)"""
        Switch.__init__(self, name, dpid=dpid, **params)
        self.failMode = failMode
        self.protocols = protocols
        self.tenant = tenant
        self.extraPorts: List[str] = ports.split('+') if isinstance(ports, str) else list(ports)
        self.connectTimeout = connectTimeout
        self.batch = batch
        # In force since start().
        self._failMode = failMode or 'secure'
        self._runs = False
        self._pending: List[int] = []
        # Node starts while Mininet makes hosts and links.
        self._devices: Optional[_Devices] = None
        self._join()

    def _join(self) -> _Devices:
        if self._devices is None or not self._devices.process.running:
            self._devices = _Devices.of(self if self.inNamespace else None)
        self._devices.users.add(self)
        return self._devices

    def _portSpec(self, intf: Any) -> str:
        return '%s=%d' % (intf, self.ports[intf])

    def start(self, controllers: Sequence[Controller]) -> None:
        """Starts the switch; returns when a controller is in charge of it (with `batch`, batchStartup() does)."""
        devices = self._join()
        self._failMode = self.failMode or ('secure' if controllers else 'standalone')
        ports = [self._portSpec(intf) for intf in self.intfList() if self.ports[intf] and not intf.IP()]
        request = {
            'ports': ports + self.extraPorts, 'fail_mode': self._failMode, 'tenant': self.tenant,
            'controllers': ['%s:%d' % (c.IP(), c.port) for c in controllers],
        }
        if self.protocols:
            request['protocols'] = self.protocols.replace('+', ',')
        self._pending = [devices.ask('start', self.dpid, **request)]
        if controllers and self._failMode == 'secure':
            # A controller of ours says that it will decide about flows; of others the features handshake is all.
            ours = _hasExtension(self.protocols) and any(
                isinstance(c, FlowcellController) and _hasExtension(c.protocols) for c in controllers)
            self._pending.append(devices.ask('wait', self.dpid, **{'for': 'flow' if ours else 'plain'}))
        if not self.batch:
            self._started(time.monotonic() + self.connectTimeout)

    def _started(self, until: float) -> None:
        assert self._devices is not None
        start, *wait = self._pending
        self._pending = []
        if not self._devices.answer(start, _START_S):
            raise FlowcellError('%s did not start in %d s' % (self.name, _START_S))
        self._runs = True
        for number in wait:
            if not self._devices.answer(number, max(0.0, until - time.monotonic())):
                warn('%s has no controller after %g s; it goes on without\n' % (self.name, self.connectTimeout))

    @classmethod
    def batchStartup(cls, switches: Sequence['FlowcellSwitch'], run: Any = None) -> Sequence['FlowcellSwitch']:
        """Waits for all of them together."""
        del run
        until = time.monotonic() + max(switch.connectTimeout for switch in switches)
        for switch in switches:
            if switch._pending:
                switch._started(until)
            switch.batch = False
        return switches

    def stop(self, deleteIntfs: bool = True) -> None:
        """Stops the switch. deleteIntfs: delete its interfaces?"""
        type(self).batchShutdown([self])
        Switch.stop(self, deleteIntfs)

    @classmethod
    def batchShutdown(cls, switches: Sequence['FlowcellSwitch'], run: Any = None) -> Sequence['FlowcellSwitch']:
        """Stops all of them together."""
        del run
        asked = []
        for switch in switches:
            if switch._runs and switch._devices is not None and switch._devices.process.running:
                asked.append((switch._devices, switch._devices.ask('stop', switch.dpid)))
            switch._runs = False
        for devices, number in asked:
            try:
                devices.answer(number)
            except FlowcellError as problem:
                error('%s\n' % problem)
        return switches

    def terminate(self) -> None:
        """Ends its shell, and the process if it was the last switch in it."""
        if self._devices is not None:
            devices, self._devices = self._devices, None
            devices.leave(self)
        Switch.terminate(self)

    def attach(self, intf: Any) -> None:
        """Makes an interface that was added while the switch runs a port."""
        intf = self.nameToIntf.get(str(intf), intf)
        self._now('attach', self._portSpec(intf) if intf in self.ports else str(intf))

    def detach(self, intf: Any) -> None:
        """Takes a port away; its interface stays."""
        self._now('detach', str(intf))

    def _now(self, do: str, port: str) -> None:
        if self._devices is None or not self._runs:
            raise FlowcellError('%s does not run; start it first' % self.name)
        self._devices.answer(self._devices.ask(do, self.dpid, port=port))

    def state(self, path: str = '/status') -> Any:
        """What the switch says of itself: /status, /ports, /cells, /rules, /flows, /counters."""
        return _state('agent-' + self.dpid, path)

    def connected(self) -> bool:
        """Is it connected to a controller (or does it do without)?"""
        try:
            status = self.state()
        except OSError:
            return False
        return status['connection'] == 'established' or self._failMode == 'standalone'

    def dpctl(self, *args: str) -> str:
        """`dpctl dump-flows`, `dpctl cells`, `dpctl rules` at the Mininet prompt."""
        command = {'dump-flows': 'flows'}.get(args[0], args[0])
        if command not in ('flows', 'cells', 'rules'):
            return 'a flowcell switch knows: dump-flows, cells, rules\n'
        argv = [flowcellCommand(), command, '--device', self.dpid]
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


class FlowcellController(Controller):
    """The Flowcell controller."""

    def __init__(self, name: str, app: str = 'learning-switch', granularity: str = 'port',
                 idleTimeout: Optional[int] = None, protocols: Optional[str] = None, ip: str = '127.0.0.1',
                 port: int = 6653, **params: Any) -> None:
        """app: 'learning-switch', or a TypeScript file that exports an app; several with +
           granularity: what gets a cell of its own: 'port' (default: a flow needs a cell in each switch on its way,
               and here they are all on one machine), 'five-tuple' (a connection), 'ip-pair', 'host-pair'
           idleTimeout: seconds without packets after which a cell ends; 0: never
           protocols: OpenFlow versions to speak, such as 'OpenFlow10+OpenFlow13' (None: all)"""
        self.protocols = protocols
        self._process: Optional[_Process] = None
        self._listens: Optional[str] = None
        self._args = [arg for one in app.split('+') for arg in ('--app', one)]
        for option, value in (('--granularity', granularity), ('--idle-timeout', idleTimeout),
                              ('--protocols', protocols and protocols.replace('+', ','))):
            if value is not None:
                self._args += [option, str(value)]
        Controller.__init__(self, name, ip=ip, port=port, command='flowcell', **params)
        # Node starts while Mininet makes hosts and links.
        self._launch()

    def checkListening(self) -> None:
        """Left to the process: it says so if its port is taken."""

    def _launch(self) -> _Process:
        if self._process is not None and self._listens != self.IP():
            # It has got its address since (mn --innamespace).
            self._end()
        if self._process is None:
            self._listens = self.IP()
            args = ['controller', '--supervised', '--log-level', 'warn', '--port', str(self.port),
                    '--host', self._listens]
            self._process = _Process(args + self._args, self if self.inNamespace else None)
            atexit.register(self._end)
        return self._process

    def start(self) -> None:
        """Starts the controller; returns when it accepts switches."""
        if self._launch().read(_START_S) is None:
            raise FlowcellError('%s did not start in %d s' % (self.name, _START_S))

    def stop(self, *args: Any, **kwargs: Any) -> None:
        """Stops the controller; start() starts it again."""
        self._end()
        Node.stop(self, *args, **kwargs)

    def state(self, path: str = '/status') -> Any:
        """What the controller says of itself: /status, /datapaths, /flows, /counters."""
        return _state('controller-%d' % self.port, path)

    def _end(self) -> None:
        atexit.unregister(self._end)
        if self._process is not None:
            process, self._process = self._process, None
            process.end()

    @classmethod
    def isAvailable(cls) -> bool:
        """Is the flowcell command here?"""
        try:
            return bool(flowcellCommand())
        except FlowcellError:
            return False


_offerCommand()
addCleanupCallback(_removeSockets)

# What `mn --custom` looks for.
switches = {'flowcell': FlowcellSwitch}
controllers = {'flowcell': FlowcellController}
