/* From roles to the principals of a certificate. */
#include "policy/sshlogin.h"

#include <stdio.h>

#include "base/buf.h"
#include "policy/decide.h"
#include "policy/may.h"
#include "policy/sshname.h"

#define ACTION_LOGIN "Microsoft.Compute/virtualMachines/login/action"
#define ACTION_ADMIN "Microsoft.Compute/virtualMachines/loginAsAdmin/action"

/* One scope of the certificate. */
typedef struct held {
    cpn_view scope; /* lower case, borrowed from the snapshot or the request */
    bool admin;
} held;

typedef struct collect {
    const cpn_node *who;
    int64_t now_s;
    bool cut;
    held at[CPN_SSH_SCOPES_MAX];
    unsigned n;
} collect;

/* ---- words ---- */

static bool
word_has(cpn_view word, const char *part)
{
    return memmem(word.p, word.n, part, strlen(part)) != NULL;
}

/* Append one principal, unless it stands there already. */
static void
add_principal(cpn_ssh_login *out, const char *text)
{
    cpn_view left = cpn_view_str(out->principals), word;
    size_t n = strlen(out->principals), more = strlen(text) + (n ? 1 : 0);

    while (left.n) {
        cpn_view_cut(left, ',', &word, &left);
        if (cpn_view_is(word, text))
            return;
    }
    if (out->principals_n == CPN_SSH_PRINCIPALS_MAX || more >= sizeof(out->principals) - n) {
        out->cut = true;
        return;
    }
    snprintf(out->principals + n, sizeof(out->principals) - n, "%s%s", n ? "," : "", text);
    out->principals_n++;
}

static void
add_word(cpn_ssh_login *out, cpn_view word, const char *tag)
{
    char text[CPN_SSH_LOGIN_SIZE + CPN_SSH_TAG_SIZE + 256] = "";
    cpn_buf b = { .max = sizeof(text) - 1 };
    cpn_rc rc = CPN_OK;

    while (word.n && rc == CPN_OK) {
        cpn_view piece = { word.p, 1 };
        size_t used = 1;

        if (cpn_view_starts(word, "{login}"))
            piece = cpn_view_str(out->login), used = 7;
        else if (cpn_view_starts(word, "{scope}"))
            piece = cpn_view_str(tag), used = 7;
        rc = cpn_buf_append(&b, piece);
        word = cpn_view_skip(word, used);
    }
    if (rc == CPN_OK && cpn_view_copy(cpn_buf_view(&b), text, sizeof(text)))
        add_principal(out, text);
    else
        out->cut = true;
    cpn_buf_fini(&b);
}

/* Words with {scope} for a scope; those without for tag NULL. */
static void
add_words(cpn_ssh_login *out, const char *words, const char *tag)
{
    cpn_view left = cpn_view_str(words), word;

    while (left.n) {
        cpn_view_cut(left, ' ', &word, &left);
        if (word_has(word, "{scope}") == (tag != NULL))
            add_word(out, word, tag);
    }
}

/* ---- scopes ---- */

typedef bool run_fn(collect *c, const cpn_node *assignment, void *arg);

/* Every assignment that is the principal's own or a group's; false when fn said so. */
static bool
each_assignment(collect *c, run_fn *fn, void *arg)
{
    const cpn_run *own = &c->who->as.principal.assignments;
    const cpn_run *groups = &c->who->as.principal.groups;

    for (unsigned i = 0; i < own->n; i++)
        if (!fn(c, own->at[i], arg))
            return false;
    for (unsigned g = 0; g < groups->n; g++) {
        const cpn_run *theirs = &groups->at[g]->as.principal.assignments;

        for (unsigned i = 0; i < theirs->n; i++)
            if (!fn(c, theirs->at[i], arg))
                return false;
    }
    return true;
}

typedef struct denial {
    const char *action;
    cpn_view scope;
} denial;

/* False: a deny touches the scope, from above or below. */
static bool
not_denied(collect *c, const cpn_node *a, void *arg)
{
    const denial *d = arg;
    cpn_view at = cpn_may_scope(a);

    return !a->doc->as.assignment.deny || !cpn_role_allows(a->as.role, CPN_PLANE_DATA, d->action) ||
           !cpn_window_open(&a->doc->as.assignment.window, c->now_s) ||
           !(cpn_scope_holds(at, d->scope) || cpn_scope_holds(d->scope, at));
}

