// D-Bus for the apps: the port and what opens it. Loaded only by who speaks on a bus.

/** Where the system's own listens. */
export const SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket';

export { openBus } from './node/bus.ts';
export {
  type Bus,
  type BusCall,
  BusError,
  BusErrorName,
  type BusInterface,
  type BusMatch,
  type BusMethod,
  type BusObject,
  type BusOptions,
  BusVariant,
} from './tunnel/bus-port.ts';
