/** Watches what runs behind the gateway's verifier: which bodies were decoded, and which requests were handled. */
import type { GatewayHandlers } from '../../functions/gateway/service.ts';
import type { StreamHandler } from '../../functions/gateway/stream.ts';

export type HandlerSpy = {
  decoded: number;
  handled: number;
  readonly instrument: (handlers: GatewayHandlers) => GatewayHandlers;
};

export function handlerSpy(): HandlerSpy {
  const spy: HandlerSpy = {
    decoded: 0,
    handled: 0,
    instrument: ({ session, download }) => ({ session: watch(session), download: watch(download) }),
  };
  return spy;

  function watch<T>(handler: StreamHandler<T>): StreamHandler<T> {
    return {
      ...handler,
      decode(body) {
        spy.decoded += 1;
        return handler.decode(body);
      },
      handle(verified, reply) {
        spy.handled += 1;
        return handler.handle(verified, reply);
      },
    };
  }
}
