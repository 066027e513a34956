/* Writes the stanza by which plain ssh reaches machines through a gateway. */
#include "client/sshconfig.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/hostkeys.h"
#include "codec/chars.h"

#define BEGIN "# >>> caponier "
#define END "# <<< caponier "
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
        rc = cpn_buf_printf(out, " --suffix %s -- %%h %%p\n", s->suffix);
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
    rc = cpn_buf_printf(out, BEGIN "%s: made by 'caponier ssh-config'; --remove takes it away\n",
                        s->suffix);
    if (rc == CPN_OK)
        rc = put_hosts(out, s);
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
                            "Match all\n" END "%s\n",
                            s->suffix);
    return rc == CPN_OK ? CPN_OK : cpn_fail(err, CPN_INVALID, "the stanza is too long");
}

/* Does the line begin with the marker of this suffix? */
static bool
is_marker(cpn_view line, const char *marker, const char *suffix)
{
    size_t n = strlen(marker), k = strlen(suffix);
    cpn_view after;

    if (!cpn_view_starts(line, marker) || !cpn_view_starts(cpn_view_skip(line, n), suffix))
        return false;
    after = cpn_view_skip(line, n + k);
    return after.n == 0 || after.p[0] == ':';
}

/* Bytes of the line at the start of v, its newline included. */
static size_t
line_size(cpn_view v)
{
    const uint8_t *end = v.n ? memchr(v.p, '\n', v.n) : NULL;

    return end ? (size_t)(end - v.p) + 1 : v.n;
}

static cpn_view
line_of(cpn_view v)
{
    size_t n = line_size(v);

    return (cpn_view){ v.p, n && v.p[n - 1] == '\n' ? n - 1 : n };
}

/* *before is what stands in front of the block, *after behind it. CPN_NOT_FOUND: none. */
static cpn_rc
find_block(cpn_view file, const char *suffix, cpn_view *before, cpn_view *after)
{
    size_t at = 0, from;

    while (at < file.n && !is_marker(line_of(cpn_view_skip(file, at)), BEGIN, suffix))
        at += line_size(cpn_view_skip(file, at));
    if (at == file.n)
        return CPN_NOT_FOUND;
    from = at;
    while (at < file.n && !is_marker(line_of(cpn_view_skip(file, at)), END, suffix))
        at += line_size(cpn_view_skip(file, at));
    if (at == file.n)
        return CPN_INVALID;
    at += line_size(cpn_view_skip(file, at));
    *before = (cpn_view){ file.p, from };
    *after = cpn_view_skip(file, at);
    return CPN_OK;
}

cpn_rc
cpn_ssh_stanza_in(cpn_buf *out, cpn_view file, const char *suffix, cpn_view block, bool *had,
                  cpn_err *err)
{
    cpn_view before = { 0 }, after = file;
    cpn_rc rc = file.n ? find_block(file, suffix, &before, &after) : CPN_NOT_FOUND;

    *had = rc == CPN_OK;
    if (rc == CPN_INVALID)
        return cpn_fail(err, CPN_INVALID,
                        "the block that begins with '" BEGIN "%s' has no end line", suffix);
    rc = cpn_buf_append(out, before);
    if (rc == CPN_OK)
        rc = cpn_buf_append(out, block);
    if (rc == CPN_OK)
        rc = cpn_buf_append(out, after);
    return rc == CPN_OK ? CPN_OK : cpn_fail(err, CPN_INVALID, "the file is too long");
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
