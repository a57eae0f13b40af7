/** The environment: variables whose value a program loads as a library, or runs. */
import { plain } from './marks.ts';

const loaded =
  /^(?:LD_(?:PRELOAD|AUDIT|LIBRARY_PATH)|BASH_ENV|ENV|PYTHONSTARTUP|PYTHONPATH|PERL5LIB|RUBYLIB|NODE_PATH)$/;
const run =
  /^(?:(?:GIT_|MAN|SYSTEMD_|PSQL_)?PAGER|(?:GIT_|SUDO_|SYSTEMD_)?EDITOR|VISUAL|BROWSER|PROMPT_COMMAND|GIT_SSH_COMMAND|RSYNC_RSH|LESSOPEN|GIT_EXTERNAL_DIFF|GIT_PROXY_COMMAND)$/;

/** Whether it loads code from a place that anybody can write to. */
export function injects(name: string, value: string): boolean {
  return loaded.test(name) && /^(?:\S*[\s:])?\/?(?:tmp|var\/tmp|dev\/shm)\//.test(plain(value));
}

/** Whether its value is a command. */
export function isRun(name: string, value: string): boolean {
  return run.test(name) && /\s/.test(plain(value).trim());
}
