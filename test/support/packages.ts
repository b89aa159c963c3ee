/** Debian packages that tests use beyond what `npm ci` brings, and how to get them. */

import { existsSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { exec } from '../../mininet/run.ts';
import { hasCommand } from './environment.ts';

export interface DebianPackage {
  readonly name: string;
  /** A command that is there exactly when the package is. */
  readonly command: string;
  readonly purpose: string;
}

export const PACKAGES: readonly DebianPackage[] = [
  { name: 'iproute2', command: 'ip', purpose: 'network namespaces' },
  { name: 'util-linux', command: 'nsenter', purpose: 'programs in namespaces' },
  { name: 'iputils-ping', command: 'ping', purpose: 'ping' },
  { name: 'ethtool', command: 'ethtool', purpose: 'offloads' },
  { name: 'iperf3', command: 'iperf3', purpose: 'TCP and UDP load' },
  { name: 'netsniff-ng', command: 'trafgen', purpose: 'packets at full rate' },
  { name: 'tshark', command: 'tshark', purpose: 'a second OpenFlow decoder' },
  { name: 'openvswitch-switch', command: 'ovs-vswitchd', purpose: 'a foreign switch' },
  { name: 'openvswitch-testcontroller', command: 'ovs-testcontroller', purpose: 'a foreign controller' },
  { name: 'mininet', command: 'mn', purpose: 'networks of hosts and switches' },
  { name: 'python3-os-ken', command: 'osken-manager', purpose: 'a foreign controller' },
];

export function missingPackages(has: (command: string) => boolean = hasCommand): DebianPackage[] {
  return PACKAGES.filter((entry) => !has(entry.command));
}

const POLICY = '/usr/sbin/policy-rc.d';

/**
 * Installs packages with apt-get. The services in them are not started: Debian asks policy-rc.d, and ours
 * answers 101, "action forbidden", for as long as the installation lasts. Rejects with CommandError.
 */
export async function install(names: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = ['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=120'];
  await exec([...apt, 'update'], { env });
  const foreignPolicy = existsSync(POLICY);
  if (!foreignPolicy) {
    await writeFile(POLICY, '#!/bin/sh\nexit 101\n');
    await chmod(POLICY, 0o755);
  }
  try {
    await exec([...apt, 'install', '--yes', '--no-install-recommends', ...names], { env });
  } finally {
    if (!foreignPolicy) await rm(POLICY, { force: true });
  }
}
