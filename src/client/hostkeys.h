/* client/hostkeys.h -- a machine's SSH host keys as the gateway has them, on their way to ssh.
 *
 * What the gateway says is checked before it becomes a line of known_hosts(5): a known key type,
 * base64 that holds a key of that type, nothing else. Comments are dropped. */
#ifndef CPN_CLIENT_HOSTKEYS_H
#define CPN_CLIENT_HOSTKEYS_H

#include <jansson.h>

#include "base/buf.h"
#include "codec/hostkey.h"

#define CPN_HOSTKEYS_MAX 16 /* of one machine */
#define CPN_KNOWN_HOSTS_BYTES 131072
#define CPN_KNOWN_HOSTS_DIR "known_hosts.d"

/* May this name stand in known_hosts(5), in a file's name and in an ssh option? Letters, digits,
 * dots, hyphens and underscores, colons (IPv6), first a letter, digit or colon; 1 to 200 bytes. */
bool cpn_hostkeys_name_ok(const char *name);
/* Append a line for each key: for `name` on any port. keys: the gateway's array of strings.
 * CPN_INVALID: one is not a key, or the name not one. */
cpn_rc cpn_hostkeys_lines(cpn_buf *out, const char *name, const json_t *keys,
                          cpn_err *err) CPN_MUST_CHECK;
/* Keep those lines, and no others, in a private file of that folder (made when it is not there);
 * a file that says the same already is left alone. CPN_INVALID as above; else as privfile.h. */
cpn_rc cpn_hostkeys_keep(const char *folder, const char *file, const char *name, const json_t *keys,
                         cpn_err *err) CPN_MUST_CHECK;
/* The folder beside the sign-ins. CPN_E_CONF: the environment names none. */
cpn_rc cpn_hostkeys_folder(char *out, size_t size, cpn_err *err) CPN_MUST_CHECK;

#endif
