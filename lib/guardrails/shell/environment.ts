/** The environment: variables whose value a program loads as a library, or runs. */
import { plain } from './marks.ts';

const loaded =
  /^(?:LD_(?:PRELOAD|AUDIT|LIBRARY_PATH)|BASH_ENV|ENV|PYTHONSTARTUP|PYTHONPATH|PERL5LIB|RUBYLIB|NODE_PATH)$/;
const run =
  /^(?:(?:GIT_|MAN|SYSTEMD_|PSQL_)?PAGER|(?:GIT_|SUDO_|SYSTEMD_)?EDITOR|VISUAL|BROWSER|PROMPT_COMMAND|GIT_SSH_COMMAND|RSYNC_RSH|LESSOPEN|GIT_EXTERNAL_DIFF|GIT_PROXY_COMMAND)$/;

/** Options of an interpreter that name code to be loaded. */
const options =
  /^(?:PERL5OPT|RUBYOPT|NODE_OPTIONS|PYTHONINSPECT|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|LUA_INIT(?:_5_\d)?|GCONV_PATH|GIO_MODULE_DIR|OPENSSL_CONF|OPENSSL_ENGINES|GIT_EXEC_PATH|GIT_TEMPLATE_DIR|TCLLIBPATH|R_PROFILE(?:_USER)?)$/;

/** Whether it loads code from a place that anybody can write to. */
export function injects(name: string, value: string): boolean {
  if (options.test(name) && /(?:^|[\s=:@,]|-[rIMd])\/?(?:tmp|var\/tmp|dev\/shm)\//.test(plain(value))) return true;
  return loaded.test(name) && /^(?:\S*[\s:])?\/?(?:tmp|var\/tmp|dev\/shm)\//.test(plain(value));
}

/** Whether its value is a command. */
export function isRun(name: string, value: string): boolean {
  return run.test(name) && /\s/.test(plain(value).trim());
}

/** Code for an interpreter, which it runs when it starts. */
export function codeOf(name: string, value: string): string | undefined {
  if (/^(?:PERL5DB|LUA_INIT(?:_5_\d)?|PYTHONSTARTUP_CODE)$/.test(name)) return value;
  return undefined;
}

/** Text for a shell: what is expanded when one starts, and functions that are handed on. */
export function shellCodeOf(name: string, value: string): string | undefined {
  const text = plain(value);
  if (/^(?:BASH_ENV|ENV)$/.test(name) && /\$\(|`/.test(text)) return `: "${text.replaceAll('"', '')}"`;
  const exported = /^BASH_FUNC_(.+?)(?:%%|\(\))$/.exec(name)?.[1];
  return exported === undefined || !/^\s*\(\)/.test(text) ? undefined : `${exported} ${text}; ${exported}`;
}