static bool
holds(collect *c, const cpn_node *a, const char *action)
{
    denial d = { action, cpn_may_scope(a) };

    return cpn_role_allows(a->as.role, CPN_PLANE_DATA, action) &&
           each_assignment(c, not_denied, &d);
}

/* Keep the scope unless one above it, with the same rights, is there; drop those below it. */
static void
keep(collect *c, held h)
{
    unsigned left = 0;

    for (unsigned i = 0; i < c->n; i++)
        if (cpn_scope_holds(c->at[i].scope, h.scope) && (c->at[i].admin || !h.admin))
            return;
    for (unsigned i = 0; i < c->n; i++)
        if (!cpn_scope_holds(h.scope, c->at[i].scope) || (c->at[i].admin && !h.admin))
            c->at[left++] = c->at[i];
    c->n = left;
    if (c->n == CPN_SSH_SCOPES_MAX)
        c->cut = true;
    else
        c->at[c->n++] = h;
}

static bool
collect_one(collect *c, const cpn_node *a, void *arg)
{
    (void)arg;
    if (!a->doc->as.assignment.deny && cpn_window_open(&a->doc->as.assignment.window, c->now_s) &&
        holds(c, a, ACTION_LOGIN))
        keep(c, (held){ cpn_may_scope(a), holds(c, a, ACTION_ADMIN) });
    return true;
}

static cpn_rc
collect_target(collect *c, const cpn_snapshot *s, const cpn_principal *who, cpn_view target,
               cpn_err *err)
{
    if (!cpn_may_data_at(s, who, ACTION_LOGIN, target, c->now_s))
        return cpn_fail(err, CPN_DENIED,
                        "an SSH certificate needs " CPN_SSH_USER_ROLE " (or " CPN_SSH_ADMIN_ROLE
                        ") on %.*s",
                        CPN_VIEW_ARG(target));
    c->at[c->n++] = (held){ target, cpn_may_data_at(s, who, ACTION_ADMIN, target, c->now_s) };
    return CPN_OK;
}

static cpn_rc
collect_all(collect *c, cpn_err *err)
{
    (void)each_assignment(c, collect_one, NULL);
    if (c->n == 0)
        return cpn_fail(err, CPN_DENIED,
                        "an SSH certificate needs " CPN_SSH_USER_ROLE " (or " CPN_SSH_ADMIN_ROLE
                        ") on the machine, its resource group or its subscription; you hold "
                        "neither anywhere now");
    return CPN_OK;
}

/* ---- the whole ---- */

/* The account first, whatever the role; then what holds everywhere; then scope by scope. */
static void
write_principals(const collect *c, const cpn_ssh_rules *rules, cpn_ssh_login *out)
{
    char tag[CPN_SSH_TAG_SIZE];

    for (unsigned i = 0; i < c->n; i++)
        out->admin = out->admin || c->at[i].admin;
    add_words(out, rules->user_words, NULL);
    if (out->admin)
        add_words(out, rules->admin_words, NULL);
    for (unsigned i = 0; i < c->n; i++) {
        cpn_ssh_scope_tag(c->at[i].scope, tag);
        add_words(out, c->at[i].admin ? rules->admin_words : rules->user_words, tag);
    }
    out->scopes = c->n;
    out->cut = out->cut || c->cut;
}

cpn_rc
cpn_ssh_login_for(const cpn_snapshot *s, const cpn_principal *who, const cpn_ssh_rules *rules,
                  cpn_view target, int64_t now_s, cpn_ssh_login *out, cpn_err *err)
{
    collect c = { .who = cpn_may_caller(s, who), .now_s = now_s };
    cpn_rc rc;

    memset(out, 0, sizeof(*out));
    if (!c.who)
        return cpn_fail(err, CPN_DENIED, "this account is disabled");
    rc = target.n ? collect_target(&c, s, who, target, err) : collect_all(&c, err);
    if (rc == CPN_OK)
        rc = cpn_ssh_login_take(s, &c.who->as.principal.is, rules->reserved, out->login, err);
    if (rc == CPN_OK)
        write_principals(&c, rules, out);
    return rc;
}
