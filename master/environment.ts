import { environmentBy } from '../lib/config/environment.ts';

/** What a daemon's surroundings are made of. */
export interface DaemonSurroundings {
  /** The text of `import_environment`. */
  readonly imported: string;
  readonly configDirectory: string;
  /** `syslog_name`: a daemon logs under it before it has read main.cf. */
  readonly logTag: string;
  /** Absolute path of postlogd's socket, when `maillog_file` is set. */
  readonly postlogSocket: string | undefined;
  readonly hostname: string;
}

/**
 * Builds the environment of the daemons from nothing, as Postfix does: no PATH, no HOME, and
 * nothing that slows a start down (NODE_EXTRA_CA_CERTS alone costs 80 ms).
 */
export function daemonEnvironment(
  surroundings: DaemonSurroundings,
  own: NodeJS.ProcessEnv,
): Record<string, string> {
  const environment = environmentBy('import_environment', surroundings.imported, own);
  // Coverage is collected by the processes under test, and they are our grandchildren.
  if (own.NODE_V8_COVERAGE !== undefined) environment.NODE_V8_COVERAGE = own.NODE_V8_COVERAGE;
  environment.MAIL_CONFIG = surroundings.configDirectory;
  environment.MAIL_LOGTAG = surroundings.logTag;
  if (surroundings.postlogSocket !== undefined) {
    environment.POSTLOG_SERVICE = surroundings.postlogSocket;
    environment.POSTLOG_HOSTNAME = surroundings.hostname;
  }
  return environment;
}
