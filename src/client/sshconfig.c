/* Makes the stanza by which plain ssh reaches machines through a gateway. */
#include "client/sshconfig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/hostkeys.h"
#include "codec/chars.h"
#include "codec/digest.h"

#define LOGIN_MAX 64

bool
cpn_ssh_text_ok(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || strchr("'\"\\`$", *p))
            return false;
    return text[0] != '\0';
}

bool
cpn_ssh_login_ok(const char *text)
{
    size_t n = 0;

    while (cpn_is_alnum((uint8_t)text[n]) || (text[n] && strchr("._-@+", text[n])))
        n++;
    return n > 0 && n <= LOGIN_MAX && !text[n] && text[0] != '-';
}

cpn_rc
cpn_ssh_put_percent(cpn_buf *out, const char *text)
{
    cpn_view rest = cpn_view_str(text);
    cpn_view part;
    cpn_rc rc = CPN_OK;
    bool more = true;

    while (more && rc == CPN_OK) {
        more = cpn_view_cut(rest, '%', &part, &rest);
        rc = cpn_buf_append(out, part);
        if (more && rc == CPN_OK)
            rc = cpn_buf_append(out, CPN_VIEW_LIT("%%"));
    }
    return rc;
}

static cpn_rc
quoted(cpn_buf *out, const char *before, const char *text, const char *after)
{
    cpn_rc rc = cpn_buf_append(out, cpn_view_str(before));

    if (rc == CPN_OK)
        rc = cpn_ssh_put_percent(out, text);
    return rc == CPN_OK ? cpn_buf_append(out, cpn_view_str(after)) : rc;
}

static cpn_rc
check(const cpn_ssh_stanza *s, cpn_err *err)
{
    const char *const texts[] = { s->program,
                                  s->gateway,
                                  s->folder,
                                  s->ca ? s->ca : "none",
                                  s->account ? s->account : "none",
                                  s->agents ? s->agents : "none" };

    if (!cpn_hostkeys_name_ok(s->suffix))
        return cpn_fail(err, CPN_INVALID, "'%s' cannot be the end of a host's name", s->suffix);
    for (unsigned i = 0; i < s->names; i++)
        if (!cpn_hostkeys_name_ok(s->name[i]))
            return cpn_fail(err, CPN_INVALID, "'%s' cannot be a host's name", s->name[i]);
    if (s->user && !cpn_ssh_login_ok(s->user))
        return cpn_fail(err, CPN_INVALID, "'%s' cannot be a user's name", s->user);
    for (size_t i = 0; i < CPN_COUNT(texts); i++)
        if (!cpn_ssh_text_ok(texts[i]))
            return cpn_fail(err, CPN_INVALID,
                            "'%s' cannot stand in ssh's configuration: it holds quotes, '$', "
                            "backslashes or control bytes",
                            texts[i]);
    return CPN_OK;
}

static cpn_rc
put_hosts(cpn_buf *out, const cpn_ssh_stanza *s)
{
    cpn_rc rc = cpn_buf_printf(out, "Host *.%s", s->suffix);

    for (unsigned i = 0; i < s->names && rc == CPN_OK; i++)
        rc = cpn_buf_printf(out, " %s", s->name[i]);
    return rc == CPN_OK ? cpn_buf_append(out, CPN_VIEW_LIT("\n")) : rc;
}

/* Of the host's name ssh makes that of a shared connection (ControlPath %h, %C), of the file of
 * host keys and of the agent's socket: one that exists already is of this gateway and account, even
 * where another stanza has, or had, machines of the same name. */
static cpn_rc
put_name(cpn_buf *out, const cpn_ssh_stanza *s)
{
    char hex[CPN_SHA256_HEX_SIZE];
    CPN_AUTO(cpn_buf_fini) cpn_buf b = { .max = CPN_SSHCONFIG_MAX };
    cpn_rc rc = cpn_buf_printf(&b, "%s\n%s", s->gateway, s->account ? s->account : "");

    if (rc != CPN_OK)
        return rc;
    cpn_sha256_hex(cpn_buf_view(&b), hex);
    return cpn_buf_printf(out, "    HostName %%h.%.8s\n", hex);
}

