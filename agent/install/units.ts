/** The unit files of the service managers. Each starts the launcher, and starts it again whatever ended it. */
import { installedRoot } from '../updater/layout.ts';

export const program = `${installedRoot}/holdfast-agent`;
export const stateDirectory = '/var/lib/holdfast-agent';

/**
 * Of the C library, as mallopt(3) has it: memory from 32 KiB on comes from the system and goes back to it. V8 needs 10 MiB
 * in pieces of that size while it reads the program, which would otherwise stay for good.
 */
export const environment = { MALLOC_MMAP_THRESHOLD_: '32768' } as const;
const [variable] = Object.entries(environment).map(([name, value]) => `${name}=${value}`);

export type InitSystem = 'systemd' | 'openrc' | 'launchd';

export type Unit = { readonly path: string; readonly mode: number; readonly text: string };

/**
 * What an agent may lose and still manage its machine. It mounts, makes users, installs packages and writes anywhere, so
 * the file system, namespaces, setuid files and kernel modules stay open to it and to what it runs; V8 compiles at run
 * time, so memory that is written and executed stays allowed.
 */
const systemd = `[Unit]
Description=Holdfast agent
Wants=network-online.target
After=network-online.target
ConditionPathExists=${stateDirectory}/node.json
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${program} service --state ${stateDirectory}
Restart=always
RestartSec=10
# Refused for good, and a damaged installation: starting again mends neither.
RestartPreventExitStatus=3 78
TimeoutStopSec=90
KillMode=mixed
UMask=0022
StateDirectory=holdfast-agent
StateDirectoryMode=0700
LimitCORE=0
OOMScoreAdjust=-500
Environment=${variable}
UnsetEnvironment=LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH NODE_OPTIONS NODE_EXTRA_CA_CERTS OPENSSL_CONF
CapabilityBoundingSet=~CAP_SYS_BOOT CAP_SYS_RAWIO CAP_SYS_PACCT CAP_SYSLOG CAP_BPF CAP_PERFMON CAP_WAKE_ALARM CAP_BLOCK_SUSPEND
KeyringMode=private
LockPersonality=yes
ProtectKernelLogs=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET

[Install]
WantedBy=multi-user.target
`;

const openrc = `#!/sbin/openrc-run

name="Holdfast agent"
supervisor=supervise-daemon
command="${program}"
command_args="service --state ${stateDirectory}"
respawn_delay=10
respawn_max=0
umask=0022
rc_ulimit="-c 0"
export ${variable}

depend() {
	need localmount
	use net
	after firewall
}

start_pre() {
	checkpath --directory --mode 0700 --owner root:root ${stateDirectory}
}
`;

const launchd = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>holdfast-agent</string>
	<key>ProgramArguments</key>
	<array>
		<string>${program}</string>
		<string>service</string>
		<string>--state</string>
		<string>${stateDirectory}</string>
	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<true/>
	<key>ThrottleInterval</key>
	<integer>10</integer>
	<key>Umask</key>
	<integer>18</integer>
	<key>HardResourceLimits</key>
	<dict>
		<key>Core</key>
		<integer>0</integer>
	</dict>
</dict>
</plist>
`;

export const units: { readonly [Init in InitSystem]: Unit } = {
  systemd: { path: '/etc/systemd/system/holdfast-agent.service', mode: 0o644, text: systemd },
  openrc: { path: '/etc/init.d/holdfast-agent', mode: 0o755, text: openrc },
  launchd: { path: '/Library/LaunchDaemons/holdfast-agent.plist', mode: 0o644, text: launchd },
};

type Argv = readonly string[];

/** What makes the unit run, and what takes it away. Each may be run again. */
export const commands: {
  readonly [Init in InitSystem]: { readonly enable: readonly Argv[]; readonly disable: readonly Argv[] };
} = {
  systemd: {
    enable: [
      ['systemctl', 'daemon-reload'],
      ['systemctl', 'enable', 'holdfast-agent.service'],
      ['systemctl', 'restart', 'holdfast-agent.service'],
    ],
    disable: [['systemctl', 'disable', '--now', 'holdfast-agent.service']],
  },
  openrc: {
    enable: [
      ['rc-update', 'add', 'holdfast-agent', 'default'],
      ['rc-service', 'holdfast-agent', 'restart'],
    ],
    disable: [
      ['rc-service', '--ifexists', '--ifstarted', 'holdfast-agent', 'stop'],
      ['rc-update', '--all', 'delete', 'holdfast-agent'],
    ],
  },
  launchd: {
    enable: [['launchctl', 'bootstrap', 'system', units.launchd.path]],
    disable: [['launchctl', 'bootout', 'system/holdfast-agent']],
  },
};
