// What this host would do with a packet, for `sallyport explain`: routes, rules, and files of the resolver.

export { givenServers } from './dns/dnsmasq-bus.ts';
export { parseMadeFor, SERVER_LIMIT } from './dns/resolv-conf.ts';
export { dnsmasqProcesses, dnsmasqSettings } from './dns/running-dnsmasq.ts';
export { parseAddress } from './ip/address.ts';
export { parsePrefix, prefixContains } from './ip/prefix.ts';
export { openRouteLook, type RouteFound, type RouteLook } from './linux/route-look.ts';
export type { PolicyRule } from './linux/rule-messages.ts';
export { hostFiles } from './node/host-files.ts';
export { createNodeResolver } from './node/resolver.ts';
