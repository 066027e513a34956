/* client/sshconfig.h -- what ssh(1) is told: a stanza of ssh_config(5), and where it stands in the
 * user's file.
 *
 * The stanza is a block between two marker lines that name its gateway; writing it again replaces
 * the block, removing it leaves the rest of the file byte for byte. It stands first, since ssh
 * takes the first value it finds, and ends with "Match all", so that what follows holds for every
 * host as before. */
#ifndef CPN_CLIENT_SSHCONFIG_H
#define CPN_CLIENT_SSHCONFIG_H

#include "base/buf.h"

#define CPN_SSHCONFIG_MAX ((size_t)1 << 20) /* bytes of the user's file */
#define CPN_SSHCONFIG_BEGIN "# >>> caponier "
#define CPN_SSHCONFIG_END "# <<< caponier "

typedef struct cpn_ssh_stanza {
    const char *suffix;      /* hosts are NAME.suffix */
    const char *const *name; /* further hosts, by their own name */
    unsigned names;
    const char *program; /* absolute */
    const char *gateway; /* URL */
    const char *account; /* NULL: whichever is current when ssh runs */
    const char *ca;      /* absolute; NULL: none */
    const char *folder;  /* of the host keys, absolute */
    const char *agents;  /* folder of the agents for identity sign-in; NULL: the user's own keys */
    const char *user;    /* who signs in on the machines; NULL: ssh's own rules */
} cpn_ssh_stanza;

/* Append the block. CPN_INVALID: a text that cannot stand there safely. */
cpn_rc cpn_ssh_stanza_put(cpn_buf *out, const cpn_ssh_stanza *s, cpn_err *err) CPN_MUST_CHECK;
/* Append `file` with its block of that suffix replaced by `block`, or with `block` in front when it
 * has none; block empty: removed. *had: there was one. CPN_INVALID: a block without an end, or a
 * block of another gateway's (of that suffix, too) with a host that this one has. */
cpn_rc cpn_ssh_stanza_in(cpn_buf *out, cpn_view file, const char *suffix, cpn_view block, bool *had,
                         cpn_err *err) CPN_MUST_CHECK;
/* May this text stand between quotes of a shell and of ssh_config(5)? No quote, backslash or
 * control byte. */
bool cpn_ssh_text_ok(const char *text);
/* May this stand behind User? Letters, digits and ._-@+, not first a hyphen; 1 to 64 bytes. */
bool cpn_ssh_login_ok(const char *text);
/* Append text with every % doubled, as ssh's options want it. */
cpn_rc cpn_ssh_put_percent(cpn_buf *out, const char *text) CPN_MUST_CHECK;

/* The path of this program. CPN_E_SYS: it has been replaced or cannot be known. */
cpn_rc cpn_ssh_self(char *out, size_t size, cpn_err *err) CPN_MUST_CHECK;

#endif
