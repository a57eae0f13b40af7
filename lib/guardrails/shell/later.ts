/**
 * Later: files whose content is run afterwards by something else, such as jobs, units, hooks and settings that name
 * commands. What is written there is judged as if it ran now.
 */
import { jobPattern } from './jobs.ts';
import { plain, withoutRuns } from './marks.ts';

type Place = {
  readonly path: RegExp;
  /** The code for a shell that the content holds. */
  readonly codeIn: (text: string) => readonly string[];
};

const home = '(?:root|home/[^/]+|etc/skel)';

/** Scripts: the whole of them is run. */
const script = new RegExp(
  [
    '^/etc/(?:cron\\.(?:hourly|daily|weekly|monthly)|init\\.d|rc\\d?\\.d(?:/rc\\d\\.d)?|rc[\\dS]\\.d|profile\\.d|bash_completion\\.d|network/if-[a-z-]+\\.d|NetworkManager/dispatcher\\.d(?:/[a-z-]+\\.d)?|networkd-dispatcher/[a-z-]+\\.d|dhcp/dhclient-[a-z]+-hooks\\.d|ppp/ip(?:v6)?-(?:up|down)\\.d|kernel/[a-z]+\\.d|update-motd\\.d|X11/(?:Xsession|xinit/xinitrc)\\.d|pm/(?:sleep|power)\\.d|apm/[a-z.]+|acpi(?:/events)?|local\\.d|runit/[\\w-]+|sv/[\\w-]+|service/[\\w-]+|libvirt/hooks|letsencrypt/renewal-hooks/[a-z]+|initramfs-tools/(?:hooks|scripts/[a-z-]+)|resolvconf/update\\.d|systemd/system-(?:generators|shutdown|sleep)|grub\\.d|lightdm|gdm3?/[A-Za-z]+|openvpn/scripts|wireguard/scripts)/[^/]+$',
    '^/etc/(?:rc\\.local|rc\\.d/rc\\.local|profile|bash\\.bashrc|bashrc|bash\\.bash_logout|csh\\.(?:cshrc|login|logout)|zsh/(?:zshrc|zprofile|zshenv|zlogin)|zshrc|zprofile|zshenv|ksh\\.kshrc|dhclient-[a-z]+-hooks|ssh/sshrc|dhcpcd\\.(?:enter|exit)-hook|environment\\.d/[^/]+\\.sh)$',
    `^/${home}/\\.(?:bashrc|profile|bash_profile|bash_login|bash_logout|bash_aliases|zshrc|zprofile|zshenv|zlogin|zlogout|kshrc|cshrc|login|logout|xinitrc|xsession|xprofile|ssh/rc|config/fish/config\\.fish)$`,
    '^/(?:usr/)?lib/systemd/system-(?:generators|shutdown|sleep)/[^/]+$',
    '(?:^|/)\\.git/hooks/[a-z-]+$|/hooks/(?:(?:pre|post)-[a-z-]+|update)$',
    '^/(?:usr/)?lib/(?:dhcpcd|udev)/[^/]+$|^/(?:usr/)?share/bash-completion/completions/[^/]+$',
    '^/var/lib/dpkg/info/[^/]+\\.(?:preinst|postinst|prerm|postrm|config)$',
    '^/var/lib/cloud/scripts/per-[a-z]+/[^/]+$',
    '^/run/(?:initramfs/)?shutdown$',
  ].join('|'),
  'i',
);

function each(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match.slice(1).find((group) => group !== undefined) ?? '');
}

