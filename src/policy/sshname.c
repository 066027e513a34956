/* Account names of certificates: made safe, never another's, never the system's. */
#include "policy/sshname.h"

#include <stdio.h>

#include "codec/chars.h"
#include "codec/digest.h"

#define OURS "caponier-" /* principals of our own begin so */

void
cpn_ssh_scope_tag(cpn_view scope, char out[CPN_SSH_TAG_SIZE])
{
    char lower[CPN_ID_MAX + 1], hex[CPN_SHA256_HEX_SIZE];

    (void)cpn_view_copy(scope, lower, sizeof(lower));
    cpn_lower(lower);
    cpn_sha256_hex(cpn_view_str(lower), hex);
    memcpy(out, hex, CPN_SSH_TAG_SIZE - 1);
    out[CPN_SSH_TAG_SIZE - 1] = '\0';
}

static bool
may_stand(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || cpn_is_digit(c) || c == '.' || c == '_' || c == '-';
}

bool
cpn_ssh_login_name(const cpn_principal *who, char out[CPN_SSH_LOGIN_SIZE])
{
    cpn_view name = cpn_view_str(who->name), domain;
    size_t n = 0;

    if (who->kind == CPN_PRINCIPAL_USER)
        cpn_view_cut(cpn_view_str(who->name), '@', &name, &domain);
    for (size_t i = 0; i < name.n && n < CPN_SSH_LOGIN_SIZE - 1; i++) {
        uint8_t c = name.p[i];

        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c - 'A' + 'a');
        if (n == 0 && !(c >= 'a' && c <= 'z'))
            continue; /* system accounts begin with '_', options with '-' */
        if (may_stand(c))
            out[n++] = (char)c;
        else if (out[n - 1] != '_')
            out[n++] = '_';
    }
    out[n] = '\0';
    return n > 0;
}

static bool
is_reserved(const char *login, const char *reserved)
{
    cpn_view left = cpn_view_str(reserved), word;

    if (strncmp(login, OURS, sizeof(OURS) - 1) == 0)
        return true;
    while (left.n) {
        cpn_view_cut(left, ' ', &word, &left);
        if (cpn_view_is(word, login))
            return true;
    }
    return false;
}

/* Does anybody else's name become the same account? */
static bool
is_shared(const cpn_snapshot *s, const cpn_principal *who, const char *login)
{
    char other[CPN_SSH_LOGIN_SIZE];

    for (unsigned i = 0; i < s->n[CPN_K_PRINCIPAL]; i++) {
        const cpn_principal *p = &s->nodes[CPN_K_PRINCIPAL][i].as.principal.is;

        if (p->kind != CPN_PRINCIPAL_GROUP && strcmp(p->object_id, who->object_id) != 0 &&
            cpn_ssh_login_name(p, other) && strcmp(other, login) == 0)
            return true;
    }
    return false;
}

cpn_rc
cpn_ssh_login_take(const cpn_snapshot *s, const cpn_principal *who, const char *reserved,
                   char out[CPN_SSH_LOGIN_SIZE], cpn_err *err)
{
    char login[CPN_SSH_LOGIN_SIZE];

    out[0] = '\0';
    if (!cpn_ssh_login_name(who, login))
        return cpn_fail(err, CPN_DENIED, "the sign-in name %.64s makes no account name", who->name);
    if (is_reserved(login, reserved))
        return cpn_fail(err, CPN_DENIED, "the account name %s is reserved (ssh_reserved_names)",
                        login);
    if (is_shared(s, who, login))
        return cpn_fail(err, CPN_DENIED,
                        "the account name %s would be that of two sign-in names; one of them must "
                        "change",
                        login);
    memcpy(out, login, sizeof(login));
    return CPN_OK;
}
