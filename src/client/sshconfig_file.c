/* Where the stanza stands in the user's file, beside what else is there. */
#include <string.h>
#include <strings.h>

#include "client/sshconfig.h"

/* ---- one block ---- */

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

    while (at < file.n && !is_marker(line_of(cpn_view_skip(file, at)), CPN_SSHCONFIG_BEGIN, suffix))
        at += line_size(cpn_view_skip(file, at));
    if (at == file.n)
        return CPN_NOT_FOUND;
    from = at;
    while (at < file.n && !is_marker(line_of(cpn_view_skip(file, at)), CPN_SSHCONFIG_END, suffix))
        at += line_size(cpn_view_skip(file, at));
    if (at == file.n)
        return CPN_INVALID;
    at += line_size(cpn_view_skip(file, at));
    *before = (cpn_view){ file.p, from };
    *after = cpn_view_skip(file, at);
    return CPN_OK;
}

/* ---- one gateway a host ---- */

/* What stands in text behind `from`, up to `to`. Empty: nothing does. */
static cpn_view
between(cpn_view text, const char *from, const char *to)
{
    const uint8_t *at = text.n ? memmem(text.p, text.n, from, strlen(from)) : NULL;
    const uint8_t *end;
    cpn_view rest;

    if (!at)
        return (cpn_view){ 0 };
    rest = cpn_view_skip(text, (size_t)(at - text.p) + strlen(from));
    end = rest.n ? memmem(rest.p, rest.n, to, strlen(to)) : NULL;
    return end ? (cpn_view){ rest.p, (size_t)(end - rest.p) } : (cpn_view){ 0 };
}

static bool
ends_with(cpn_view v, cpn_view end)
{
    return v.n >= end.n &&
           strncasecmp((const char *)v.p + (v.n - end.n), (const char *)end.p, end.n) == 0;
}

/* Can one name match both? Each is "*.SUFFIX" or a name. */
static bool
overlap(cpn_view a, cpn_view b)
{
    return (a.p[0] == '*' && ends_with(b, cpn_view_skip(a, 1))) ||
           (b.p[0] == '*' && ends_with(a, cpn_view_skip(b, 1))) || (a.n == b.n && ends_with(a, b));
}

/* The first of these hosts that is one of those, too; empty: none is. */
static cpn_view
shared_host(cpn_view these, cpn_view those)
{
    cpn_view a, b;

    while (these.n) {
        cpn_view rest = those;

        cpn_view_cut(these, ' ', &a, &these);
        while (rest.n) {
            cpn_view_cut(rest, ' ', &b, &rest);
            if (a.n && b.n && overlap(a, b))
                return a;
        }
    }
    return (cpn_view){ 0 };
}

/* Take the next block of any suffix off the file. */
static bool
next_block(cpn_view *file, cpn_view *block)
{
    const uint8_t *at;

    *block = between(*file, CPN_SSHCONFIG_BEGIN, "\n" CPN_SSHCONFIG_END);
    if (!block->n)
        return false;
    at = block->p + block->n;
    *file = cpn_view_skip(*file, (size_t)(at - file->p));
    return true;
}

/* For a host in two stanzas ssh would take some options from one and some from the other; and who
 * writes "ssh web1" would not know which gateway's web1 it is. */
static cpn_rc
check_alone(cpn_view file, cpn_view block, cpn_err *err)
{
    cpn_view ours = between(block, " --gateway '", "'"), hosts = between(block, "\nHost ", "\n");
    cpn_view other;

    while (next_block(&file, &other)) {
        cpn_view gateway = between(other, " --gateway '", "'");
        cpn_view both = shared_host(hosts, between(other, "\nHost ", "\n"));
        cpn_view suffix;

        if (both.n == 0 || cpn_view_eq(gateway, ours))
            continue;
        cpn_view_cut(other, ':', &suffix, &other);
        return cpn_fail(err, CPN_INVALID,
                        "'%.*s' leads to %.*s already; say another --suffix, or take that out "
                        "first: 'caponier ssh-config --suffix %.*s --remove'",
                        CPN_VIEW_ARG(both), CPN_VIEW_ARG(gateway), CPN_VIEW_ARG(suffix));
    }
    return CPN_OK;
}

/* ---- the file ---- */

cpn_rc
cpn_ssh_stanza_in(cpn_buf *out, cpn_view file, const char *suffix, cpn_view block, bool *had,
                  cpn_err *err)
{
    cpn_view before = { 0 }, after = file;
    cpn_rc rc = file.n ? find_block(file, suffix, &before, &after) : CPN_NOT_FOUND;

    *had = rc == CPN_OK;
    if (rc == CPN_INVALID)
        return cpn_fail(err, CPN_INVALID,
                        "the block that begins with '" CPN_SSHCONFIG_BEGIN "%s' has no end line",
                        suffix);
    rc = block.n ? check_alone(file, block, err) : CPN_OK;
    if (rc != CPN_OK)
        return rc;
    rc = cpn_buf_append(out, before);
    if (rc == CPN_OK)
        rc = cpn_buf_append(out, block);
    if (rc == CPN_OK)
        rc = cpn_buf_append(out, after);
    return rc == CPN_OK ? CPN_OK : cpn_fail(err, CPN_INVALID, "the file is too long");
}
