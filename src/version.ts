// The one place that says which program this is and which OpenVPN it stands in for.

/** Sallyport's own version; a test holds it against package.json. */
export const SALLYPORT_VERSION = '0.1.0';

/** The OpenVPN version whose behaviour is taken as the measure; also what IV_VER tells a server. */
export const OPENVPN_VERSION = '2.7.8';