static cpn_rc
put_proxy(cpn_buf *out, const cpn_ssh_stanza *s)
{
    cpn_rc rc = quoted(out, "    ProxyCommand '", s->program, "' connect");

    if (rc == CPN_OK)
        rc = quoted(out, " --gateway '", s->gateway, "'");
    if (rc == CPN_OK && s->account)
        rc = quoted(out, " --account '", s->account, "'");
    if (rc == CPN_OK && s->ca)
        rc = quoted(out, " --ca '", s->ca, "'");
    if (rc == CPN_OK)
        rc = quoted(out, " --known-hosts '", s->folder, "/%h'");
    if (rc == CPN_OK && s->agents)
        rc = quoted(out, " --identity-agent '", s->agents, "/%h'");
    if (rc == CPN_OK)
        rc = cpn_buf_printf(out, " --suffix %s -- '%%n' %%p\n", s->suffix);
    return rc;
}

/* The agent's key first, whatever else the file says; not onward, since whoever is at the far end
 * of a forwarded agent could use it; no shared connection but one that the command line names,
 * since it would outlive the sign-in. */
static cpn_rc
put_identity(cpn_buf *out, const cpn_ssh_stanza *s)
{
    cpn_rc rc = CPN_OK;

    if (s->user)
        rc = cpn_buf_printf(out, "    User %s\n", s->user);
    if (rc == CPN_OK && s->agents)
        rc = quoted(out, "    IdentityAgent \"", s->agents, "/%h\"\n");
    if (rc == CPN_OK && s->agents)
        rc = cpn_buf_printf(out, "    IdentitiesOnly no\n"
                                 "    IdentityFile none\n"
                                 "    PubkeyAuthentication yes\n"
                                 "    PreferredAuthentications publickey\n"
                                 "    ControlPath none\n"
                                 "    ForwardAgent no\n"
                                 "    AddKeysToAgent no\n");
    return rc;
}

cpn_rc
cpn_ssh_stanza_put(cpn_buf *out, const cpn_ssh_stanza *s, cpn_err *err)
{
    cpn_rc rc = check(s, err);

    if (rc != CPN_OK)
        return rc;
    rc = cpn_buf_printf(
        out, CPN_SSHCONFIG_BEGIN "%s: made by 'caponier ssh-config'; --remove takes it away\n",
        s->suffix);
    if (rc == CPN_OK)
        rc = put_hosts(out, s);
    if (rc == CPN_OK)
        rc = put_name(out, s);
    if (rc == CPN_OK)
        rc = put_proxy(out, s);
    if (rc == CPN_OK)
        rc = quoted(out, "    UserKnownHostsFile \"", s->folder, "/%h\"\n");
    if (rc == CPN_OK)
        rc = put_identity(out, s);
    if (rc == CPN_OK)
        rc = cpn_buf_printf(out,
                            "    GlobalKnownHostsFile /dev/null\n"
                            "    KnownHostsCommand none\n"
                            "    StrictHostKeyChecking yes\n"
                            "    UpdateHostKeys no\n"
                            "    CheckHostIP no\n"
                            "    VerifyHostKeyDNS no\n"
                            "Match all\n" CPN_SSHCONFIG_END "%s\n",
                            s->suffix);
    return rc == CPN_OK ? CPN_OK : cpn_fail(err, CPN_INVALID, "the stanza is too long");
}

cpn_rc
cpn_ssh_self(char *out, size_t size, cpn_err *err)
{
    ssize_t n = readlink("/proc/self/exe", out, size);

    if (n <= 0 || (size_t)n >= size)
        return cpn_fail(err, CPN_E_SYS, "the path of this program cannot be known: %s",
                        strerror(n < 0 ? errno : ENAMETOOLONG));
    out[n] = '\0';
    if (access(out, X_OK) < 0)
        return cpn_fail(err, CPN_E_SYS, "%s: %s; was it replaced?", out, strerror(errno));
    return CPN_OK;
}