/** Without escapes that a quoted setting needs. */
function unescaped(text: string): string {
  return text.replace(/\\(["'\\])/g, '$1');
}

const places: readonly Place[] = [
  {
    path: /^\/etc\/(?:crontab|cron\.d\/[^/]+)$/,
    codeIn: (text) => jobs(text, /^\s*(?:@\w+|(?:\S+\s+){4}\S+)\s+\S+\s+(.+)$/),
  },
  { path: /^\/var\/spool\/cron\/(?:crontabs\/)?[^/]+$/, codeIn: (text) => jobs(text, jobPattern) },
  { path: /^\/etc\/anacrontab$/, codeIn: (text) => jobs(text, /^\s*(?:@\w+|\d+)\s+\d+\s+\S+\s+(.+)$/) },
  {
    path: /\/systemd\/(?:system|user)\/.+\.(?:service|timer|socket|mount|path|conf)$|\/\.config\/systemd\/user\/.+$/,
    codeIn: (text) =>
      each(text, /^\s*Exec\w+\s*=\s*[-@:+!|]*(.+)$/gm)
        .filter((code) => !/\$\{?MAINPID/.test(code))
        .map((code) => code.replaceAll('%%', '%')),
  },
  {
    path: /\/udev\/rules\.d\/[^/]+$/,
    codeIn: (text) =>
      each(text, /\b(?:RUN(?:\{program\})?|PROGRAM|IMPORT\{program\})\s*(?:\+|:|=)?=\s*"((?:[^"\\]|\\.)*)"/g).map(
        unescaped,
      ),
  },
  {
    path: /^\/etc\/apt\/apt\.conf(?:\.d\/[^/]+)?$/,
    codeIn: (text) =>
      each(text, /(?:-Invoke(?:-[\w]+)?|-Pkgs)(?:::)?\s*\{?\s*((?:"(?:[^"\\]|\\.)*"[\s;]*)+)/gi).flatMap((list) =>
        each(list, /"((?:[^"\\]|\\.)*)"/g).map(unescaped),
      ),
  },
  {
    path: /^\/(?:etc|lib|run|usr\/lib)\/modprobe\.d\/[^/]+$/,
    codeIn: (text) => each(text, /^\s*(?:install|remove)\s+\S+\s+(.+)$/gm),
  },
  { path: /^\/etc\/inittab$/, codeIn: (text) => each(text, /^[^#\n:]*:[^:\n]*:[^:\n]*:(.+)$/gm) },
  { path: /\/(?:aliases|\.forward)$/, codeIn: (text) => each(text, /(?:^|[:,\s])\s*"?\|\s*([^"\n]+)"?/gm) },
  {
    path: /\/ssh_config(?:\.d\/[^/]+)?$|\/\.ssh\/config$|\/sshd_config(?:\.d\/[^/]+)?$/,
    codeIn: (text) =>
      each(text, /^\s*(?:Proxy|Local|KnownHosts|Force|AuthorizedKeys|AuthorizedPrincipals)Command[ \t=]+(.+)$/gim),
  },
  { path: /\/authorized_keys2?$/, codeIn: (text) => each(text, /command="((?:[^"\\]|\\.)*)"/g).map(unescaped) },
  { path: /^\/etc\/pam\.d\/[^/]+$/, codeIn: (text) => each(text, /pam_exec\.so\s+(?:\w+(?:=\S*)?\s+)*(\/.+)$/gm) },
  {
    path: /\/(?:\.gitconfig|\.git\/config|gitconfig|\.config\/git\/config)$/,
    codeIn: (text) =>
      each(
        text,
        /^\s*(?:[\w-]+\s*=\s*"?!(.+?)"?|(?:pager|editor|sshCommand|fsmonitor|external|hooksPath|helper)\s*=\s*(.+))$/gm,
      ).map(unescaped),
  },
  { path: /\/(?:GNU)?[Mm]akefile$|\.mk$/, codeIn: recipesIn },
  {
    path: /\/(?:supervisor|supervisord)[^/]*(?:\/conf\.d)?\/[^/]+\.(?:conf|ini)$|\/incron\.d\/[^/]+$|\/monit(?:\/conf\.d)?\/[^/]+$|\/(?:x?inetd\.d|xinetd\.conf)\/?[^/]*$|\/rsyslog\.(?:conf|d\/[^/]+)$|\/fail2ban\/action\.d\/[^/]+$|\/nut\/[^/]+$|\/smartd\.conf$|\/zed\.d\/[^/]+$|\/keepalived\.conf$|\/mdadm\.conf$/,
    codeIn: (text) =>
      each(
        text,
        /^\s*(?:command|exec|action\w*|server|program|binary|script|notify\w*|SHUTDOWNCMD|NOTIFYCMD)\s*[= ]\s*"?(.+?)"?\s*$/gim,
      ),
  },
  {
    path: /\/\.(?:vimrc|exrc|nanorc|inputrc|psqlrc|gdbinit|lesskey|screenrc|tmux\.conf|Xresources|mailrc|muttrc)$/,
    codeIn: (text) => each(text, /(?:^|[\s:"])!\s*(.+)$|(?:run-shell|if-shell|system)\s*\(?\s*["'](.+?)["']/gm),
  },
];

function jobs(text: string, pattern: RegExp): string[] {
  return text.split('\n').flatMap((line) => {
    const command = pattern.exec(line)?.[1];
    const isComment = /^\s*#/.test(line) || /^\s*\w+\s*=/.test(line);
    return command === undefined || isComment ? [] : [command.replace(/(?<!\\)%[\s\S]*$/, '').replaceAll('\\%', '%')];
  });
}

/** The recipes of a makefile, one by one, with its variables put in. */
export function recipesIn(text: string): string[] {
  const variables = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(/^\s*(?:export\s+)?([A-Za-z_]\w*)\s*[:?+]?=\s*(.*)$/gm))
    variables.set(name, value);
  const fill = (line: string) =>
    line
      .replace(/\$[({]shell\s+([^()]*)[)}]/g, '$($1)')
      .replace(/\$[({](\w+)[)}]/g, (_, name: string) => variables.get(name) ?? '')
      .replaceAll('$$', '$');
  return [
    ...each(text, /^\t[ \t]*[@+-]*(.+)$/gm),
    ...each(text, /^[^\t#=\n][^=\n:]*::?(?!=)[^;\n]*;[ \t]*[@+-]*(.+)$/gm),
    ...each(text, /\$\(shell\s+([^()]*)\)/g),
    ...each(text, /^[A-Za-z_]\w*\s*!=\s*(.+)$/gm),
  ].map((line) => fill(fill(line)));
}

/** What runs in the middle of a log's rotation, wherever the file is. */
function rotationIn(text: string): string[] {
  return each(text, /^\s*(?:prerotate|postrotate|firstaction|lastaction|preremove)\s*$([\s\S]*?)^\s*endscript\s*$/gm);
}

/** Whether a file there is run, or names what is run, without anybody looking at it again. */
export function isRunLater(path: string): boolean {
  return (script.test(path) && !/completion/.test(path)) || places.slice(0, 3).some((place) => place.path.test(path));
}

/** The code that something runs later because it is in this file. */
export function laterCode(path: string, content: string): readonly string[] {
  const whole = plain(content);
  if (script.test(path)) return [whole];
  const text = whole.replace(/[ \f\v]{2,}|\n{2,}/g, (run) => run.slice(0, 1));
  const found = places.filter((place) => place.path.test(path)).flatMap((place) => place.codeIn(text));
  return [...found, ...(text.includes('endscript') ? rotationIn(text) : [])].slice(0, 100);
}

/** Lines of tmpfiles.d by what they remove: `R /path`, and `r`. */
export function removedBy(
  path: string,
  content: string,
): readonly { readonly path: string; readonly isTree: boolean }[] {
  if (!/\/tmpfiles\.d\/[^/]+$/.test(path)) return [];
  return [...withoutRuns(plain(content)).matchAll(/^\s*([rRD])[!+=~^-]*\s+"?([^\s"]+)/gm)].map(
    ([, type = '', target = '']) => ({
      path: target,
      isTree: type !== 'r',
    }),
  );
}
