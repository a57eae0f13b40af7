/** The registry of kinds: a configuration becomes a destination here and nowhere else. */
import type { Destination, OpenDestination } from '../destination.ts';
import { openDatadog } from './datadog.ts';
import { openElastic } from './elastic.ts';
import { openEventbridge } from './eventbridge.ts';
import { openOtlp } from './otlp.ts';
import { openS3 } from './s3.ts';
import { openSentinel } from './sentinel.ts';
import { openSplunkHec } from './splunk-hec.ts';
import { openSyslog } from './syslog.ts';
import { openWebhook } from './webhook.ts';

export const openDestination: OpenDestination = (config): Destination => {
  switch (config.kind) {
    case 'splunk-hec':
      return openSplunkHec(config);
    case 'elastic':
      return openElastic(config);
    case 'syslog':
      return openSyslog(config);
    case 'webhook':
      return openWebhook(config);
    case 'sentinel':
      return openSentinel(config);
    case 'datadog':
      return openDatadog(config);
    case 'otlp':
      return openOtlp(config);
    case 's3':
      return openS3(config);
    case 'eventbridge':
      return openEventbridge(config);
    default:
      return config satisfies never;
  }
};
